"""Builds TensorFlow itself with Bazel in a container: what an overlay cannot change."""
