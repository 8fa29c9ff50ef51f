"""Packs built custom-op projects into the one ops wheel: their packages, requirements and licences."""

from __future__ import annotations

import re
import stat
import zipfile
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tfwheel.build import foreign_wheel
from tfwheel.build.errors import OpsSourceError
from tfwheel.config.targets import WHEEL_EPOCH
from tfwheel.gpu import elf
from tfwheel.system.processes import run
from tfwheel.wheel import core_metadata, metadata
from tfwheel.wheel.reader import CHUNK, WheelReader
from tfwheel.wheel.writer import Changes, NewFile, merge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tfwheel.build.ops_builds import BuiltProject
    from tfwheel.config.targets import Target

PROJECT = "tfwheel-ops"
TAG = "py3-none-linux_x86_64"
WHEEL = f"Wheel-Version: 1.0\nGenerator: tfwheel\nRoot-Is-Purelib: false\nTag: {TAG}\n"
METADATA = """\
Metadata-Version: 2.4
Name: {name}
Version: {version}
Summary: Custom ops for TensorFlow {tensorflow}: {projects}
Requires-Python: >=3.9
Requires-Dist: tensorflow=={minor}.*
Description-Content-Type: text/markdown

Custom ops for TensorFlow {tensorflow}, in the packages {packages}. An op loads only on the TensorFlow it was built for.
"""
ORIGIN = "$ORIGIN"
INSIDE = re.compile(r"\$(ORIGIN|\{ORIGIN\})(/|$)")  # how a search path that moves with the wheel begins


def pack(built: Sequence[BuiltProject], *, target: Target, out_dir: Path) -> Path:
    """Write the ops wheel of a target from its projects; the same files give the same bytes.

    Metadata is that of the project whose wheel is called tfwheel-ops, if one is. Raises OpsSourceError for two files of
    one name, and BadWheelError for METADATA that cannot be read.
    """
    info = f"{PROJECT.replace('-', '_')}-{target.version}.dist-info"
    leading = next((one for one in built if one.metadata and _is_leading(one.metadata)), None)
    added: dict[str, NewFile] = {}
    licenses: list[str] = []
    for project in built:
        own = {
            name if project is leading else f"{project.name}/{name}": path for name, path in project.licenses.items()
        }
        licenses += own if project is not leading else []
        there = {str(path.relative_to(project.folder)): path for path in _files(project.folder)}
        there |= {f"{info}/licenses/{name}": path for name, path in own.items()}
        if twice := sorted(added.keys() & there):
            message = f"two custom-op projects have the file {twice[0]}"
            raise OpsSourceError(message)
        added |= {name: _new(path) for name, path in there.items()}
    parts = {"METADATA": _metadata(built, leading, target, sorted(licenses)), "WHEEL": WHEEL.encode()}
    wheel = out_dir / f"{info.removesuffix('.dist-info')}-{TAG}.whl"
    with WheelReader(_skeleton(out_dir / "empty" / wheel.name, info, parts)) as base:
        merge(base, wheel, changes=Changes(dist_info=info, epoch=WHEEL_EPOCH, add=added))
    return wheel


def _skeleton(path: Path, info: str, parts: Mapping[str, bytes]) -> Path:
    """Write a wheel that has metadata alone; return its path."""
    rows = [
        (f"{info}/{name}", metadata.RecordRow(algorithm="sha256", digest=sha256(data).digest(), size=len(data)))
        for name, data in parts.items()
    ]
    record = metadata.format_record(rows, f"{info}/RECORD")
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in {**parts, "RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(f"{info}/{name}"), data)
    return path


def set_search_paths(built: BuiltProject) -> None:
    """Give each library of a project search paths that move with the wheel, where it has others.

    Paths of the machine that built it are removed; TensorFlow's folder and its own are added if it needs libraries of
    them. ld.so(8) has the rules.
    """
    libraries = [path for path in _files(built.folder) if _is_elf(path)]
    names = {path.name for path in libraries}
    for path in libraries:
        with path.open("rb") as stream:
            found = elf.dynamic(stream)
        kept = [one for one in (found.runpath or "").split(":") if INSIDE.match(one)]
        depth = len(path.relative_to(built.folder).parts) - 1
        wanted = [ORIGIN] if names.intersection(found.needed) else []
        if any(name.startswith("libtensorflow") for name in found.needed):
            wanted.append("/".join([ORIGIN, *[".."] * depth, "tensorflow"]))
        paths = [*kept, *(one for one in wanted if one not in kept)]
        if ":".join(paths) != (found.runpath or ""):
            run(["patchelf", "--set-rpath", ":".join(paths), path])


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def _is_elf(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(len(elf.MAGIC)) == elf.MAGIC


def _new(path: Path) -> NewFile:
    def pieces() -> Iterator[bytes]:
        with path.open("rb") as stream:
            yield from iter(partial(stream.read, CHUNK), b"")

    return NewFile(content=pieces(), mode=0o755 if _is_elf(path) or path.stat().st_mode & stat.S_IXUSR else 0o644)


def _metadata(
    built: Sequence[BuiltProject], leading: BuiltProject | None, target: Target, licenses: Sequence[str]
) -> bytes:
    """Return METADATA of the ops wheel: TensorFlow's minor version, and what all projects require."""
    text = METADATA.format(
        name=PROJECT,
        version=target.version,
        tensorflow=target.tensorflow,
        minor=".".join(target.tensorflow.split(".")[:2]),
        projects=", ".join(project.name for project in built),
        packages=", ".join(sorted({path.name for project in built for path in project.folder.iterdir()})),
    )
    old = (leading and leading.metadata) or text.encode()
    known = {Requirement(one) for one in core_metadata.requirements(old)}
    adds = [one for project in built for one in _requires(project) if Requirement(one) not in known]
    pythons = {core_metadata.read(data).get("requires_python", "") for data in (old, *_metadata_of(built))}
    return core_metadata.edit_metadata(
        old,
        name=PROJECT,
        version=target.version,
        adds=list(dict.fromkeys(adds)),
        license_files=licenses,
        python=",".join(sorted(filter(None, pythons))) if len(pythons) > 1 else "",
    )


def _metadata_of(built: Sequence[BuiltProject]) -> list[bytes]:
    return [project.metadata for project in built if project.metadata]


def _requires(project: BuiltProject) -> list[str]:
    """Return what a project requires beside TensorFlow, which the ops wheel requires itself."""
    own = foreign_wheel.requirements(project.metadata) if project.metadata else []
    return [*own, *project.requires]


def _is_leading(data: bytes) -> bool:
    return canonicalize_name(core_metadata.read(data).get("name", "")) == PROJECT
