"""Training: data, losses and the one loop that every training stage runs."""
