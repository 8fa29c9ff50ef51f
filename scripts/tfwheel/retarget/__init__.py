"""Writes GPU code for other architectures into official libraries."""
