"""Runs the jobs of .github/workflows/ on this machine from their YAML."""
