"""Unpacks what a project with its own build needs of an official TensorFlow: headers, and the libraries to link."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tfwheel.build import tensorflow_sdk
from tfwheel.system import console, digests, kept_folders
from tfwheel.wheel.reader import WheelReader

if TYPE_CHECKING:
    from pathlib import Path

CC = "tensorflow/libtensorflow_cc.so.2"  # 1 GB in 2.20: only what calls TensorFlow's C or C++ API links it


def unpack(base: Path, cache: Path, *, cc: bool = False) -> Path:
    """Return the cache folder with ``tensorflow/include`` and the libraries beside it, made on the first call.

    It has the framework library, and with ``cc`` also libtensorflow_cc, each by its own name and by the one that
    linkers look for (``libtensorflow_framework.so``). Headers and framework library lie in ``tensorflow_sdk.kept_sdk``.
    Raises BadWheelError when the official wheel has no libtensorflow_cc.
    """
    sdk = tensorflow_sdk.unpack_sdk(base, cache)
    with WheelReader(base) as wheel:
        member = wheel.member(CC) if cc else None
    facts = digests.of_facts(form=1, cc=(member.crc, member.size) if member else None)
    folder = cache / "sdks" / f"{sdk.name}-{facts[:16]}"
    fill = partial(_fill, base, sdk, [CC] if cc else [])
    return kept_folders.keep(folder, fill, cache=cache, busy=f"another run unpacks the libraries of {base.name}")


def _fill(base: Path, sdk: Path, members: list[str], folder: Path) -> None:
    (folder / "tensorflow").mkdir()
    for name in ("tensorflow/include", tensorflow_sdk.FRAMEWORK):
        (folder / name).symlink_to(sdk / name)
    with WheelReader(base) as wheel:
        for member in console.track(members, name="unpack TensorFlow libraries"):
            wheel.extract(member, folder / member)
    for name in (tensorflow_sdk.FRAMEWORK, *members):
        library = folder / name
        library.with_name(f"{library.name.partition('.so')[0]}.so").symlink_to(library.name)
