"""Unpacks what ops are compiled against, of an official wheel: TensorFlow's headers and its framework library.

An op's library uses no CPython symbol, so all Pythons of a TensorFlow version share them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfwheel.system import console, digests, kept_folders
from tfwheel.wheel.reader import WheelReader

if TYPE_CHECKING:
    from pathlib import Path

FRAMEWORK = "tensorflow/libtensorflow_framework.so.2"
HEADERS = "tensorflow/include/"
# The only headers that differ between Pythons; no op may use them.
PYTHON_HEADERS = "tensorflow/include/external/local_config_python/"


def sdk_key(base: Path) -> str:
    """Return a digest of the headers an op may use, the same for every Python of a TensorFlow version."""
    with WheelReader(base) as wheel:
        names = sorted(name for name in wheel.names() if _is_shared_header(name))
        return digests.of_facts(headers=[(name, wheel.member(name).crc, wheel.member(name).size) for name in names])


def kept_sdk(base: Path, cache: Path) -> Path:
    """Return the cache folder for headers and framework library of an official wheel; it need not exist."""
    return cache / "sdks" / sdk_key(base)


def unpack_sdk(base: Path, cache: Path) -> Path:
    """Unpack headers and framework library of an official wheel into the cache once; returns the folder."""

    def unpack(folder: Path) -> None:
        with WheelReader(base) as wheel:
            names = [name for name in wheel.names() if _is_shared_header(name)] + [FRAMEWORK]
            for name in console.track(names, name="unpack TensorFlow headers"):
                wheel.extract(name, folder / name)

    busy = f"another run unpacks the headers of {base.name}"
    return kept_folders.keep(kept_sdk(base, cache), unpack, cache=cache, busy=busy)


def _is_shared_header(name: str) -> bool:
    return name.startswith(HEADERS) and not name.startswith(PYTHON_HEADERS) and not name.endswith("/")
