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
# what it has in Python, such as gradients. They are loaded from where that import finds the package: a wheel with the
# ops alone, installed beside this one or elsewhere, takes precedence. Nothing here may be in the way of TensorFlow.
def _load_custom_ops(package, files):
  import importlib.util
  import pathlib
  import warnings

  folder = pathlib.Path(__file__).parents[1] / ("_" + package)
  try:
    spec = importlib.util.find_spec(package)  # finds the package and does not import it
    found = spec.submodule_search_locations or [pathlib.Path(spec.origin).with_name("_" + package)]
    folders = [pathlib.Path(one) for one in found]
    folder = next((one for one in folders if any((one / file).is_file() for file in files)), folder)
  except Exception:
    pass  # there is no such package: this wheel has its ops all the same
  for file in files:
    try:
      from tensorflow.python.framework import load_library
      load_library.load_library(str(folder / file))
    except Exception as error:
      text = "TensorFlow could not load its custom ops in {{}}: {{}}".format(folder / file, error)
      try:
        warnings.warn(text)
      except Warning:  # whoever turns warnings into errors sees this one, and has TensorFlow
        with warnings.catch_warnings():
          warnings.simplefilter("always")
          warnings.warn(text)


for _custom_ops in {libraries}:
  try:
    _load_custom_ops(*_custom_ops)
  except Exception:
    pass
del _load_custom_ops, _custom_ops
"""


def added(text: bytes, libraries: Sequence[str]) -> bytes:
    """Return ``tensorflow/__init__.py`` with the lines that load libraries, given by their paths in the ops wheel."""
    files: dict[str, tuple[str, ...]] = {}
    for package, _, file in (library.partition("/") for library in libraries):
        files[package] = (*files.get(package, ()), file)
    return text.rstrip(b"\n") + b"\n" + LINES.format(libraries=repr(tuple(files.items()))).encode()
