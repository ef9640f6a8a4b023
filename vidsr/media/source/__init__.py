"""Live sources: the connection, its timestamps, and the pacing of files."""
