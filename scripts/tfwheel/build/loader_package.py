"""Writes the package of a custom-op project that has none in Python: all it does is to load its libraries."""

from __future__ import annotations

import keyword
import re
from itertools import count as count_from
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tfwheel.config.ops_projects import OpsProject

IN_PACKAGE = ("Path", "tf")  # names that it has already
PACKAGE = '''"""The ops of {project} as TensorFlow generates them, by library: {libraries}."""

from pathlib import Path

import tensorflow as tf

{loads}

__all__ = [{names}]
'''


def complete(package: Path, project: OpsProject) -> None:
    """Write an ``__init__.py`` that loads the libraries, for a package that has none."""
    if (package / "__init__.py").exists():
        return
    libraries = [one.file for one in project.library if one.autoload is not False]
    names = _attributes([file.partition("/")[2] for file in libraries if file.startswith(f"{package.name}/")])
    if not names:
        return
    loads = [f"{name} = tf.load_op_library(str(Path(__file__).parent / {file!r}))" for name, file in names.items()]
    text = PACKAGE.format(
        project=project.name,
        libraries=", ".join(names),
        loads="\n".join(loads),
        names=", ".join(map(repr, names)),
    )
    (package / "__init__.py").write_text(text, encoding="utf-8")


def _attributes(files: Sequence[str]) -> dict[str, str]:
    """Name each library as the package shows it that only loads it: ``_image_ops.so`` is ``image_ops``, one is ``ops``.

    Names that are taken, or no names in Python, get an underscore or a number.
    """
    found: dict[str, str] = {}
    for file in files:
        stem = file.rpartition("/")[2].partition(".")[0].removeprefix("lib").strip("_")
        name = "ops" if len(files) == 1 else re.sub(r"\W", "_", stem, flags=re.ASCII) or "ops"
        name = f"_{name}" if not name.isidentifier() or keyword.iskeyword(name) or name in IN_PACKAGE else name
        same = (f"{name}_{number}" for number in count_from(2))
        found[name if name not in found else next(one for one in same if one not in found)] = file
    return found
