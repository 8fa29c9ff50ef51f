"""A GPU that is none, as podman knows GPUs: by a file of the Container Device Interface, for the time of a test.

Source: https://github.com/cncf-tags/container-device-interface, SPEC.md; podman reads /etc/cdi and /var/run/cdi.
"""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path("/etc/cdi")
# What a container that has all GPUs gets, as it gets those of NVIDIA: a device, and a program of the driver.
DEVICE, SMI = "/dev/tfwheel-test-gpu", "/usr/bin/nvidia-smi"
PROGRAM = "#!/bin/sh\necho 'Stand-in GPU, 580.82.07'\n"


@contextmanager
def gpu(folder: Path) -> Iterator[None]:
    """Let this machine have a GPU, with a program in ``folder``; without leave to say so the test is skipped."""
    program = folder / "nvidia-smi"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    mount = {"hostPath": str(program), "containerPath": SMI, "options": ["ro", "nosuid", "nodev", "bind"]}
    null = {"path": DEVICE, "hostPath": "/dev/null", "type": "c", "permissions": "rw"}
    edits = {"deviceNodes": [null], "mounts": [mount]}
    spec = {"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": [{"name": "all", "containerEdits": edits}]}
    with FileLock(Path(tempfile.gettempdir()) / "tfwheel-test-cdi.lock"):
        if os.geteuid() != 0 or FOLDER.exists() or Path("/var/run/cdi").exists():
            pytest.skip(f"only root can write {FOLDER}, and it may not be there yet: run `sudo nox -s tests`")
        FOLDER.mkdir()
        path = FOLDER / "tfwheel-test.json"
        try:
            path.write_text(json.dumps(spec))
            yield
        finally:
            path.unlink(missing_ok=True)
            FOLDER.rmdir()
