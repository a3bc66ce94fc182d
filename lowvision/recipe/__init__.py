"""Recipes: their options (models), and reading them from a file, its parents and overrides (reading)."""
