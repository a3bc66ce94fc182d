"""Turn photographs into tiles for training, calibration and evaluation."""
