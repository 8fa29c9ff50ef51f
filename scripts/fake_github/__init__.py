"""A fake GitHub server on this machine: releases, assets, pull requests; for tests and rehearsals only."""
