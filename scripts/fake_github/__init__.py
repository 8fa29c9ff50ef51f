"""A fake GitHub server on this machine: releases, assets, pull requests, issues; for tests and rehearsals only."""
