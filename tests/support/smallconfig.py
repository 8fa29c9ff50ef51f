"""A small configuration, to be changed in one place: what is read of it, or why it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tfwheel.config import build_config
from tfwheel.config.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

TARGETS = """
[[release]]
tensorflow = "2.20.0"
build = 1
pythons = ["3.11", "3.12"]
lines = ["cu12", "cpu"]
default = true
requires = ["protobuf>=5.28,<6"]

[[exclude]]
tensorflow = "2.20.0"
python = "3.12"
line = "cpu"
reason = "nobody asked for it"
"""
LINES = """
[cpu]
label = "cpu"
base = "tensorflow-cpu"

[cu12]
label = "cu125"
base = "tensorflow"
cuda = "12.5.1"
archs = ["75", "80"]
ptx = "90"
toolkit = ["nvidia-nvfatbin-cu12==12.5.82"]
"""
REPAIR = """
ceiling = "manylinux_2_35_x86_64"
max_bytes = 1_900_000_000
exclude = ["libcuda*"]
"""
BASES = f"""
[[base]]
project = "tensorflow"
version = "2.20.0"
python = "3.12"
file = "tensorflow-2.20.0-cp312-cp312-manylinux_2_17_x86_64.whl"
sha256 = "{"ab" * 32}"
size = 620682547
platforms = ["manylinux_2_17_x86_64"]
requires_python = ">=3.9"
requires_dist = ["numpy>=1.26.0"]
runpaths = {{ "tensorflow/a.so" = "$ORIGIN" }}

[base.families]
fatbin = ["sm_70", "sm_80", "sm_89", "sm_90", "compute_90"]
generated = ["sm_70", "sm_80", "compute_90a"]

[base.archs]
"tensorflow/libtensorflow_cc.so.2" = ["sm_80", "compute_90"]
"tensorflow/libtensorflow_framework.so.2" = ["sm_80"]
"tensorflow/python/lib_pywrap_tensorflow_common.so" = ["sm_80"]
"tensorflow/python/profiler/internal/_pywrap_profiler_plugin.so" = ["sm_80"]
"""
RETARGET = (
    LINES
    + """
[cu12.retarget]
archs = ["120", "70", "80"]
generated = ["120", "70"]
ptx = "90"
tools = ["nvidia-cuda-nvcc-cu12==12.9.86", "nvidia-nvfatbin-cu12==12.8.90"]
xla = "12.8"
"""
)
XLA = """
tensorflow = "2.20.0"
ptxas = "12.8"
measured = "measured by hand in a test"
cuda = "12.8"
member = "tensorflow/libtensorflow_cc.so.2"
sha256 = "%s"

[[edit]]
what = "the constant of the version"
found = "by its symbol, in a test"
symbol = "version"
distance = 0
offset = 64
expected = "05"
replacement = "08"
""" % ("ab" * 32)
FILES = {
    "targets.toml": TARGETS,
    "lines.toml": LINES,
    "repair.toml": REPAIR,
    "bases.toml": BASES,
    "xla/2.20.0.toml": XLA,
}


def load(folder: Path, **changed: str | None) -> build_config.Config:
    """Load a good configuration in which some files (named without ``.toml``) have other text, or None: are absent."""
    (folder / "xla").mkdir(parents=True, exist_ok=True)
    changes = {("xla/2.20.0.toml" if stem == "xla" else f"{stem}.toml"): text for stem, text in changed.items()}
    for name, text in (FILES | changes).items():
        if text is not None:
            (folder / name).write_text(text, encoding="utf-8")
    return build_config.load(folder)


def refusal(folder: Path, **changed: str | None) -> str:
    """The message about a bad configuration."""
    with pytest.raises(ConfigError) as caught:
        load(folder, **changed)
    return caught.value.message.replace(f"{folder}/", "")


def swap(text: str, old: str, new: str) -> str:
    """The text with something else in it."""
    assert old in text
    return text.replace(old, new)
