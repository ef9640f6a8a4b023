"""Live cameras: the supervisor, its HTTP server, and the process of each camera."""
