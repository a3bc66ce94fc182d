"""Measure a container on photographs, and fit classifiers that need no training."""
