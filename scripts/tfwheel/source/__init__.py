"""What Bazel says while it builds: the first part of a builder of TensorFlow itself; no builder uses it yet."""
