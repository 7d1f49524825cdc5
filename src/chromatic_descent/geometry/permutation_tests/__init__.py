"""Tests that permute whole members: Mantel and PERMANOVA."""
