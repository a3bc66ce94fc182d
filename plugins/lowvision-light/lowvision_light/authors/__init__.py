"""Weights files of the networks' authors: one module per network. Names and shapes are facts of their code."""
