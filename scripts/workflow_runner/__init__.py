"""Runs the jobs of .github/workflows/ on this machine, as their YAML has them."""
