"""Contracts of plugins, their hooks, and the registry of their components."""
