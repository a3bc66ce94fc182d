"""Inference, from weights to pixels: runtimes, engines, the restorer."""
