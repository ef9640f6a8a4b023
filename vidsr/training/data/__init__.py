"""What networks are trained on: patches, clips, degradations and datasets."""
