"""PyTorch: the network that learns, its data, the loop. Nothing that enlarges needs any of it."""
