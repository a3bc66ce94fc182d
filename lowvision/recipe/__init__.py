"""Recipes: what one may say (models), how a choice is spelt (choice), how a file becomes a Recipe (reading)."""
