"""PyAV: what is read, what is written, and what lies between that is not the network."""
