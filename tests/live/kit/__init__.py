"""Cameras, servers, networks and oracles that the tests of live sources share."""
