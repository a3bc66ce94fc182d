"""Typed configuration: strict options models, YAML with line numbers, validation messages."""
