"""Call pip to download official wheels, unpack parts of a toolkit, and find out whether a name is taken."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from tfwheel.system import console
from tfwheel.system.errors import (
    CommandError,
    DiskFullError,
    HashMismatchError,
    NoOfficialWheelError,
    PackageIndexError,
)
from tfwheel.system.files import sha256_of
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tfwheel.errors import FactoryError

PIP = (sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check")
# pip compares platform tags literally, so this lists every glibc that an official wheel may require.
PLATFORMS = ("manylinux2014_x86_64", *(f"manylinux_2_{minor}_x86_64" for minor in range(17, 36)))


def download_wheel(
    *, project: str, version: str, python: str, dest: Path, sha256: str | None = None, size: int | None = None
) -> Path:
    """Download one official x86_64 wheel for a Python ("3.12") into ``dest`` and return its path.

    pip itself checks ``sha256``; ``size`` in bytes is for the progress bar. Raises NoOfficialWheelError,
    HashMismatchError, DiskFullError or DownloadError.
    """
    wanted = f"{project} {version} for Python {python}"
    pin = f"{project}=={version}" + (f" --hash=sha256:{sha256}" if sha256 else "")
    scratch = dest / "scratch"
    scratch.mkdir()
    requirements = scratch / "requirements.txt"
    requirements.write_text(pin + "\n", encoding="utf-8")
    argv = [*PIP, "-vv", "download", "--no-deps", "--no-cache-dir", "--only-binary=:all:", "--implementation=cp"]
    argv += [f"--python-version={python}", f"--abi=cp{python.replace('.', '')}"]
    argv += [f"--platform={platform}" for platform in PLATFORMS]
    argv += ["--dest", str(dest), "--requirement", str(requirements)]
    with console.growing(dest, total=size, name=f"download {wanted}"):
        try:
            run(argv, env={"TMPDIR": str(scratch)})
        except CommandError as error:
            raise _failure(wanted, error, missing=NoOfficialWheelError) from error
    return next(dest.glob("*.whl"))


def install_parts(requirements: Sequence[str], target: Path) -> None:
    """Unpack pinned wheels into a folder with pip, without their dependencies (toolkit parts, not Python packages)."""
    argv = [
        *PIP,
        "install",
        "--no-deps",
        "--no-cache-dir",
        "--only-binary=:all:",
        "--no-compile",
        "--no-warn-conflicts",
    ]
    try:
        run([*argv, "--target", target, *requirements])
    except CommandError as error:
        raise _failure(", ".join(requirements), error, missing=PackageIndexError) from error


def is_claimed(project: str) -> bool:
    """Return whether pip's configured index has a release of that name that this machine could use.

    Raises PackageIndexError when the index did not answer: no answer does not mean that the name is free. A project
    whose files are all for other systems counts as free.
    """
    try:
        run([*PIP, "-vv", "index", "versions", "--pre", "--ignore-requires-python", project])
    except CommandError as error:
        failures = _unread(error.output)
        if "No matching distribution" in error.output and not failures:
            return False
        message = f"is the name {project} taken? {(failures or error.message.splitlines())[-1]}"
        raise PackageIndexError(message) from error
    return True


def check(path: Path, *, sha256: str, size: int) -> None:
    """Raise HashMismatchError unless the file has that size and sha256."""
    found = path.stat().st_size
    if found != size:
        message = f"{path.name} has {found:,} bytes where {size:,} are locked"
        raise HashMismatchError(message)
    digest = sha256_of(path)
    if digest != sha256:
        message = f"{path.name} has sha256 {digest} where {sha256} is locked"
        raise HashMismatchError(message)


def _unread(output: str) -> list[str]:
    """Return what pip could not fetch, but for pages that do not exist.

    Only with -vv does pip report it; otherwise it reports that there is no such project, whatever the index answered.
    """
    found = re.findall(r"Could not fetch URL .*|Skipping page .*|.*Retrying.*", output)
    return [line.strip() for line in found if ": 404 " not in line]


def _failure(what: str, error: CommandError, *, missing: type[FactoryError]) -> FactoryError:
    """Return the error that pip's output stands for: ``missing`` where the index answered and has no such wheel."""
    output = error.output
    errors = [line.strip() for line in output.splitlines() if line.startswith("ERROR")]
    last = errors[-1] if errors else error.message.splitlines()[0]
    if "DO NOT MATCH THE HASHES" in output:
        message = f"{what}: the downloaded file is not the locked one"
        return HashMismatchError(message)
    if "No space left" in output:
        message = f"{what}: no space left while downloading"
        return DiskFullError(message)
    unread = _unread(output)  # pip says "no matching distribution" then, too
    if "No matching distribution" in output and not unread:
        there = re.search(r"\(from versions: (.*)\)", output)
        known = there[1] if there and there[1] != "none" else ""
        message = f"{what}: the index has no such wheel" + (f"; for this Python it has {known}" if known else "")
        official = known and missing is NoOfficialWheelError
        remedy = f"Take one of these versions, or another Python: {known}." if official else None
        return missing(message, remedy=remedy)
    return PackageIndexError(f"{what}: {(unread or [last])[-1]}")
