"""Limits of GitHub: the names and sizes of release assets, and the number of jobs."""

from __future__ import annotations

import re

# https://docs.github.com/en/repositories/releasing-projects-on-github/about-releases#storage-and-bandwidth-quotas
ASSET_BYTES = 2 << 30  # a release asset must be smaller
ASSETS_PER_RELEASE = 1000  # enforced since July 2025; sidecars count
# GitHub renames an asset with other characters (an epoch's `!`, a space, `~`), which breaks links to it.
ASSET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
MATRIX_JOBS = 256  # of one matrix in one run: https://docs.github.com/en/actions/reference/limits
