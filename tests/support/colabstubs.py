"""A tiny package index, a snapshot of its packages as a Colab runtime would have them, and wheels to install there."""

from __future__ import annotations

import platform
import sys
import zipfile
from importlib.metadata import distribution
from typing import TYPE_CHECKING, Any

import fakewheels
from imitation.trial import Trial
from pagedata import entry
from tfwheel.colab.runtimes import Runtime

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import pytest

    from imitation.runtime import Imitation

VERSION = "2.20.0+cpu.1"
TAG = f"cp3{sys.version_info[1]}"
# Modules that do whatever is asked of them, so that the checks of the real packages run.
ANYTHING = """
class Anything:
    def __getattr__(self, name): return self
    def __call__(self, *values, **named): return self
    def __getitem__(self, key): return self
    def __iter__(self): return iter(())
    def __float__(self): return 1.0
    def __format__(self, form): return "1"
    __str__ = __repr__ = lambda self: "1"
anything = Anything()
def __getattr__(name):
    if name.startswith("__"): raise AttributeError(name)
    return anything
"""
TENSORFLOW = ANYTHING + '\n__version__ = "2.20.0"\n'
TEXT = (
    "import tensorflow\nif 'BROKEN' in vars(tensorflow):\n    raise ImportError('undefined symbol: _ZN10tensorflow')\n"
)
OPS = "def selftest(device): return [{'op': 'x', 'dtype': 'float32', 'direction': 'forward', 'passed': True}]\n"
LABEL = f"\nclass version: BUILD_LABEL = {VERSION!r}\n"


def build(folder: Path, name: str, version: str, members: Mapping[str, str], requires: Iterable[str] = ()) -> Path:
    """A wheel for this Python."""
    tag = f"{TAG}-{TAG}-manylinux_2_17_x86_64" if name == "tensorflow" else "py3-none-any"
    extra = "".join(f"Requires-Dist: {one}\n" for one in requires)
    files = {path: text.encode() for path, text in members.items()}
    return fakewheels.write_wheel(folder, files, name=name, version=version, tag=tag, extra=extra)


def ours(folder: Path, requires: Iterable[str] = ("helper>=1", "numpy"), **more: str) -> Path:
    """The wheel under test: TensorFlow with a label and the ops; ``more`` are further members, `__` for a slash."""
    members = {"tensorflow/__init__.py": TENSORFLOW + LABEL, "tfwheel_ops.py": OPS}
    members |= {path.replace("__", "/") + ".py": text for path, text in more.items() if path != "tensorflow"}
    members["tensorflow/__init__.py"] += more.get("tensorflow", "")
    return build(folder, "tensorflow", VERSION, members, requires)


def write_index(site: Path) -> None:
    """Write the pages of an index of a few packages, one of them without a wheel."""
    wheels = [
        build(
            site / "tensorflow", "tensorflow", "2.20.0", {"tensorflow/__init__.py": TENSORFLOW}, ["helper>=1", "numpy"]
        ),
        build(
            site / "tensorflow", "tensorflow", "2.21.0", {"tensorflow/__init__.py": TENSORFLOW}, ["helper>=2", "numpy"]
        ),
        build(site / "numpy", "numpy", "2.0.2", {"numpy.py": ANYTHING}),
        build(
            site / "tensorflow-text",
            "tensorflow_text",
            "2.20.1",
            {"tensorflow_text.py": TEXT + ANYTHING},
            ["tensorflow>=2.20,<2.21", "helper<2", "promise", 'absent; extra == "tests"'],
        ),
        *(build(site / "helper", "helper", version, {"helper/data.py": "x = 1\n"}) for version in ("1.0", "2.0")),
        build(site / "another", "another", "1.0", {"another.py": "x = 1\n"}),
        _pip(site / "pip"),
    ]
    (site / "promise").mkdir()
    (site / "promise" / "promise-2.3.tar.gz").write_bytes(b"no wheel")
    for folder in {wheel.parent for wheel in wheels} | {site / "promise"}:
        links = "".join(f'<a href="{path.name}">{path.name}</a><br>\n' for path in sorted(folder.iterdir()))
        (folder / "index.html").write_text(f"<!DOCTYPE html><html><body>\n{links}</body></html>\n")


def _pip(folder: Path) -> Path:
    """The pip of this environment as a wheel."""
    pip = distribution("pip")
    paths = {str(path): path.locate() for path in pip.files or () if path.suffix != ".pyc"}
    members = {
        name: path.read_bytes()
        for name, path in paths.items()
        if name.startswith(("pip/", "pip-")) and name.rpartition("/")[2] not in {"RECORD", "INSTALLER", "REQUESTED"}
    }
    info = f"pip-{pip.version}.dist-info"
    folder.mkdir(parents=True)
    path = folder / f"pip-{pip.version}-py3-none-any.whl"
    fakewheels.write_zip(path, {**members, f"{info}/RECORD": fakewheels.record_of(members, info)})
    with zipfile.ZipFile(path) as archive:
        assert f"{info}/WHEEL" in archive.namelist()
    return path


def runtime() -> Runtime:
    """A runtime with the packages of the index."""
    pins = {"tensorflow": "2.20.0", "tensorflow-text": "2.20.1", "numpy": "2.0.2", "helper": "1.0", "another": "1.0"}
    pins |= {"pip": distribution("pip").version, "promise": "2.3", "unneeded": "1.0"}
    return Runtime(name="2000.01", python=platform.python_version(), pins=pins, direct=("google-colab",))


def use_index(patch: pytest.MonkeyPatch, address: str) -> None:
    """Let pip and uv know this index alone."""
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT", "UV_EXTRA_INDEX_URL", "UV_INDEX"):
        patch.delenv(name, raising=False)
    patch.setenv("PIP_CONFIG_FILE", "/dev/null")
    patch.setenv("PIP_INDEX_URL", address)
    patch.setenv("UV_DEFAULT_INDEX", address)
    patch.setenv("UV_NO_CONFIG", "1")


def attempt(wheel: Path, imitation: Imitation, cache: Path, folder: Path, *, url: str) -> Trial:
    """A trial of a wheel that is served, with constraints that keep a package."""
    (folder / "constraints.txt").write_text("helper==1.0\n")
    facts: dict[str, Any] = {"file": wheel.name, "size": wheel.stat().st_size}
    return Trial(
        original=imitation,
        cache=cache,
        entry=entry(VERSION, TAG.removeprefix("cp"), "cpu", **facts),
        address=url.removesuffix("cpu/"),
        constraints=str(folder / "constraints.txt"),
        log=folder / "log.txt",
    )
