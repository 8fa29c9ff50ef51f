"""Imitates Colab's runtimes from their snapshots: installs finished wheels there, and runs the notebook."""
