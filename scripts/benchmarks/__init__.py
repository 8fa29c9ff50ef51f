"""Measures the factory and its peers in the same run."""
