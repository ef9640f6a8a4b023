"""Live sources: cameras and files in real time."""
