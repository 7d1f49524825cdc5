"""Networks trained elsewhere: their logits, or their weights, as members of a study."""
