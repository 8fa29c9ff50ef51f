"""The program that a user runs in a notebook: facts, choice, explanation."""
