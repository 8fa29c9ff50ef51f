"""TensorFlow's wheel with the ops inside, and the ops wheel, installed and removed in any order by pip and by uv."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fakewheels
from tfwheel.config.targets import OpsRules
from tfwheel.wheel import sbom
from tfwheel.wheel.overlay import merge_overlay

if TYPE_CHECKING:
    from collections.abc import Callable

UV = Path(sys.executable).parent / "uv"
TAG = "py3-none-manylinux_2_24_x86_64"
TARGET = fakewheels.target(fakewheels.CPU, python=f"{sys.version_info.major}.{sys.version_info.minor}")
PACKAGE = """\
from tfwheel_ops import _native
from tfwheel_ops._native import library
WHO = {who!r}
"""
NATIVE = "from pathlib import Path\ndef library(): return Path(__file__).with_name('_ops.so').read_bytes().decode()\n"
ASK = """\
import inspect, pickle, sys, types
loaded = []
loader = types.SimpleNamespace(load_library=lambda path: loaded.append(open(path).read()))
sys.modules["tensorflow.python.framework"] = types.SimpleNamespace(load_library=loader)
try:
    import tensorflow
except ModuleNotFoundError:
    pass
assert "tfwheel_ops" not in sys.modules
import tfwheel_ops
from importlib import resources
from tfwheel_ops import _native
assert pickle.loads(pickle.dumps(_native.library)) is tfwheel_ops.library is _native.library
assert inspect.getsource(tfwheel_ops) == resources.files("tfwheel_ops").joinpath("__init__.py").read_text()
print(tfwheel_ops.__name__, tfwheel_ops.__spec__.name, tfwheel_ops.WHO, tfwheel_ops.library(), loaded)
"""


def ops_wheel(folder: Path, who: str) -> Path:
    """A repaired ops wheel, whose package and library say whose they are."""
    members = {
        "tfwheel_ops/__init__.py": PACKAGE.format(who=who).encode(),
        "tfwheel_ops/_native.py": NATIVE.encode(),
        fakewheels.OP_LIBRARY: who.encode(),
        "tfwheel_ops/py.typed": b"",
    }
    wheel = fakewheels.write_wheel(folder, members, name="tfwheel_ops", version=TARGET.version, tag=TAG)
    sbom.embed(wheel, sbom.of_ops(project="tfwheel-ops", target=TARGET, ops=["op"], tools={}))
    return wheel


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The two wheels, by the name of their project."""
    folder = tmp_path_factory.mktemp("wheels")
    base = fakewheels.fake_base(folder, python=TARGET.python_tag, project="tensorflow_cpu", binary=False)
    merged = merge_overlay(
        base=base,
        locked=fakewheels.locked(base),
        ops=ops_wheel(folder / "inside", "TensorFlow's"),
        target=TARGET,
        patches=folder / "none",
        out_dir=folder / "out",
        rules=OpsRules(autoload={"tfwheel_ops": True}),
    )
    return {"tensorflow": merged.wheel, "tfwheel-ops": ops_wheel(folder / "alone", "alone")}


def pip(python: Path) -> list[str | Path]:
    """The words that begin a command of pip for another Python."""
    return [sys.executable, "-m", "pip", "--python", python, "--quiet"]


def uv(_: Path) -> list[str | Path]:
    """The words that begin a command of uv; it finds the environment by a variable."""
    return [UV, "pip", "--quiet"]


@pytest.mark.parametrize("client", [pip, uv])
def test_either_wheel_can_come_and_go(
    client: Callable[[Path], list[str | Path]], wheels: dict[str, Path], tmp_path: Path
) -> None:
    environment = tmp_path / "venv"
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, environment], check=True)
    python = environment / "bin" / "python"
    variables = {**os.environ, "VIRTUAL_ENV": str(environment), "UV_CACHE_DIR": str(tmp_path / "cache")}
    variables.pop("UV_PYTHON", None)  # nox sets it: uv would prefer that environment
    yes = ["-y"] if client is pip else []

    def run(*words: str | Path) -> None:
        subprocess.run([*client(python), *words], check=True, env=variables)

    def install(name: str, *options: str | Path) -> None:
        run("install", "--no-deps", "--no-index", *options, wheels[name])

    def remove(name: str) -> None:
        run("uninstall", *yes, name)

    def asked(**more: str) -> str:
        done = subprocess.run(
            [python, "-c", ASK], capture_output=True, text=True, check=False, env={**os.environ, **more}
        )
        return done.stdout.strip() or done.stderr.strip().splitlines()[-1]

    inside = """tfwheel_ops tfwheel_ops TensorFlow's TensorFlow's ["TensorFlow's"]"""
    alone = "tfwheel_ops tfwheel_ops alone alone"
    install("tensorflow")
    assert asked() == inside
    install("tfwheel-ops", "--target", tmp_path / "other")
    assert asked(PYTHONPATH=str(tmp_path / "other")) == f"{alone} ['alone']"
    install("tfwheel-ops")
    assert asked() == f"{alone} ['alone']"
    remove("tfwheel-ops")
    assert asked() == inside
    install("tfwheel-ops")
    remove("tensorflow")
    assert asked() == f"{alone} []"
    install("tensorflow")
    assert asked() == f"{alone} ['alone']"
    remove("tfwheel-ops")
    assert asked() == inside
    remove("tensorflow")
    assert asked() == "ModuleNotFoundError: No module named 'tfwheel_ops'"
