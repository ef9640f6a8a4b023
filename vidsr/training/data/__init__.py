"""Training data: patches, clips, degradations and datasets."""
