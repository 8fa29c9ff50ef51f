"""Makes wheels and index reachable for others, and looks at them from outside."""
