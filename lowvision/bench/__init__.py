"""Implementation of `lowvision bench`: time every restore method, each in a separate process, alternating."""
