"""Commands that are killed at random moments: the next run must complete what they began, byte for byte."""
