"""Makes an environment with a runtime's TensorFlow, what depends on it, and all that these need, as in its snapshot.

It is a base environment, not a virtual one, since that is what Colab's users have: a copy of a Python of this machine
with packages of its own. The versions are those of the snapshot, its pip included. What has no wheel is left out.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from imitation import requirements
from imitation.errors import NoImitationError
from tfwheel.system import console, interpreters, kept_folders, scratch
from tfwheel.system.errors import CommandError, PackageIndexError
from tfwheel.system.files import write_atomically
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from packaging.utils import NormalizedName

    from tfwheel.colab.runtimes import Runtime

TENSORFLOW = canonicalize_name("tensorflow")
FACTS = ".imitation.json"
UV = Path(sys.executable).with_name("uv")  # of the factory; the snapshots do not say which one Colab has
# The first pin that uv names in its explanation is the one at fault: each is asked for once, exactly.
UNUSABLE = re.compile(r"([A-Za-z0-9][\w.-]*)==(\S+?),? (has no (?:usable )?wheels[^\n]*)", re.MULTILINE)
MISSING = re.compile(r"there is no version of ([A-Za-z0-9][\w.-]*)==([^\s,]+)")
LAYOUT = """
import json, sys, sysconfig
print(json.dumps([sys.version.split()[0], sys.executable, sysconfig.get_path("stdlib"), sys.platlibdir]))
"""
NOT_COPIED = ("site-packages", "dist-packages", "test", "EXTERNALLY-MANAGED", "config-3*")


@dataclass(frozen=True, kw_only=True)
class Imitation:
    """An imitated runtime in a folder; ``left_out`` maps what its snapshot has and this lacks to the reason.

    ``interpreter`` is the exact version of Python, whose last number may differ from that of Colab's. ``made_in`` is
    the folder that its scripts name.
    """

    folder: Path
    minor: str
    interpreter: str
    left_out: Mapping[str, str]
    made_in: str

    @property
    def programs(self) -> Path:
        """The folder of its programs, which is the first of its PATH."""
        return self.folder / "bin"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.programs / f"python{self.minor}"

    @property
    def site(self) -> Path:
        """The folder of its packages."""
        return self.folder / "lib" / f"python{self.minor}" / "site-packages"

    def variables(self, programs: Path | None = None) -> dict[str, str]:
        """Return the environment variables of a user there; ``programs`` is the folder of another environment's."""
        folders = [str(programs)] if programs else []
        path = os.pathsep.join([*folders, str(self.programs), os.environ.get("PATH", os.defpath)])
        home = {"VIRTUAL_ENV": str(programs.parent) if programs else "", "PYTHONNOUSERSITE": "1"}
        home |= {"PYTHONPATH": "", "PYTHONPYCACHEPREFIX": "", "UV_PYTHON": ""}  # nox has uv install into its own
        return {"PATH": path, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2", "MPLCONFIGDIR": "", **home}


def kept(runtime: Runtime, cache: Path, *, roots: Collection[str]) -> Imitation:
    """Return an imitated runtime from the cache, read only; make it if it is not there.

    ``roots`` are the projects to install, each with all it needs; those that the snapshot lacks are passed over. Raises
    InterpreterMissingError, DownloadError, and NoImitationError where TensorFlow itself is not there.
    """
    interpreter = interpreters.find(runtime.python_minor)
    layout = json.loads(run([interpreter, "-I", "-c", LAYOUT]))
    made_of = [runtime.pins, runtime.direct, sorted(roots), layout, _sources()]
    digest = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
    folder = cache / "imitations" / f"{runtime.name}-{digest[:16]}"
    make = partial(_make, runtime=runtime, layout=layout, roots=roots)
    kept_folders.keep(folder, make, cache=cache, busy=f"another run makes an imitation of {runtime.name}")
    return _opened(folder, runtime)


@contextmanager
def copied(imitation: Imitation, cache: Path) -> Iterator[Imitation]:
    """Yield a copy that may be changed, and delete it when the block ends.

    Its files are links to those of the original: installers replace files, and never write into them.
    """
    with scratch.folder("imitation", where=scratch.within(cache)) as parent:
        folder = parent / "usr"
        shutil.copytree(imitation.folder, folder, symlinks=True, copy_function=os.link)
        (folder / kept_folders.WHOLE).unlink()
        _own_programs(folder, before=imitation.made_in)
        yield replace(imitation, folder=folder, made_in=str(folder))


def _sources() -> str:
    """Return a digest of the modules that make an imitation."""
    texts = [Path(module).read_bytes() for module in (__file__, requirements.__file__)]
    return hashlib.sha256(b"".join(texts)).hexdigest()


def _opened(folder: Path, runtime: Runtime) -> Imitation:
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    return Imitation(folder=folder, minor=runtime.python_minor, **facts)


def _make(new: Path, *, runtime: Runtime, layout: list[str], roots: Collection[str]) -> None:
    """Fill an empty folder: Python, then packages until nothing is missing that the snapshot has."""
    version, executable, stdlib, platlib = layout
    _copy_python(new, Path(executable), Path(stdlib), runtime.python_minor, platlib)
    wanted = Imitation(folder=new, minor=runtime.python_minor, interpreter=version, left_out={}, made_in=str(new))
    pins = {canonicalize_name(name): f"{name}=={release}" for name, release in runtime.pins.items()}
    left_out: dict[NormalizedName, str] = {}
    installed: set[NormalizedName] = set()
    with console.step(f"imitate Colab's runtime {runtime.name} on Python {version}"):
        needed = {canonicalize_name(name) for name in ("pip", *roots)}
        while more := sorted((needed & pins.keys()) - installed - left_out.keys()):
            refused = _install(wanted, [pins[name] for name in more])
            left_out |= refused
            installed |= set(more) - refused.keys()
            needed |= requirements.of_all(wanted.site, python=version)
    left_out |= dict.fromkeys(needed & {canonicalize_name(name) for name in runtime.direct}, "Colab has it from a URL")
    if TENSORFLOW not in installed:
        message = f"the runtime {runtime.name} cannot be imitated: {left_out.get(TENSORFLOW, 'it has no TensorFlow')}"
        raise NoImitationError(message)
    facts = {"interpreter": version, "left_out": dict(sorted(left_out.items())), "made_in": str(new)}
    write_atomically(new / FACTS, json.dumps(facts).encode())


def _copy_python(new: Path, executable: Path, stdlib: Path, minor: str, platlib: str) -> None:
    """Copy an interpreter with its standard library: it takes the folder that it is in for its own."""
    (new / "bin").mkdir()
    shutil.copy(executable.resolve(), new / "bin" / f"python{minor}")
    for name in ("python", "python3"):
        (new / "bin" / name).symlink_to(f"python{minor}")
    (new / "bin" / "uv").symlink_to(UV)
    library = new / "lib" / f"python{minor}"
    shutil.copytree(stdlib, library, symlinks=True, ignore=shutil.ignore_patterns(*NOT_COPIED))
    (library / "site-packages").mkdir()
    if platlib != "lib":
        (new / platlib).symlink_to("lib")
    prefixes = "import sys; print(sys.prefix == sys.base_prefix == sys.argv[1])"
    if run([new / "bin" / "python", "-I", "-c", prefixes, new]).strip() != "True":
        message = f"a copy of {executable} does not take its own folder for its own: it cannot be imitated with it"
        raise NoImitationError(message, remedy=f"Install another Python {minor}, such as pyenv's or uv's.")


def _install(imitation: Imitation, pins: list[str]) -> dict[NormalizedName, str]:
    """Install exact pins without what they need; returns those that have no wheel here, by normalized name, and why."""
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--compile-bytecode", "--break-system-packages"]
    refused: dict[NormalizedName, str] = {}
    while wanted := [pin for pin in pins if canonicalize_name(pin.partition("==")[0]) not in refused]:
        try:
            run([UV, "pip", "install", *options, "--python", imitation.python, *wanted])
        except CommandError as error:
            said = " ".join(error.output.split())
            name, reason = _fault(said)
            if name not in {canonicalize_name(pin.partition("==")[0]) for pin in wanted}:
                message = f"{len(wanted)} packages of the snapshot cannot be installed: {said}"
                raise PackageIndexError(message) from error
            refused[name] = reason
        else:
            break
    return refused


def _fault(said: str) -> tuple[NormalizedName, str]:
    """Return the project that uv names in an explanation of one line, normalized, and what is wrong with it."""
    if found := UNUSABLE.search(said):
        return canonicalize_name(found[1]), f"{found[1]} {found[2]} has no wheel for this Python and machine"
    if found := MISSING.search(said):
        return canonicalize_name(found[1]), f"{found[1]} {found[2]} is not on the package index"
    return canonicalize_name(""), ""


def _own_programs(folder: Path, *, before: str) -> None:
    """Let the scripts of a copied environment start its own Python, not that of the original."""
    for path in (folder / "bin").iterdir():
        if path.is_symlink() or not path.is_file():
            continue
        with path.open("rb") as stream:
            if stream.read(2) != b"#!":
                continue
        text = path.read_bytes().replace(before.encode(), os.fsencode(folder))
        path.unlink()  # the original has the same bytes on disk
        path.write_bytes(text)
        path.chmod(0o755)
