"""Read the data about XLA in one TensorFlow version, ``build_config/xla/<version>.toml``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfwheel.config import toml_files
from tfwheel.config.errors import ConfigError
from tfwheel.config.schema import CeilingFile

if TYPE_CHECKING:
    from pathlib import Path

REMEDY = "Measure it as the files beside it say they were, or leave `xla` out of the line's [retarget] in lines.toml."


def read(folder: Path, tensorflow: str) -> CeilingFile:
    """Read the file of a TensorFlow version; raise ConfigError if there is none, or one that contradicts itself."""
    path = folder / f"{tensorflow}.toml"
    if not path.exists():
        message = f"{path} is missing: there is no data about XLA in TensorFlow {tensorflow}"
        raise ConfigError(message, remedy=REMEDY)
    data = toml_files.read(path, CeilingFile)
    whole = bool(data.cuda and data.member and data.sha256)
    if data.tensorflow != tensorflow or bool(data.edit) == bool(data.unneeded) or bool(data.edit) != whole:
        message = (
            f"{path} must be for TensorFlow {tensorflow} and have either `unneeded`, or edits with their `cuda`, "
            "`member` and `sha256`"
        )
        raise ConfigError(message)
    for entry in data.edit:
        expected, replacement = bytes.fromhex(entry.expected), bytes.fromhex(entry.replacement)
        if len(expected) != len(replacement) or expected == replacement:
            message = (
                f"{path}: `{entry.expected}` cannot be replaced by `{entry.replacement}`: needs as many other bytes"
            )
            raise ConfigError(message)
    return data
