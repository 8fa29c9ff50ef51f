"""Install files for users: exact-pin commands, locks with hashes for each Python, and constraints for Colab.

No file names the index of a dependency: that is the user's choice. PEP 751 requires a ``url`` or a ``path`` for each
wheel, so the lock files give a path: ``wheels/`` beside the lock, which ``pip download`` fills.
"""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import tomli_w
from packaging.utils import canonicalize_name, parse_wheel_filename

from tfwheel.index.errors import LockError
from tfwheel.system import scratch
from tfwheel.system.errors import CommandError
from tfwheel.system.files import write_atomically
from tfwheel.system.processes import run
from tfwheel.wheel.errors import IndexEntryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tfwheel.colab.runtimes import Runtime
    from tfwheel.index.ledger_entry import LedgerEntry

ADDRESS = "ADDRESS/"  # placeholder for the URL of the site if none is configured
WHEELHOUSE = "wheels"
COMMANDS = """\
# Exact pins: nothing else installs these wheels, and nothing replaces them by accident.
# A plain `pip install tensorflow` keeps what is there, and `-U` takes whatever is newest anywhere.
"""
CONSTRAINTS = """\
# The packages of Colab's runtime {runtime} (Python {python}, TensorFlow {tensorflow}), except TensorFlow itself:
#   pip install -c THIS --extra-index-url {address} "tensorflow==VERSION"
# changes only TensorFlow, or names the conflict. Left out, because Colab installs them from a URL:
#   {direct}
"""
REQUIREMENTS = """\
# {pin} and all it needs, for Python {python} on x86_64 Linux, each file by its sha256.
# For a new environment, not for Colab's own, whose packages it would replace by these.
#   pip install --require-hashes -r THIS
"""
PYLOCK = """\
# {pin} and all it needs, for Python {python} on x86_64 Linux (PEP 751), each file by its sha256.
# Get the files once, with the requirements file beside this one, then install them anywhere, without a network:
#   pip download --require-hashes --only-binary :all: -r {requirements} -d {wheelhouse}
#   uv pip install --preview-features pylock -r {pylock}
"""


@dataclass(frozen=True, kw_only=True)
class Lock:
    """A version with all its dependencies for one Python ("3.12"): requirements and PEP 751 lock, without headers."""

    line: str
    project: str
    version: str
    python: str
    requirements: str
    pylock: str

    @property
    def pin(self) -> str:
        """The requirement that was locked."""
        return f"{self.project}=={self.version}"

    @property
    def folder(self) -> str:
        """Its folder below the root of the site."""
        return f"install/{self.line}/{self.version}"

    @property
    def requirements_name(self) -> str:
        """The file name of the requirements file."""
        return f"requirements-{self.project}-cp{self.python.replace('.', '')}.txt"

    @property
    def pylock_name(self) -> str:
        """The file name of the PEP 751 lock."""
        return f"pylock.{self.project}-cp{self.python.replace('.', '')}.toml"


def pythons(file: str) -> tuple[str, ...]:
    """Return the Pythons in the tags of a wheel's file name ("3.12"); empty for a wheel for any Python 3."""
    tags = parse_wheel_filename(file)[3]
    found = {match for tag in tags if (match := re.fullmatch(r"cp3(\d+)", tag.interpreter))}
    return tuple(f"3.{minor}" for minor in sorted({int(match[1]) for match in found}))


def render(
    entries: Iterable[LedgerEntry], locks: Iterable[Lock], *, runtimes: Sequence[Runtime], base_url: str
) -> dict[str, bytes]:
    """Render all files below ``install/``, by path below the root of the site.

    ``base_url`` is the URL of the site ending with a slash, or empty; then the files say ADDRESS/.
    Yanked versions get commands (a pin still selects them), removed ones get nothing.
    """
    address = base_url or ADDRESS
    files = {f"install/{constraints_name(runtime)}": _constraints(runtime, address) for runtime in runtimes}
    shown = sorted(
        (entry for entry in entries if entry.removed is None), key=lambda entry: (entry.line, entry.version, entry.pin)
    )
    for (line, version), group in groupby(shown, key=lambda entry: (entry.line, entry.version)):
        pins = dict.fromkeys(entry.pin for entry in group)
        files[f"install/{line}/{version}/commands.txt"] = _commands(pins, f"{address}{line}/")
    for lock in locks:
        head = REQUIREMENTS.format(pin=lock.pin, python=lock.python)
        head += (
            f"--extra-index-url {base_url}{lock.line}/\n"
            if base_url
            else f"#   (with the index {ADDRESS}{lock.line}/)\n"
        )
        files[f"{lock.folder}/{lock.requirements_name}"] = (head + lock.requirements).encode()
        files[f"{lock.folder}/{lock.pylock_name}"] = (_pylock_head(lock) + lock.pylock).encode()
    return files


def constraints_name(runtime: Runtime) -> str:
    """Return the file name of a runtime's constraints."""
    return f"constraints-colab-{runtime.name}.txt"


def collect(entries: Iterable[LedgerEntry], folder: Path, *, index_url: str, platform: str) -> list[Lock]:
    """Return a lock for each installable version and Python, from ``<folder>/install/`` or newly made.

    A published lock never changes, although a new one would find newer dependencies. ``index_url`` is the URL of the
    served site, ending with a slash; ``platform`` is the newest supported one ("manylinux_2_35_x86_64"). Raises the
    errors of ``make``.
    """
    return [
        _kept(bare, folder) or make(bare, extra=extra, index_url=f"{index_url}{bare.line}/", platform=platform)
        for bare, extra in _wanted(entries)
    ]


def kept(entries: Iterable[LedgerEntry], folder: Path) -> list[Lock]:
    """Read the locks of these entries that exist in ``<folder>/install/``."""
    return [lock for bare, _ in _wanted(entries) if (lock := _kept(bare, folder))]


def save(locks: Iterable[Lock], folder: Path) -> None:
    """Write locks where ``kept`` finds them."""
    for name, data in render((), locks, runtimes=(), base_url="").items():
        write_atomically(folder / name, data)


def _wanted(entries: Iterable[LedgerEntry]) -> list[tuple[Lock, str]]:
    """Return an empty lock, and the extra to lock with, for each installable version and Python."""
    wanted = {
        (entry.line, entry.project, entry.version, python): _extra(entry)
        for entry in entries
        if entry.yanked is None and entry.removed is None
        for python in pythons(entry.file)
    }
    return [
        (Lock(line=line, project=project, version=version, python=python, requirements="", pylock=""), extra)
        for (line, project, version, python), extra in sorted(wanted.items())
    ]


def make(bare: Lock, *, extra: str, index_url: str, platform: str) -> Lock:
    """Resolve a pin for its Python with uv, from a served sub-index and the configured index, wheels only.

    ``extra`` is "" or an extra of the project ("[and-cuda]"). Raises LockError when there is no solution, and
    IndexEntryError when the solution contains a URL.
    """
    with scratch.folder("lock") as folder:
        (folder / "in.txt").write_text(f"{bare.project}{extra}=={bare.version}\n", encoding="utf-8")
        texts = []
        for output, options in (("requirements.txt", ["--generate-hashes"]), ("pylock.toml", [])):
            argv = [sys.executable, "-m", "uv", "--quiet", "pip", "compile", "in.txt"]
            argv += ["--format", output, "--output-file", output, "--no-header", "--no-annotate", *options]
            argv += ["--extra-index-url", index_url, "--only-binary", ":all:", "--python-version", bare.python]
            argv += ["--python-platform", _uv_platform(platform)]
            try:
                run(argv, cwd=folder)
            except CommandError as error:
                message = f"{bare.pin} for Python {bare.python} cannot be locked\n{error.message}"
                raise LockError(message) from error
            texts.append((folder / output).read_text(encoding="utf-8"))
    return Lock(
        line=bare.line,
        project=bare.project,
        version=bare.version,
        python=bare.python,
        requirements=_without_urls(texts[0], bare),
        pylock=_without_urls(portable_pylock(texts[1]), bare),
    )


def _extra(entry: LedgerEntry) -> str:
    """Return the extra of TensorFlow that requires the CUDA libraries, for a wheel with GPU code; else ""."""
    return "[and-cuda]" if entry.project == "tensorflow" and entry.gpu_code else ""


def portable_pylock(text: str) -> str:
    """Rewrite a lock of uv: each wheel is a path in the wheelhouse with name, size and hashes, without a URL."""
    lock = tomllib.loads(text)
    for package in lock["packages"]:
        for key in ("index", "sdist"):
            package.pop(key, None)
        package["wheels"] = [_portable_wheel(wheel) for wheel in package.get("wheels", [])]
    return tomli_w.dumps(lock)


def _portable_wheel(wheel: dict[str, Any]) -> dict[str, Any]:
    name = wheel.get("name") or unquote(urlsplit(wheel["url"]).path).rpartition("/")[2]
    kept: dict[str, Any] = {key: wheel[key] for key in ("size", "hashes") if key in wheel}
    return {"name": name, "path": f"{WHEELHOUSE}/{name}", **kept}


def _without_urls(text: str, lock: Lock) -> str:
    found = re.search(r"\S*://\S*", text)
    if found:
        message = f"the lock of {lock.pin} for Python {lock.python} names a URL: {found[0]}"
        raise IndexEntryError(
            message, remedy="Require names and versions, never URLs: others must be able to install it."
        )
    return text


def _uv_platform(policy: str) -> str:
    """Return uv's name of a platform policy: ``x86_64-manylinux_2_35``."""
    return f"x86_64-{policy.removesuffix('_x86_64')}"


def _kept(bare: Lock, site: Path) -> Lock | None:
    """Read a lock from a site, without its headers; None if it does not exist."""
    folder = site / bare.folder
    try:
        requirements = (folder / bare.requirements_name).read_text(encoding="utf-8")
        pylock = (folder / bare.pylock_name).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    return Lock(
        line=bare.line,
        project=bare.project,
        version=bare.version,
        python=bare.python,
        requirements=_body(requirements),
        pylock=_body(pylock),
    )


def _body(text: str) -> str:
    lines = text.splitlines(keepends=True)
    start = next((i for i, line in enumerate(lines) if not line.startswith(("#", "--extra-index-url"))), len(lines))
    return "".join(lines[start:])


def _pylock_head(lock: Lock) -> str:
    return PYLOCK.format(
        pin=lock.pin,
        python=lock.python,
        requirements=lock.requirements_name,
        pylock=lock.pylock_name,
        wheelhouse=WHEELHOUSE,
    )


def _commands(pins: Iterable[str], index: str) -> bytes:
    commands = [
        f'{program} --extra-index-url {index} "{pin}"' for pin in pins for program in ("pip install", "uv pip install")
    ]
    return (COMMANDS + "".join(f"{command}\n" for command in commands)).encode()


def _constraints(runtime: Runtime, address: str) -> bytes:
    head = CONSTRAINTS.format(
        runtime=runtime.name,
        python=runtime.python,
        tensorflow=runtime.tensorflow,
        address=f"{address}LINE/",
        direct=", ".join(runtime.direct) or "none",
    )
    pins = [f"{name}=={version}\n" for name, version in runtime.pins.items() if canonicalize_name(name) != "tensorflow"]
    return (head + "".join(pins)).encode()
