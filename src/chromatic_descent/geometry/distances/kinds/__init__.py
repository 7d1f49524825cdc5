"""The distances themselves: each entry defines one completely."""
