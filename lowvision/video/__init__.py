"""Restore clips: read and write them by PyAV, keep their other streams, and go on after an interruption."""
