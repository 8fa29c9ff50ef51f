"""The gates of a finished wheel: each proves one property by reading the wheel, and has an error of its own.

A gate takes a Candidate and returns what it found, in one line for the record, or raises its error.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from auditwheel.architecture import Architecture  # type: ignore[import-untyped]
from auditwheel.libc import Libc  # type: ignore[import-untyped]
from auditwheel.policy import WheelPolicies  # type: ignore[import-untyped]
from packaging.metadata import Metadata
from packaging.tags import parse_tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from tfwheel.checks.errors import (
    ArchGateError,
    ContentsGateError,
    GraftGateError,
    MetadataGateError,
    PlatformGateError,
    RunpathGateError,
    SizeGateError,
)
from tfwheel.checks.opened_wheel import MergedFiles, OpenedWheel, opened, opened_ops
from tfwheel.gpu import elf, fatbin
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run
from tfwheel.wheel import sbom as bills

if TYPE_CHECKING:
    from collections.abc import Collection

    from packaging.tags import Tag

    from tfwheel.config.targets import Base, RepairRules, Target

OWN_LIBRARIES = {"tensorflow/libtensorflow_framework.so.2", "tensorflow/libtensorflow_cc.so.2"}
SHOWN = 5  # names in one message; the others are counted


def run_gates(merged: MergedFiles, *, base: Path, locked: Base, target: Target, rules: RepairRules) -> dict[str, str]:
    """Hold a merged wheel to every gate, in a fixed order; returns gate name -> finding.

    ``base`` is the official wheel it was made from. Raises the error of the first gate that fails, and BadWheelError
    when one of the two files is not a sound wheel.
    """
    with opened(merged, base=base, locked=locked, target=target, rules=rules) as candidate:
        return {gate.__name__: gate(candidate) for gate in GATES}


def run_ops_gates(wheel: Path, *, target: Target, rules: RepairRules) -> dict[str, str]:
    """Hold a repaired ops wheel to the same gates; returns and raises what ``run_gates`` does."""
    with opened_ops(wheel, target=target, rules=rules) as candidate:
        return {gate.__name__: gate(candidate) for gate in GATES}


def contents(candidate: OpenedWheel) -> str:
    """The members are those expected, and each one shared with the official wheel has its very bytes."""
    names, expected = candidate.files, candidate.expected
    kept = candidate.official.kept.keys() if candidate.official else frozenset()
    faults = {
        "holds what neither its base nor a declared change brings": names - expected,
        "lacks": expected - names,
        "differs from its base, undeclared, in": {
            name for name in names & kept if not candidate.has_official_bytes(name)
        },
    }
    for fault, found in faults.items():
        if found:
            message = f"{candidate.name} {fault}: {_some(found)}"
            raise ContentsGateError(message)
    return f"{len(names)} files: {len(kept)} as in the official wheel, {len(candidate.own)} declared"


def runpath(candidate: OpenedWheel) -> str:
    """Each official library has its locked RUNPATH: read from it where its bytes changed, else known by them."""
    locked = candidate.official.locked.runpaths if candidate.official else {}
    for name, expected in locked.items():
        if candidate.is_official(name):
            continue
        if name not in candidate.libraries:
            message = f"{candidate.name}: `{name}` is gone, or was changed undeclared"
            raise RunpathGateError(message)
        with candidate.libraries[name].open("rb") as stream:
            found = elf.dynamic(stream).runpath
        if found != expected:
            message = f"{candidate.name}: `{name}` has the RUNPATH {found or '(none)'}; locked is {expected}"
            raise RunpathGateError(message)
    return f"{len(locked)} libraries of TensorFlow as locked"


def graft(candidate: OpenedWheel) -> str:
    """No library that TensorFlow or the driver brings was copied in, and a repair copied in none at all."""
    for name in sorted(candidate.files - OWN_LIBRARIES):
        path = PurePosixPath(name)
        if path.parts[0].endswith(".libs"):
            message = f"{candidate.name}: a repair copied `{name}` in"
            raise GraftGateError(message)
        if ".so" not in path.suffixes:
            continue
        if pattern := next((one for one in candidate.rules.exclude if fnmatch(path.name, one)), None):
            message = f"{candidate.name}: `{name}` must not be in a wheel (`{pattern}` in repair.toml)"
            raise GraftGateError(message)
    return "no library copied in"


def platform(candidate: OpenedWheel) -> str:
    """The platform tags are within the ceiling, and its own libraries need no newer symbols than those promise.

    The policies are auditwheel's (PEP 600). Of several tags the oldest counts: a wheel installs where one fits.
    """
    policies = WheelPolicies(libc=Libc.GLIBC, arch=Architecture.x86_64)
    ceiling = policies.get_policy_by_name(candidate.rules.ceiling)
    try:
        claimed = max(policies.get_policy_by_name(tag.platform) for tag in _tags(candidate))
    except LookupError as error:
        message = f"{candidate.name}: not a manylinux wheel for x86_64 ({error})"
        raise PlatformGateError(message) from error
    if claimed < ceiling:
        message = f"{candidate.name} needs {claimed.name}, and the ceiling is {ceiling.name}"
        raise PlatformGateError(message)
    for name, path in candidate.libraries.items():
        with path.open("rb") as stream:
            needs = {f"{family}_{number}" for family, number in elf.dynamic(stream).versions.items()}
        needed = policies.versioned_symbols_policy({name: needs})
        if needed < claimed:
            message = (
                f"{candidate.name}: `{name}` needs {needed.name} for {_some(needs)}; the file name says {claimed.name}"
            )
            raise PlatformGateError(message)
    return f"{claimed.name}, ceiling {ceiling.name}"


def arch(candidate: OpenedWheel) -> str:
    """The GPU code in its own libraries is exactly what the line promises; a line without CUDA has none.

    Of TensorFlow's libraries, where they were retargeted, gates of their own speak.
    """
    promised = candidate.target.line.gpu_code
    retargeted = candidate.target.line.retarget
    others = retargeted.libraries if retargeted else ()
    own = {name: path for name, path in candidate.libraries.items() if PurePosixPath(name).name not in others}
    found = {name: fatbin.archs_of(path) for name, path in own.items()}
    with_code = {name: archs for name, archs in found.items() if archs}
    for name, archs in with_code.items():
        if set(archs) != set(promised):
            message = f"{candidate.name}: `{name}` has GPU code for {_list(archs)}; the line promises {_list(promised)}"
            raise ArchGateError(message)
    if found and promised and not with_code:
        message = f"{candidate.name}: no GPU code in {_some(found)}; the line promises {_list(promised)}"
        raise ArchGateError(message)
    return f"{_list(promised) if with_code else 'no GPU code'} in {len(found)} libraries of its own"


def size(candidate: OpenedWheel) -> str:
    """The file is not larger than what hosts of wheels take."""
    found, limit = candidate.wheel.path.stat().st_size, candidate.rules.max_bytes
    if found > limit:
        message = f"{candidate.name} has {found:,} bytes; the limit is {limit:,}"
        raise SizeGateError(message)
    return f"{found:,} bytes, limit {limit:,}"


def metadata(candidate: OpenedWheel) -> str:
    """File name, METADATA and WHEEL are valid, agree with each other, and say what the target is.

    Held against the core metadata specification (by packaging), PEP 427, and ``twine check --strict``.
    """
    parsed = _parsed(candidate)
    tags = _tags(candidate)
    project, version = candidate.name.split("-")[:2]
    disagreements = {
        "project": {canonicalize_name(parsed.name), canonicalize_name(project), candidate.project},
        "version": {str(parsed.version), version, candidate.target.version},
        "metadata folder": {candidate.wheel.dist_info, f"{project}-{version}.dist-info"},
        "tags": {" ".join(sorted(map(str, tags))), " ".join(sorted(map(str, _tags_in_wheel_file(candidate))))},
        "Python tag": {f"{tag.interpreter}-{tag.abi}" for tag in tags} | {candidate.tag},
    }
    for what, values in disagreements.items():
        if len(values) > 1:
            message = (
                f"{candidate.name}: file name, metadata and target disagree on the {what}: {_list(sorted(values))}"
            )
            raise MetadataGateError(message)
    pythons = parsed.requires_python
    if pythons is None or candidate.target.python not in pythons:
        message = f"{candidate.name}: Requires-Python is `{pythons or ''}`; the target is {candidate.target.python}"
        raise MetadataGateError(message)
    _ask_twine(candidate)
    return (
        f"{parsed.name} {parsed.version}, {len(parsed.requires_dist or [])} requirements, twine check --strict passed"
    )


def sbom(candidate: OpenedWheel) -> str:
    """The bill of materials (PEP 770) is there, is of this wheel, and names the official wheel that is locked."""
    locked = candidate.official.locked if candidate.official else None
    return bills.check(
        candidate.wheel,
        project=candidate.project,
        version=candidate.target.version,
        base_sha256=locked.sha256 if locked else None,
    )


GATES = (contents, runpath, graft, platform, arch, size, metadata, sbom)


def _parsed(candidate: OpenedWheel) -> Metadata:
    try:
        return Metadata.from_email(_info_file(candidate, "METADATA"), validate=True)
    except ExceptionGroup as group:
        message = f"{candidate.name}: METADATA: {'; '.join(str(error) for error in group.exceptions)}"
        raise MetadataGateError(message) from group


def _tags(candidate: OpenedWheel) -> frozenset[Tag]:
    try:
        return parse_wheel_filename(candidate.name)[3]
    except InvalidWheelFilename as error:
        raise MetadataGateError(str(error)) from error


def _tags_in_wheel_file(candidate: OpenedWheel) -> set[Tag]:
    lines = _info_file(candidate, "WHEEL").decode().splitlines()
    return {tag for line in lines if line.startswith("Tag:") for tag in parse_tag(line.removeprefix("Tag:").strip())}


def _ask_twine(candidate: OpenedWheel) -> None:
    """Run twine on a wheel of the metadata alone: METADATA is all that it checks, but it hashes the whole file."""
    with tempfile.TemporaryDirectory(prefix="tfwheel-twine-") as folder:
        small = Path(folder, candidate.name)
        with zipfile.ZipFile(small, "w") as archive:
            for name in ("METADATA", "WHEEL"):
                archive.writestr(f"{candidate.wheel.dist_info}/{name}", _info_file(candidate, name))
        try:
            run(
                [sys.executable, "-m", "twine", "--no-color", "check", "--strict", small.name],
                cwd=small.parent,
                env={"COLUMNS": "200"},
            )
        except CommandError as error:
            message = f"{candidate.name}: twine refuses its metadata\n{error.output.strip()}"
            raise MetadataGateError(message) from error


def _info_file(candidate: OpenedWheel, name: str) -> bytes:
    return candidate.wheel.read(f"{candidate.wheel.dist_info}/{name}")


def _some(names: Collection[str]) -> str:
    shown = sorted(names)[:SHOWN]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")


def _list(words: Collection[str]) -> str:
    return ", ".join(words) or "none"
