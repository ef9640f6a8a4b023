"""Media files and streams by PyAV: reading, writing, scaling, and everything else besides the network."""
