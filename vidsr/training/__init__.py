"""Training in PyTorch: the network, its data, the loop. Upscaling needs none of it."""
