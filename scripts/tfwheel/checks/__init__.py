"""What a wheel must pass: gates that read it, a smoke test that runs it; knows nothing of who made it."""
