"""Rehearses a release on this machine: everything real but GitHub."""
