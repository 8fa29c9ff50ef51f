"""Have TensorFlow load custom ops by itself: a SavedModel or Keras model with them loads after ``import tensorflow``.

TensorFlow's own folder for such libraries (``core/kernels/``) would not do: a bad library in it breaks the import, and
a library that was loaded by another path gives packages no ops (``load_op_library`` looks libraries up by their path as
text). So lines at the end of ``tensorflow/__init__.py`` load each one by the path by which its package will.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MEMBER = "tensorflow/__init__.py"
LINES = """

# Loads the custom ops that come with this TensorFlow, so that saved models find them. An import of their package adds
# what it has in Python, such as gradients. A wheel with the ops alone, installed beside this one, takes precedence.
def _load_custom_ops():
  import pathlib
  import warnings

  site = pathlib.Path(__file__).parents[1]
  for package, file in {libraries}:
    folder = site / package if (site / package).is_dir() else site / ("_" + package)
    try:
      from tensorflow.python.framework import load_library
      load_library.load_library(str(folder / file))
    except Exception as error:  # never in the way of TensorFlow itself
      warnings.warn("TensorFlow could not load its custom ops in {{}}: {{}}".format(folder / file, error))


_load_custom_ops()
del _load_custom_ops
"""


def added(text: bytes, libraries: Sequence[str]) -> bytes:
    """Return ``tensorflow/__init__.py`` with the lines that load libraries, given by their paths in the ops wheel."""
    pairs = tuple((package, file) for package, _, file in (library.partition("/") for library in libraries))
    return text.rstrip(b"\n") + b"\n" + LINES.format(libraries=repr(pairs)).encode()
