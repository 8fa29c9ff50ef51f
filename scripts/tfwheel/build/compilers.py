"""Finds the compilers of this machine: a C++ compiler, an nvcc of the right CUDA major, a clang that supports CUDA.

Missing compilers are installed if possible (root on Debian or Ubuntu); otherwise the error prints the command.
"""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tfwheel.build.errors import NoCompilerError
from tfwheel.system import distribution
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run

OLDEST_CLANG = 17  # the first that supports CUDA 12 and sm_90
CLANGS = (19, 18, 17, 20, 21, 22, 23, 24)  # in order of preference: the versions tested with this project first
PACKAGE_MANAGERS = {  # by ID or ID_LIKE of os-release(5)
    "fedora": "dnf install gcc-c++ clang",
    "rhel": "dnf install gcc-c++ clang",
    "suse": "zypper install gcc-c++ clang",
    "arch": "pacman -S gcc clang",
}


@dataclass(frozen=True, kw_only=True)
class Compiler:
    """A compiler on this machine and the version line that it prints."""

    path: Path
    version: str

    def __str__(self) -> str:
        """Path and version, for messages."""
        return f"{self.path} ({self.version})"


def host() -> Compiler:
    """Find the C++ compiler: ``$CXX`` or g++ (installed if missing and permitted); else NoCompilerError."""
    name = os.environ.get("CXX") or "g++"
    path = shutil.which(name)
    if path is None and name != "g++":
        message = f"CXX names `{name}`, and there is no such program"
        raise NoCompilerError(message, remedy="Correct CXX, or unset it to use g++.")
    if path is None:
        _install("g++")
        path = shutil.which("g++") or "g++"
    remedy = "Correct CXX, or unset it to use g++." if os.environ.get("CXX") else "Install it again."
    try:
        version = _first_line(path)
    except CommandError as error:
        message = f"{path} is no compiler that runs: {error.message.splitlines()[0]}"
        raise NoCompilerError(message, remedy=remedy) from error
    if not version:
        message = f"{path} is no compiler: `{path} --version` prints nothing"
        raise NoCompilerError(message, remedy=remedy)
    return Compiler(path=Path(path), version=version)


def nvcc(cuda: str) -> tuple[Compiler | None, list[str]]:
    """Find an nvcc with the major version of ``cuda`` ("12.5.1"); returns it, or None, and a note on each rejected one.

    Searches ``CUDA_HOME`` and ``CUDA_PATH``, then PATH.
    """
    notes = []
    for place, path in _nvccs():
        if path is None:
            notes.append(f"{place} holds no bin/nvcc")
            continue
        try:
            said = run([path, "--version"])
        except CommandError as error:
            notes.append(f"the nvcc of {place} does not run ({error.message.splitlines()[0]})")
            continue
        release = re.search(r"release (\d+)\.\d+, V([\d.]+)", said)
        if release and release[1] == cuda.partition(".")[0]:
            return Compiler(path=path, version=f"nvcc {release[2]}"), notes
        notes.append(f"the nvcc of {place} is of {f'CUDA {release[2]}' if release else 'no known version'}")
    return None, notes


def cuda_root(path: Path) -> Path:
    """Ask an nvcc for the folder of its toolkit (the program on PATH may be a wrapper elsewhere)."""
    try:
        answer = run([path, "--dryrun", "-x", "cu", "-E", "/dev/null"])
    except CommandError as error:
        message = f"{path} is no nvcc that runs: {error.message.splitlines()[0]}"
        raise NoCompilerError(message, remedy="Set CUDA_HOME to a whole CUDA toolkit, or unset it.") from error
    top = re.search(r"^#\$ TOP=(.+)$", answer, re.MULTILINE)
    return Path(top[1]).resolve() if top else path.resolve().parents[1]


def clang() -> Compiler:
    """Find a clang++ that compiles CUDA 12 (installed if missing and permitted); else NoCompilerError."""
    found = _installed_clang()
    if found is None:
        _install("clang")
        found = _installed_clang()
    if found is None:
        message = f"clang was installed, but no clang++ {OLDEST_CLANG} or newer is on PATH"
        raise NoCompilerError(message)
    return found


def _nvccs() -> list[tuple[str, Path | None]]:
    """List the candidates for nvcc in order: (where it was searched, the program or None)."""
    found: list[tuple[str, Path | None]] = []
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if root := os.environ.get(variable):
            path = Path(root) / "bin" / "nvcc"
            found.append((f"{variable}={root}", path if path.is_file() else None))
    on_path = shutil.which("nvcc")
    return [*found, ("PATH", Path(on_path))] if on_path else found


def _installed_clang() -> Compiler | None:
    for name in (*(f"clang++-{number}" for number in CLANGS), "clang++"):
        if path := shutil.which(name):
            version = ""
            with suppress(CommandError):  # what does not run is none
                version = _first_line(path)
            number = re.search(r"version (\d+)", version)
            if number and int(number[1]) >= OLDEST_CLANG:
                return Compiler(path=Path(path), version=version)
    return None


def _first_line(path: str) -> str:
    return run([path, "--version"]).partition("\n")[0].strip()


def _install(what: str) -> None:
    """Install g++ or clang as root on a Debian-like system; elsewhere NoCompilerError with the command."""
    family = distribution.family()
    if not distribution.may_install():
        message = f"there is no {what} on PATH" + (f" ({OLDEST_CLANG} or newer)" if what == "clang" else "")
        raise NoCompilerError(message, remedy=_remedy(what, family))
    try:
        distribution.refresh()
        package = _apt_package(what)
        if package is None:
            message = f"there is no clang {OLDEST_CLANG} or newer here, and this distribution has none to install"
            raise NoCompilerError(message, remedy=_remedy(what, family))
        distribution.install(package)
    except CommandError as error:
        message = f"there is no {what}, and apt-get could not install it: {error.message}"
        raise NoCompilerError(message, remedy=_remedy(what, family)) from error


def _apt_package(what: str) -> str | None:
    """Return the apt package for "g++" or "clang"; None if apt has no clang that is new enough."""
    if what != "clang":
        return what
    listing = run(["apt-cache", "search", "--names-only", "^clang-[0-9]+$"])
    known = re.findall(r"^clang-(\d+) ", listing, re.MULTILINE)
    return next((f"clang-{number}" for number in CLANGS if str(number) in known), None)


def _remedy(what: str, family: str) -> str:
    otherwise = " Or set CUDA_HOME to a CUDA toolkit of that line." if what == "clang" else ""
    if family in PACKAGE_MANAGERS:
        return f"Run `sudo {PACKAGE_MANAGERS[family]}`, then run again.{otherwise}"
    package = _apt_package(what) if family == "debian" and shutil.which("apt-cache") else None
    if package:
        return f"Run `{distribution.command(package)}`, then run again.{otherwise}"
    wanted = f"clang {OLDEST_CLANG} or newer" if what == "clang" else what
    return f"Install {wanted} and see that it is on PATH.{otherwise}"
