"""Store trained networks: architecture as a value, weights files, calibration."""
