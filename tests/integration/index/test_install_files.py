"""The install material used as its reader would: real uv makes the locks, real pip and uv install from them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import fakewheels
import pagedata
from tfwheel.index import install_files
from tfwheel.index.errors import LockError
from tfwheel.system import files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
TAG = f"cp{PYTHON.replace('.', '')}"
VERSION = "2.20.0+cu125.1"
PLATFORM = "manylinux_2_35_x86_64"
OUR_ENTRY = pagedata.entry(VERSION, TAG.removeprefix("cp"), "cu12")


def put(root: Path, name: str, version: str, tag: str, *, extra: str = "") -> None:
    """A wheel with a page in a PEP 503 index below ``root``."""
    members = {f"{name}/__init__.py": f'__version__ = "{version}"\n'.encode()}
    wheel = fakewheels.write_wheel(
        root / name.replace("_", "-"), members, name=name, version=version, tag=tag, extra=extra
    )
    url = f"{wheel.name.replace('+', '%2B')}#sha256={files.sha256_of(wheel)}"
    page = wheel.parent / "index.html"
    before = page.read_text(encoding="utf-8") if page.exists() else "<!DOCTYPE html>\n"
    page.write_text(f'{before}<a href="{url}">{wheel.name}</a>\n', encoding="utf-8")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A served site with one TensorFlow, and an ordinary index with what it requires, which pip and uv are told of."""
    put(
        tmp_path / "site" / "cu12",
        "tensorflow",
        VERSION,
        f"{TAG}-{TAG}-manylinux_2_17_x86_64",
        extra="Requires-Dist: gast>=0.6\n",
    )
    for version in ("0.5.0", "0.6.0", "0.7.0"):
        put(tmp_path / "ordinary", "gast", version, "py3-none-any")
    put(tmp_path / "ordinary", "tensorflow", "2.21.0", f"{TAG}-{TAG}-manylinux_2_17_x86_64")
    with pagedata.served(tmp_path / "site") as url, pagedata.served(tmp_path / "ordinary") as ordinary:
        for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", ordinary)
        monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
        monkeypatch.setenv("UV_DEFAULT_INDEX", ordinary)
        monkeypatch.setenv("UV_NO_CACHE", "1")
        monkeypatch.setenv("UV_NO_CONFIG", "1")
        yield url


def written(folder: Path, url: str) -> Path:
    """The install material of the site, in files; returns the folder of the version."""
    locks = install_files.collect([OUR_ENTRY], folder, index_url=url, platform=PLATFORM)
    files = install_files.render([OUR_ENTRY], locks, runtimes=pagedata.RUNTIMES, base_url=url)
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder / "install" / "cu12" / VERSION


def environment(folder: Path) -> Path:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin" / "python"


def versions(python: Path) -> str:
    code = "import gast, tensorflow; print(tensorflow.__version__, gast.__version__)"
    return subprocess.run([python, "-I", "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def call(*words: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *map(str, words)], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_pip_installs_the_requirements_by_hash_alone(site: str, tmp_path: Path) -> None:
    folder = written(tmp_path / "out", site)
    python = environment(tmp_path / "venv")
    requirements = folder / f"requirements-tensorflow-{TAG}.txt"
    call("pip", "--python", python, "install", "--require-hashes", "-r", requirements)
    assert versions(python) == f"{VERSION} 0.7.0"


def test_pip_refuses_other_bytes_under_a_locked_name(site: str, tmp_path: Path) -> None:
    requirements = written(tmp_path / "out", site) / f"requirements-tensorflow-{TAG}.txt"
    wheel = next((tmp_path / "ordinary" / "gast").glob("gast-0.7.0-*.whl"))
    wheel.unlink()
    (wheel.parent / "index.html").write_text("<!DOCTYPE html>\n", encoding="utf-8")
    put(tmp_path / "ordinary", "gast", "0.7.0", "py3-none-any", extra="Keywords: evil\n")
    python = environment(tmp_path / "venv")
    with pytest.raises(AssertionError, match="DO NOT MATCH THE HASHES"):
        call("pip", "--python", python, "install", "--require-hashes", "-r", requirements)


def test_uv_installs_the_pylock_without_a_network_once_pip_fetched_its_files(
    site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(tmp_path / "out", site)
    python = environment(tmp_path / "venv")
    words = [line for line in (folder / f"pylock.tensorflow-{TAG}.toml").read_text().splitlines() if line[:4] == "#   "]
    download, install = (line.removeprefix("#   ") for line in words)
    call(*download.split(), cwd=folder)
    monkeypatch.setenv("UV_OFFLINE", "1")
    call(*install.replace("uv pip install", f"uv pip install --python {python}").split(), cwd=folder)
    assert versions(python) == f"{VERSION} 0.7.0"


def test_uv_refuses_other_bytes_in_the_wheelhouse(site: str, tmp_path: Path) -> None:
    folder = written(tmp_path / "out", site)
    put(tmp_path / "fake", "gast", "0.7.0", "py3-none-any", extra="Keywords: evil\n")
    put(tmp_path / "fake", "tensorflow", VERSION, f"{TAG}-{TAG}-manylinux_2_17_x86_64")
    (folder / "wheels").mkdir()
    for wheel in (tmp_path / "fake").glob("*/*.whl"):
        wheel.rename(folder / "wheels" / wheel.name)
    python = environment(tmp_path / "venv")
    lock = folder / f"pylock.tensorflow-{TAG}.toml"
    with pytest.raises(AssertionError, match=r"[Hh]ash mismatch"):
        call("uv", "pip", "install", "--python", python, "--preview-features", "pylock", "-r", lock)


@pytest.mark.parametrize("program", ["pip", "uv"])
def test_the_printed_commands_install_what_they_name(site: str, tmp_path: Path, program: str) -> None:
    text = (written(tmp_path / "out", site) / "commands.txt").read_text(encoding="utf-8")
    command = next(line for line in text.splitlines() if line.startswith(program)).replace('"', "")
    python = environment(tmp_path / "venv")
    at = f"pip --python {python} install" if program == "pip" else f"uv pip install --python {python}"
    call(*command.replace("uv pip install" if program == "uv" else "pip install", at).split())
    assert versions(python) == f"{VERSION} 0.7.0"


def test_locks_are_kept_although_newer_dependencies_came(site: str, tmp_path: Path) -> None:
    first = written(tmp_path / "out", site)
    before = {path.name: path.read_bytes() for path in first.iterdir()}
    put(tmp_path / "ordinary", "gast", "0.8.0", "py3-none-any")
    assert {path.name: path.read_bytes() for path in written(tmp_path / "out", site).iterdir()} == before


@pytest.mark.parametrize("name", ["requirements", "pylock"])
def test_no_lock_names_the_index_that_its_dependencies_came_from(site: str, tmp_path: Path, name: str) -> None:
    text = next(written(tmp_path / "out", site).glob(f"{name}*")).read_text(encoding="utf-8")
    assert "gast" in text
    assert "://" not in text.replace(site, "")


def test_constraints_hold_what_a_runtime_has(site: str, tmp_path: Path) -> None:
    constraints = written(tmp_path / "out", site).parents[1] / "constraints-colab-2026.08.txt"
    pinned = next(line for line in constraints.read_text(encoding="utf-8").splitlines() if line.startswith("gast=="))
    assert pinned == "gast==0.7.0"
    put(tmp_path / "ordinary", "gast", "0.9.0", "py3-none-any")
    python = environment(tmp_path / "venv")
    call(
        "pip",
        "--python",
        python,
        "install",
        "-c",
        constraints,
        "--extra-index-url",
        f"{site}cu12/",
        f"tensorflow=={VERSION}",
    )
    assert versions(python) == f"{VERSION} 0.7.0"


def test_a_requirement_that_nobody_publishes_is_a_lock_error(site: str, tmp_path: Path) -> None:
    put(
        tmp_path / "site" / "cu12",
        "tensorflow",
        "2.20.0+cu125.2",
        f"{TAG}-{TAG}-manylinux_2_17_x86_64",
        extra="Requires-Dist: gone\n",
    )
    entry = pagedata.entry("2.20.0+cu125.2", TAG.removeprefix("cp"), "cu12")
    with pytest.raises(LockError, match="gone"):
        install_files.collect([entry], tmp_path / "out", index_url=site, platform=PLATFORM)
