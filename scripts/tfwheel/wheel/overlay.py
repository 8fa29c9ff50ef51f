"""Make a custom TensorFlow wheel from an official one: ops, patches, version, requirements; nothing is compiled."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from tfwheel.config.paths import ROOT
from tfwheel.config.targets import TENSORFLOW, WHEEL_EPOCH
from tfwheel.errors import BadWheelError
from tfwheel.wheel import autoload, core_metadata, metadata, ops_package, sbom
from tfwheel.wheel.patches import apply_folder
from tfwheel.wheel.reader import WheelReader
from tfwheel.wheel.writer import Changes, NewFile, merge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tfwheel.config.targets import Base, OpsRules, Target
    from tfwheel.wheel.deflate import Deflated

NAME = TENSORFLOW  # packages that require it are satisfied
LICENSE = ROOT / "LICENSE"  # Apache-2.0, the licence of TensorFlow, too: official wheels since 2.16 have no copy of it
TOP_LEVEL = "top_level.txt"
LATE_PATCH = 99  # of a Python, such as 3.12: ops that require 3.12.4 can be in a wheel for it
NOTICE = """\
This is a modified TensorFlow, not the official one (this notice: Apache License 2.0, section 4b).

Version: {version}
Made from: {base}{source}
sha256: {sha256}

Changed files of TensorFlow:
{changed}

Added files:
{added}

Version, requirements and file lists in the metadata folder were changed too. All else is as in the official wheel.
"""


@dataclass(frozen=True, kw_only=True)
class MergedWheel:
    """The merged wheel: sha256, size in bytes, platform tags, and the members that differ from its base.

    ``added`` and ``replaced`` are names in the new wheel (without RECORD, which is always new), ``removed`` are names
    in the base.
    """

    wheel: Path
    sha256: str
    size: int
    platforms: tuple[str, ...]
    added: tuple[str, ...]
    replaced: tuple[str, ...]
    removed: tuple[str, ...]


def merge_overlay(
    *,
    base: Path,
    locked: Base,
    ops: Path | None,
    target: Target,
    patches: Path,
    out_dir: Path,
    libraries: Mapping[str, Deflated] | None = None,
    requires: Sequence[str] = (),
    rules: OpsRules | None = None,
) -> MergedWheel:
    """Merge an official wheel, a repaired ops wheel and a folder of patches into the wheel of a target.

    ``locked`` is the entry of ``bases.toml`` for ``base``, whose hash was checked when it was fetched. The result has
    the name, version and requirements of the target and the stricter platform of the two wheels. ``libraries`` replace
    the members of those names; ``requires`` are added to the requirements of the target; ``rules`` say which ops
    TensorFlow loads by itself (None: none). Raises BadWheelError for
    wheels that are unsound or do not fit together, PatchError, DiskFullError.
    """
    platforms = metadata.stricter_platforms([locked.file, *([ops.name] if ops else [])])
    tag = f"{target.python_tag}-{target.python_tag}"
    with ExitStack() as stack:
        official = stack.enter_context(WheelReader(base))
        custom = stack.enter_context(WheelReader(ops)) if ops else None
        _check_base(official, locked, target)
        patched = apply_folder(patches, names=frozenset(official.names()), read=official.read, version=target.version)
        patched |= _autoloading(official, custom, patched, rules) if custom and rules else {}
        bill = sbom.of_merged(
            project=NAME, target=target, locked=locked, patches=patches, ops=sbom.read(custom) if custom else None
        )
        assembly = _Assembly(
            official=official,
            locked=locked,
            custom=custom,
            target=target,
            patched=patched,
            bill=bill,
            libraries=libraries or {},
            requires=requires,
        )
        changes = assembly.changes([f"{tag}-{platform}" for platform in platforms])
        out = out_dir / f"{NAME}-{target.version}-{tag}-{'.'.join(platforms)}.whl"
        result = merge(official, out, changes=changes)
    return MergedWheel(
        wheel=out,
        sha256=result.sha256,
        size=result.size,
        platforms=platforms,
        added=tuple(sorted(changes.add)),
        replaced=tuple(sorted(changes.replace)),
        removed=tuple(sorted(changes.remove)),
    )


def _autoloading(
    official: WheelReader, custom: WheelReader, patched: Mapping[str, bytes], rules: OpsRules
) -> dict[str, bytes]:
    """Return the file of TensorFlow that loads the ops, changed; nothing if it is to load none."""
    libraries = rules.autoloaded(custom.names())
    before = patched.get(autoload.MEMBER) or official.read(autoload.MEMBER) if libraries else b""
    return {autoload.MEMBER: autoload.added(before, libraries)} if libraries else {}


def _check_base(official: WheelReader, locked: Base, target: Target) -> None:
    """Raise BadWheelError for a base of another TensorFlow or Python than the target."""
    expected = f"{locked.project.replace('-', '_')}-{target.tensorflow}.dist-info"
    if any(name.partition("/")[0].endswith(".data") for name in official.names()):
        message = f"{official.path.name} has a .data folder, whose name an overlay would have to change"
        raise BadWheelError(message)
    if official.dist_info != expected or (locked.version, locked.python) != (target.tensorflow, target.python):
        message = (
            f"{official.path.name} holds {official.dist_info} for Python {locked.python}, "
            f"and {target.id} needs {expected} for Python {target.python}"
        )
        raise BadWheelError(message)


@dataclass(frozen=True, kw_only=True)
class _Assembly:
    """The contents of one merged wheel, while both of its sources are open."""

    official: WheelReader
    locked: Base
    custom: WheelReader | None
    target: Target
    patched: Mapping[str, bytes]
    bill: bytes
    libraries: Mapping[str, Deflated] = field(default_factory=dict)
    requires: Sequence[str] = ()

    def changes(self, tags: Sequence[str]) -> Changes:
        """Return every difference between the new wheel and its base."""
        folder = f"{NAME}-{self.target.version}.dist-info"
        ops_files = ops_package.placed(self.custom) if self.custom else {}
        licenses = self._licenses(ops_files)
        edited = self._edited(tags, ops_files, licenses)
        return Changes(
            dist_info=folder,
            epoch=WHEEL_EPOCH,
            add=ops_files
            | {f"{folder}/licenses/{name}": file for name, file in licenses.items()}
            | {f"{folder}/{sbom.MEMBER}": NewFile(content=[self.bill])},
            replace={name: [data] for name, data in self.patched.items()}
            | dict(self.libraries)
            | {f"{folder}/{name}": [data] for name, data in edited.items()},
            remove=frozenset(map(self._info, metadata.SIGNATURES)).intersection(self.official.names()),
        )

    def _licenses(self, ops_files: Iterable[str]) -> dict[str, NewFile]:
        """Return the licence, the notice of changes that it requires, and the licences of the ops."""
        notice = NOTICE.format(
            version=self.target.version,
            base=self.locked.file,
            source=f", built from {self.locked.source}" if self.locked.source else "",
            sha256=self.locked.sha256,
            changed=_list([*self.patched, *self.libraries]),
            added=_list(ops_files),
        )
        return {
            "LICENSE": NewFile(content=[LICENSE.read_bytes()]),
            "NOTICE": NewFile(content=[notice.encode()]),
            **(_ops_licenses(self.custom) if self.custom else {}),
        }

    def _edited(self, tags: Sequence[str], ops_files: Iterable[str], licenses: Iterable[str]) -> dict[str, bytes]:
        """Return the changed files of the metadata folder, by their name in it."""
        old = self.official.read(self._info("METADATA"))
        own = self.target.requires
        further = [one for one in self.requires if not any(core_metadata.covers(ours, one) for ours in own)]
        edited = {
            "METADATA": core_metadata.edit_metadata(
                old,
                name=NAME,
                version=self.target.version,
                requires=[*own, *further],
                adds=_ops_requires(self.custom, old, self.target) if self.custom else [],
                license_files=sorted(licenses),
            ),
            "WHEEL": metadata.edit_wheel(self.official.read(self._info("WHEEL")), tags),
        }
        if self._info(TOP_LEVEL) in self.official.names():
            names = self.official.read(self._info(TOP_LEVEL)).decode().split()
            edited[TOP_LEVEL] = "".join(f"{name}\n" for name in sorted({*names, *_packages(ops_files)})).encode()
        return edited

    def _info(self, name: str) -> str:
        return f"{self.official.dist_info}/{name}"


def _ops_licenses(custom: WheelReader) -> dict[str, NewFile]:
    """Return the licence files of an ops wheel (PEP 639), in a folder with the name of its project."""
    old, new = f"{custom.dist_info}/licenses/", custom.dist_info.partition("-")[0]
    return {
        f"{new}/{name.removeprefix(old)}": ops_package.member(custom, name)
        for name in custom.names()
        if name.startswith(old) and not name.endswith("/")
    }


def _ops_requires(custom: WheelReader, base_metadata: bytes, target: Target) -> list[str]:
    """Return what only the ops wheel requires; raise BadWheelError for ops of another TensorFlow or other Pythons.

    A requirement of a name that TensorFlow requires, too, is added beside that one: both must be met.
    """
    known = {Requirement(one) for one in (*core_metadata.requirements(base_metadata), *target.requires)}
    text = custom.read(f"{custom.dist_info}/METADATA")
    own, python = core_metadata.requirements(text), core_metadata.read(text).get("requires_python", "")
    if not SpecifierSet(python).contains(f"{target.python}.{LATE_PATCH}"):
        message = f"{custom.path.name} requires Python {python}, and this is for Python {target.python}"
        raise BadWheelError(message, remedy="Take that Python out of targets.toml, or that project out of ops.toml.")
    for requirement in map(Requirement, own):
        if canonicalize_name(requirement.name) == NAME and not requirement.specifier.contains(target.version):
            message = f"{custom.path.name} requires {requirement}, and this is TensorFlow {target.version}"
            raise BadWheelError(
                message, remedy="An op loads only on the TensorFlow it was built for; build it for this one."
            )
    return [one for one in own if core_metadata.identity(one) != (NAME, "") and Requirement(one) not in known]


def _packages(files: Iterable[str]) -> set[str]:
    """Return the top-level names that can be imported from these files."""
    return {
        name.partition("/")[0].removesuffix(".py")
        for name in files
        if name.endswith("/__init__.py") or ("/" not in name and name.endswith(".py"))
    }


def _list(names: Iterable[str]) -> str:
    return "\n".join(f"    {name}" for name in sorted(names)) or "    none"
