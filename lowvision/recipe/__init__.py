"""Recipes: what one may say (models), and how a file, its parents and overrides become one (reading)."""
