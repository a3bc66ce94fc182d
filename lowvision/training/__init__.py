"""Training: losses, checkpoints, and the training loop that every training stage runs."""
