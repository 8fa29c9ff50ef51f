"""Loads the compiled ops, after a check that the TensorFlow that is here is the one they were built for."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path
from typing import Any

from tfwheel_ops._build_info import CUDA_ARCHS, TENSORFLOW_VERSION

__all__ = ["check", "installed_version", "ops"]

DISTRIBUTIONS = ("tensorflow", "tensorflow-cpu", "tensorflow-rocm", "tf-nightly")


def installed_version() -> str | None:
    """The version of the TensorFlow that is installed, whatever its distribution is called; None without one."""
    for name in DISTRIBUTIONS:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def _minor(version: str) -> str:
    return ".".join(re.findall(r"\d+", version)[:2])


def _pin(version: str) -> str:
    """What to ask pip for; `2.22.*` stands for no pre-release (PEP 440)."""
    return version if re.search("[a-z]", version) else f"{_minor(version)}.*"


def check(installed: str | None) -> None:
    """Refuse a TensorFlow of another minor version, where the library fails to load and names but a C++ symbol.

    Raises:
        ImportError: with both versions and what to install.
    """
    built_for, pin = _minor(TENSORFLOW_VERSION), _pin(TENSORFLOW_VERSION)
    if installed is None:
        message = f"tfwheel_ops needs TensorFlow, and none is installed: pip install 'tensorflow=={pin}'"
        raise ImportError(message)
    if _minor(installed) != built_for:
        message = (
            f"tfwheel_ops was built for TensorFlow {built_for}, but {installed} is installed. Either install the "
            f"TensorFlow it was built for (pip install 'tensorflow=={pin}') or the tfwheel-ops whose version "
            f"begins with {_minor(installed)}. If that TensorFlow has ops of its own: pip uninstall tfwheel-ops."
        )
        raise ImportError(message)


def _load() -> Any:  # noqa: ANN401 -- a module that TensorFlow makes up when it loads the library
    check(installed_version())
    import tensorflow as tf  # noqa: PLC0415 -- only after the check, which is what explains a wrong TensorFlow

    path = Path(__file__).with_name("_ops.so")
    if CUDA_ARCHS and not tf.test.is_built_with_cuda():
        message = "tfwheel_ops was built for GPUs, but this TensorFlow is for the CPU. Install one built for the CPU."
        raise ImportError(message)
    try:
        return tf.load_op_library(str(path))
    except tf.errors.NotFoundError as error:
        message = (
            f"{path} does not load into TensorFlow {tf.__version__}, though it was built for {TENSORFLOW_VERSION}. "
            f"This TensorFlow must have been compiled in another way: {error.message}"
        )
        raise ImportError(message) from error


ops: Any = _load()
"""Every op of the library as TensorFlow generates it: ``ops.tfwheel_rms_norm`` and so on."""
