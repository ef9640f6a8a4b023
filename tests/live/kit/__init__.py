"""Cameras, servers, networks and file checks for the tests of live sources."""
