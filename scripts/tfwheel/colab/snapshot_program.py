"""Print a full snapshot of the runtime that this runs in, as JSON: ``python3 snapshot_program.py > FILE``.

It needs nothing but Python 3.9 or newer, imports no distribution that it lists, changes nothing and sends nothing. It
says more than ``pip freeze``: what each distribution requires, which protobuf made its modules, the C library, the
driver, CUDA, and each cuDNN. The URL of a distribution is left out but for a mark that there is one.
"""

from __future__ import annotations

import ctypes
import datetime as dt
import json
import os
import platform
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

FORMAT = 1
CALL = re.compile(rb"ValidateProtobufRuntimeVersion\(\s*[\w.]+,\s*(\d{1,4}),\s*(\d{1,4}),\s*(\d{1,4}),")
MODULES = ("_pb2.py", "_pb2_grpc.py")
CUDNN = ("libcudnn.so.9", "libcudnn.so.8")
FIVE_DIGITS = (
    90_000  # since cuDNN 9 the version is 10000 * major + 100 * minor + patch, before it was 1000 * major + ...
)
DRIVER_FILE = Path("/proc/driver/nvidia/version")
CUDA_FILE = Path("/usr/local/cuda/version.json")


def snapshot() -> dict[str, Any]:
    """Return all of it."""
    return {
        "format": FORMAT,
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),  # noqa: UP017 -- Python 3.9
        "python": platform.python_version().rstrip("+"),
        "distributions": distributions(),
        "glibc": glibc(),
        "driver": driver(),
        "cuda": cuda(),
        "cudnn": cudnn(),
    }


def distributions() -> dict[str, dict[str, Any]]:
    """Return version, requirements and gencode by normalized name; of equal names the first on the path counts."""
    found: dict[str, dict[str, Any]] = {}
    for one in metadata.distributions():
        name = normalized(one)
        if not name or name in found:
            continue
        entry: dict[str, Any] = {"version": one.version, "requires": list(one.requires or ())}
        made = gencode(one)
        if made:
            entry["gencode"] = made
        if one.read_text("direct_url.json"):
            entry["url"] = "yes"
        found[name] = entry
    return dict(sorted(found.items()))


def normalized(one: metadata.Distribution) -> str:
    """Return the normalized name of a distribution, empty without one."""
    return re.sub(r"[-_.]+", "-", (one.metadata.get_all("Name") or [""])[0]).lower()


def gencode(one: metadata.Distribution) -> str | None:
    """Return the newest protobuf that a module of a distribution asks for, None if none does.

    Of modules of one name in several folders, one for each protobuf, the least demanding counts.
    """
    asked: dict[str, tuple[int, ...]] = {}
    for path in one.files or ():
        if path.name.endswith(MODULES):
            match = CALL.search(read(Path(str(path.locate()))))
            version = tuple(int(part) for part in match.groups()) if match else ()
            asked[path.name] = min(asked.get(path.name, version), version)
    newest = max(asked.values(), default=())
    return ".".join(str(part) for part in newest) or None


def glibc() -> str | None:
    """Return the version of the C library, None if it is another one than glibc."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    except (ValueError, AttributeError):
        return None
    return version if name == "glibc" else None


def driver() -> str | None:
    """Return the version of NVIDIA's driver, None without one."""
    match = re.search(rb"Kernel Module.*?\s(\d+\.\d+(?:\.\d+)?)\s", read(DRIVER_FILE))
    return match.group(1).decode() if match else None


def cuda() -> str | None:
    """Return the version ("12.8") of the CUDA toolkit in /usr/local/cuda, None without one."""
    match = re.search(rb'"cuda"\s*:\s*\{[^}]*"version"\s*:\s*"(\d+\.\d+)', read(CUDA_FILE))
    return match.group(1).decode() if match else None


def cudnn() -> dict[str, str]:
    """Return the version of the system's cuDNN ("apt") and of the one in nvidia-cudnn-cuN ("pip"), where they are."""
    found = {}
    for one in metadata.distributions():
        if re.match(r"nvidia-cudnn-cu\d+$", normalized(one)):
            found["pip"] = one.version
    for name in CUDNN:
        try:
            number = ctypes.CDLL(name).cudnnGetVersion()
        except (OSError, AttributeError):
            continue
        major, rest = divmod(number, 10_000 if number >= FIVE_DIGITS else 1000)
        found["apt"] = f"{major}.{rest // 100}.{rest % 100}"
        break
    return found


def read(path: Path) -> bytes:
    """Return the bytes of a file, none if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    json.dump(snapshot(), sys.stdout, indent=1)
    sys.stdout.write("\n")
