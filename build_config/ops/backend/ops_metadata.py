# ruff: noqa: INP001 -- not a package: scikit-build-core puts this folder on the path
"""Tells scikit-build-core the version of the wheel, and through it which TensorFlow the wheel is for.

``TFWHEEL_OPS_VERSION`` is TensorFlow's version and a label, such as ``2.20.0+cu125.1``. Without it the TensorFlow
that the building Python has decides, and the label is ``local``.
"""

from __future__ import annotations

import os
import re
from importlib import metadata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["dynamic_metadata", "get_requires_for_dynamic_metadata"]

VERSION = "TFWHEEL_OPS_VERSION"
SDK = "TENSORFLOW_SDK"
DISTRIBUTIONS = ("tensorflow", "tensorflow-cpu")
PATTERN = re.compile(r"(\d+\.\d+)\.\d+(?:rc\d+)?\+[a-z0-9]+(?:\.[a-z0-9]+)*")


def dynamic_metadata(field: str, _settings: Mapping[str, object], _project: Mapping[str, object]) -> str | list[str]:
    """The value of ``version`` or ``dependencies``.

    Raises:
        ValueError: the version does not name a TensorFlow and a label, or there is nothing to take it from.
    """
    version = os.environ.get(VERSION) or f"{_installed()}+local"
    match = PATTERN.fullmatch(version)
    if not match:
        message = f"{VERSION}={version} is not TensorFlow's version and a label, such as 2.20.0+cu125.1"
        raise ValueError(message)
    # An op loads only into the minor version whose headers it was compiled with.
    return {"version": version, "dependencies": [f"tensorflow=={match[1]}.*"]}[field]


def get_requires_for_dynamic_metadata(_settings: Mapping[str, object]) -> list[str]:
    """What the build needs installed: a TensorFlow, unless one is given unpacked."""
    if os.environ.get(SDK):
        return []
    version = os.environ.get(VERSION, "").partition("+")[0]
    return [f"tensorflow=={version}" if version else "tensorflow"]


def _installed() -> str:
    for name in DISTRIBUTIONS:
        try:
            return metadata.version(name).partition("+")[0]
        except metadata.PackageNotFoundError:
            continue
    message = f"No TensorFlow is installed to take the version from. Set {VERSION}, for instance to 2.20.0+local."
    raise ValueError(message)
