"""Weights files of the networks' authors: one module a network. Names and shapes are facts of the files."""
