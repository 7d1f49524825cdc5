"""Training: one member alone or several together, optimisers, checkpoints and recording."""
