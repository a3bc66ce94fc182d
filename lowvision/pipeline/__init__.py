"""Execute a recipe: preflight checks, the run folder, the stages."""
