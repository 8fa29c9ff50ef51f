"""A stand-in for GitHub on this machine: releases, assets, pull requests; for tests and rehearsals only."""
