"""Training: the LightningModule, optimisers, populations, checkpoints and recording."""
