"""Implement `lowvision serve`: restore images over HTTP, within limits of size, time and number."""
