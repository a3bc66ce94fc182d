"""Read, write, resize and compare images."""
