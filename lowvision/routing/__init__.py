"""Routing: the classify-then-route container, its tiles, its exact cost. Pure torch; the heart of lowvision."""
