"""Photographs as tiles for training, calibration and evaluation."""
