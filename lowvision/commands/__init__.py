"""Implement the commands of the command line; `lowvision.cli` parses their arguments."""
