"""Measures the factory beside its peers, in the same run."""
