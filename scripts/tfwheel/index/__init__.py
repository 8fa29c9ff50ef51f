"""From a ledger to a static site; local and pure but for one atomic folder."""
