"""Sources that never end: followed, enlarged, kept, watched."""
