"""Pairing of two recordings of one view: time sync, frame matching, image registration."""
