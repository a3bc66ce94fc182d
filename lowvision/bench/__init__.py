"""What `lowvision bench` does: times every way to restore an image, each in a process of its own, turn by turn."""
