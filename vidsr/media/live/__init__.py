"""Live sources and targets, by PyAV."""
