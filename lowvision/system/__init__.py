"""Devices, processes, memory, progress, the cache on disk and atomic file writes."""
