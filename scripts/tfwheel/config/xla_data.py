"""Read the data about XLA in one TensorFlow version, ``build_config/xla/<version>.toml``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfwheel.config import toml_files
from tfwheel.config.errors import ConfigError
from tfwheel.config.schema import CeilingFile

if TYPE_CHECKING:
    from pathlib import Path

DAMAGED = "Delete that file, and run `nox -s xla-ceiling -- {version}`, which writes it."
REMEDY = "Run `nox -s xla-ceiling -- {version}`, or leave `xla` out of the line's [retarget] in lines.toml."


def path_of(folder: Path, tensorflow: str) -> Path:
    """Return the path of the file of a TensorFlow version, which need not exist."""
    return folder / f"{tensorflow}.toml"


def find(folder: Path, tensorflow: str) -> CeilingFile | None:
    """Read the file of a TensorFlow version as ``read`` does; return None if there is none."""
    return read(folder, tensorflow) if path_of(folder, tensorflow).exists() else None


def read(folder: Path, tensorflow: str) -> CeilingFile:
    """Read the file of a TensorFlow version; raise ConfigError if there is none, or one that contradicts itself."""
    path = path_of(folder, tensorflow)
    if not path.exists():
        message = f"{path} is missing: there is no data about XLA in TensorFlow {tensorflow}"
        raise ConfigError(message, remedy=REMEDY.format(version=tensorflow))
    try:
        data = toml_files.read(path, CeilingFile)
    except ConfigError as error:
        raise ConfigError(error.message, remedy=DAMAGED.format(version=tensorflow)) from error
    whole = bool(data.cuda and data.member and data.sha256)
    said = [bool(data.edit), bool(data.unneeded), bool(data.unsupported)]
    if data.tensorflow != tensorflow or said.count(True) != 1 or bool(data.edit) != whole:
        message = (
            f"{path} must be for TensorFlow {tensorflow} and have one of `unneeded`, `unsupported`, or edits with "
            "their `cuda`, `member` and `sha256`"
        )
        raise ConfigError(message, remedy=DAMAGED.format(version=tensorflow))
    for entry in data.edit:
        expected, replacement = bytes.fromhex(entry.expected), bytes.fromhex(entry.replacement)
        if len(expected) != len(replacement) or expected == replacement:
            message = (
                f"{path}: `{entry.expected}` cannot be replaced by `{entry.replacement}`: needs as many other bytes"
            )
            raise ConfigError(message, remedy=DAMAGED.format(version=tensorflow))
    return data
