"""Makes and checks one target: the stages and their order."""
