"""The only place that fetches anything: wheels and toolkit parts through pip, and what web servers answer."""

from __future__ import annotations

import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import requests

from tfwheel import progress
from tfwheel.errors import (
    CommandError,
    DiskFullError,
    DownloadError,
    FactoryError,
    HashMismatchError,
    NoOfficialWheelError,
)
from tfwheel.records import sha256_of
from tfwheel.run import run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfwheel.targets import Base

PIP = (sys.executable, "-m", "pip", "--no-input", "--disable-pip-version-check")
# pip takes platform tags literally, so every glibc an official wheel may ask for is listed.
PLATFORMS = ("manylinux2014_x86_64", *(f"manylinux_2_{minor}_x86_64" for minor in range(17, 36)))
TIMEOUT_S = 30  # without a byte
LARGEST_ANSWER = 256 << 20


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a server said; ``url`` is where it said it, after redirects. The names in ``headers`` have no case."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes


def ask(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | IO[bytes] | None = None,
    only: int | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """Ask a web server, follow its redirects, and return its answer whatever its status is.

    ``body`` is sent along; a file is read piece by piece while it goes out. With ``only``, the answer's body is read
    where the status is that one: whoever asks for a range is spared the whole file. Raises DownloadError when there is
    no answer within ``timeout_s`` seconds, or one that breaks off or has more than 256 MiB.
    """
    read = bytearray()
    try:
        with requests.request(
            method, url, headers=headers, data=body, timeout=timeout_s, stream=True, allow_redirects=True
        ) as answer:
            wanted = only in (None, answer.status_code)
            for chunk in answer.iter_content(1 << 20) if wanted else ():
                read += chunk
                if len(read) > LARGEST_ANSWER:
                    message = f"{url}: more than {LARGEST_ANSWER:,} bytes, which nothing here has"
                    raise DownloadError(message)
    except requests.RequestException as error:
        message = f"{url}: {error}"
        raise DownloadError(message) from error
    return Answer(url=answer.url, status=answer.status_code, headers=answer.headers, body=bytes(read))


def kept_base(base: Base, cache: Path) -> Path:
    """Where the cache keeps an official wheel, once it was fetched."""
    return cache / "bases" / base.sha256 / base.file


def fetch_base(base: Base, cache: Path) -> Path:
    """The locked official wheel, from the cache or downloaded; its size and sha256 are checked each time.

    Raises HashMismatchError when the bytes are not the locked ones, and DownloadError, NoOfficialWheelError
    or DiskFullError when they could not be had. A wrong file is never kept.
    """
    kept = kept_base(base, cache)
    if kept.is_file():
        try:
            check(kept, sha256=base.sha256, size=base.size)
        except HashMismatchError as error:
            kept.unlink()
            progress.warn(f"{error.message}; fetching it again")
        else:
            return kept
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
        wheel = download_wheel(
            project=base.project,
            version=base.version,
            python=base.python,
            dest=Path(folder),
            sha256=base.sha256,
            size=base.size,
        )
        check(wheel, sha256=base.sha256, size=base.size)
        wheel.replace(kept)
    return kept


def download_wheel(
    *, project: str, version: str, python: str, dest: Path, sha256: str | None = None, size: int | None = None
) -> Path:
    """Download one official x86_64 wheel for a Python ("3.12") into ``dest`` and return its path.

    ``sha256`` makes pip itself refuse other bytes; ``size`` in bytes feeds the progress bar.
    """
    wanted = f"{project} {version} for Python {python}"
    pin = f"{project}=={version}" + (f" --hash=sha256:{sha256}" if sha256 else "")
    scratch = dest / "scratch"
    scratch.mkdir()
    requirements = scratch / "requirements.txt"
    requirements.write_text(pin + "\n", encoding="utf-8")
    argv = [*PIP, "download", "--no-deps", "--no-cache-dir", "--only-binary=:all:", "--implementation=cp"]
    argv += [f"--python-version={python}", f"--abi=cp{python.replace('.', '')}"]
    argv += [f"--platform={platform}" for platform in PLATFORMS]
    argv += ["--dest", str(dest), "--requirement", str(requirements)]
    with progress.growing(dest, total=size, name=f"download {wanted}"):
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
        raise _failure(", ".join(requirements), error, missing=DownloadError) from error


def is_claimed(project: str) -> bool:
    """Whether the user's ordinary index has a release of that name that this machine could use.

    Raises DownloadError when the index did not answer, so that silence is never taken for a free name. A project with
    files for other systems alone counts as free.
    """
    try:
        run([*PIP, "-vv", "index", "versions", "--pre", "--ignore-requires-python", project])
    except CommandError as error:
        # Only with -vv does pip tell what it could not fetch; it ends as if there were no such project.
        unread = re.findall(r"Could not fetch URL .*|Skipping page .*|.*Retrying.*", error.output)
        failures = [line for line in unread if ": 404 " not in line]
        if "No matching distribution" in error.output and not failures:
            return False
        message = f"is the name {project} taken? {(failures or error.message.splitlines())[-1]}"
        raise DownloadError(message) from error
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


def _failure(what: str, error: CommandError, *, missing: type[FactoryError]) -> FactoryError:
    """Name what went wrong, from pip's own words; ``missing`` is for an index that answers and does not have it."""
    said = error.output
    errors = [line.strip() for line in said.splitlines() if line.startswith("ERROR")]
    last = errors[-1] if errors else error.message.splitlines()[0]
    if "DO NOT MATCH THE HASHES" in said:
        message = f"{what}: the downloaded file is not the locked one"
        return HashMismatchError(message)
    if "No space left" in said:
        message = f"{what}: no space left while downloading"
        return DiskFullError(message)
    # pip says "no matching distribution" of an index it cannot reach, too.
    if "No matching distribution" in said and not re.search("Retrying|Could not fetch URL|onnection", said):
        message = f"{what}: the index has no such wheel ({last})"
        return missing(message)
    return DownloadError(f"{what}: {last}")
