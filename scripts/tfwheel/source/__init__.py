"""TensorFlow itself, compiled with Bazel: the command, the machine, and what Bazel says while it builds."""
