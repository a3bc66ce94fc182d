"""Mutated inputs, from a seed, against readers that must answer with a result or one clear message."""
