"""Checks wheels again before they are signed, believing neither a wheel nor its record.

A smoke test runs a wheel's code, which could change files, records and reports. So the changes that a wheel may have
are derived from the configuration, from its official wheel and from its ops wheel, and its record is compared with what
is found. Nothing of the wheel is run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from tfwheel.build import official_wheel, ops_wheel
from tfwheel.build.errors import OddPartsError, UntrueRecordError
from tfwheel.build.job import FinishedWheel, Job
from tfwheel.checks import gpu_gates, wheel_gates
from tfwheel.config import build_config, changed_libraries, plan
from tfwheel.index.errors import WheelMissingError
from tfwheel.retarget import search_path, xla_ceiling
from tfwheel.system import console, files
from tfwheel.wheel import overlay, records
from tfwheel.wheel.deflate import Deflated
from tfwheel.wheel.reader import WheelReader

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.checks.wheel_gates import Passed
    from tfwheel.config.paths import Paths
    from tfwheel.config.schema import Retarget
    from tfwheel.gpu.byte_edit import ByteEdit
    from tfwheel.retarget.xla_ceiling import Ceiling
    from tfwheel.wheel.overlay import MergedWheel

SHOWN = 5  # names in one message


def recheck(folder: Path, version: str, paths: Paths) -> list[str]:
    """Check every wheel of a version in ``folder``, where each has its record beside it; returns their file names.

    Raises WheelMissingError for a wheel that is missing, OddPartsError for one that no target of the version has, or
    that is not what its official wheel, ops wheel and patches give, UntrueRecordError for a record that says anything
    else than what is found, and the errors of the gates.
    """
    targets = [one for one in plan.targets(build_config.load(paths.settings)) if one.version == version]
    loaded = [FinishedWheel(wheel=wheel, record=_record(wheel)) for wheel in sorted(folder.glob("*.whl"))]
    there = {one.record.target: one for one in loaded}
    wanted = {target.ops_id for target in targets} | {target.id for target in targets if target.builder != "ops"}
    if missing := sorted(wanted - there.keys()):
        message = f"{folder} has no wheel of {', '.join(missing)}"
        raise WheelMissingError(message, remedy="Stage the release again (`--only stage`).")
    if len(loaded) != len(wanted):
        odd = sorted(one.wheel.name for one in loaded if one.record.target not in wanted)
        message = (
            f"{folder} has wheels that no target of {version} has, or two of one: {', '.join(odd) or 'two of one'}"
        )
        raise OddPartsError(message)
    checked = set()
    for target in targets:
        job = Job.of(target.id, paths)
        with job.exclusive(target.id), job.scratch():
            if target.ops_id not in checked:
                _check_ops(job, there[target.ops_id])
            if target.builder != "ops":
                _Recheck(job=job, staged=there[target.id], ops=there[target.ops_id]).run()
        checked |= {target.ops_id}
    return [one.wheel.name for one in loaded]


def _record(wheel: Path) -> records.Record:
    record = records.load(records.path_for(wheel))
    found = {"file": wheel.name, "size": wheel.stat().st_size, "sha256": files.sha256_of(wheel)}
    _compare(record, found)
    return record


def _check_ops(job: Job, ops: FinishedWheel) -> None:
    """Run the gates on an ops wheel, and compare its record with their findings."""
    base = official_wheel.fetch(job.base, job.paths.cache)
    with console.step(f"gates of {ops.wheel.name}"):
        passed = wheel_gates.run_ops_gates(ops.wheel, base=base, target=job.target, rules=job.config.repair)
    _compare(ops.record, _facts(job, passed) | {"project": ops_wheel.PROJECT, "python": None, "base": None})


@dataclass(frozen=True, kw_only=True)
class _Recheck:
    """One merged wheel, its ops wheel, and the job that could have built it."""

    job: Job
    staged: FinishedWheel
    ops: FinishedWheel

    @property
    def wanted(self) -> Retarget | None:
        """What the line retargets."""
        return self.job.target.line.retarget

    def run(self) -> None:
        """Run the gates, compare the wheel with its parts, and the record with what was found."""
        job, staged = self.job, self.staged
        base = official_wheel.fetch(job.base, job.paths.cache)
        ceiling = xla_ceiling.load(job.ceilings, job.target.tensorflow) if self.wanted and self.wanted.xla else None
        with console.step(f"gates of {staged.wheel.name}"):
            merged = self._merged_again(base, ceiling)
            passed = wheel_gates.run_gates(
                replace(merged, wheel=staged.wheel),
                base=base,
                locked=job.base,
                target=job.target,
                rules=job.config.repair,
            )
            _compare_members(merged.wheel, staged.wheel)
        merged.wheel.unlink()
        facts = _facts(job, passed) | {"project": overlay.NAME, "python": job.target.python}
        _compare(staged.record, facts | {"base": job.base.as_recorded})
        found = {name: self._check_library(base, name, ceiling) for name in self._changed()}
        if found or staged.record.retarget:
            _compare_retarget(staged.record, found)

    def _changed(self) -> tuple[str, ...]:
        return changed_libraries.changed(self.job.target.line, self.job.base)

    def _merged_again(self, base: Path, ceiling: Ceiling | None) -> MergedWheel:
        """Merge the parts as the build did, with the GPU code of this wheel, which the GPU gates check."""
        job = self.job
        with WheelReader(self.staged.wheel) as wheel:
            return overlay.merge_overlay(
                base=base,
                locked=job.base,
                ops=self.ops.wheel,
                target=job.target,
                patches=job.patches,
                out_dir=job.work / "merged",
                libraries={name: _packed(wheel, name, job.work) for name in self._changed()},
                requires=xla_ceiling.requirements(ceiling, job.base.requires_dist),
                rules=job.config.repair.ops,
            )

    def _check_library(self, base: Path, member: str, ceiling: Ceiling | None) -> dict[str, Any]:
        """Run the GPU gates on one library; returns the part of its facts that they can find."""
        name, work, line = PurePosixPath(member).name, self.job.work, self.job.target.line
        wanted = line.retarget if line.retarget and self._is_retargeted(member, line.retarget) else None
        original, patched = work / f"official-{name}", work / name
        with WheelReader(base) as official, WheelReader(self.staged.wheel) as wheel:
            official.extract(member, original)
            wheel.extract(member, patched)
        edits: list[ByteEdit] = []
        if ceiling and ceiling.member == member and wanted:
            edits += xla_ceiling.edits(ceiling, original, cuda=wanted.xla or "")
        if member in changed_libraries.with_rpath(line, self.job.base):
            edits += search_path.edits(original)
        library = gpu_gates.Retargeted(
            original=original,
            patched=patched,
            archs=gpu_gates.promised(wanted) if wanted else {},
            edits=edits,
            symbols=wanted.symbols if wanted else True,
        )
        with console.step(f"gates of {name}"):
            gates = (
                gpu_gates.run_retarget_gates(library, cache=self.job.paths.cache)
                if wanted
                else gpu_gates.run_edit_gates(library)
            )
        found = {"gates": gates, "sha256": {"before": files.sha256_of(original), "after": files.sha256_of(patched)}}
        for path in (original, patched):
            path.unlink()
        return found

    def _is_retargeted(self, member: str, wanted: Retarget) -> bool:
        return member in changed_libraries.retargeted(wanted, self.job.base)


# --- comparisons -----------------------------------------------------------------------------------------


def _facts(job: Job, passed: Passed) -> dict[str, Any]:
    """Return what the configuration says about a wheel, and what the gates found in it."""
    target = job.target
    found = {"gates": passed.findings, "gpu_code": passed.gpu_code}
    return {"version": target.version, "line": target.line.name, "inputs": job.inputs, **found}


def _compare(record: records.Record, found: dict[str, Any]) -> None:
    """Raise UntrueRecordError for the first fact that the record gives otherwise."""
    for name, is_ in found.items():
        value, said = is_, getattr(record, name)
        if said != value:
            if isinstance(said, dict) and isinstance(value, dict):  # only what differs in it
                odd = sorted(key for key in said.keys() | value if said.get(key) != value.get(key))
                said, value = ({key: facts.get(key) for key in odd} for facts in (said, value))
            message = f"the record of {record.file} says {name} {said!r}, and what is found is {value!r}"
            raise UntrueRecordError(message)


def _compare_retarget(record: records.Record, found: dict[str, dict[str, Any]]) -> None:
    """Compare the facts of the retargeted libraries with those of the record."""
    said = (record.retarget or {}).get("libraries")
    said = said if isinstance(said, dict) else {}
    for member in sorted({*said, *found}):
        facts = said.get(member)
        there = {name: facts.get(name) if isinstance(facts, dict) else None for name in ("gates", "sha256")}
        if there != found.get(member):
            message = (
                f"the record of {record.file} says {there} about {member}, and what is found is {found.get(member)}"
            )
            raise UntrueRecordError(message)


def _compare_members(wanted: Path, staged: Path) -> None:
    """Raise OddPartsError unless both wheels have the same members, with the same contents and permissions."""
    with WheelReader(wanted) as ours, WheelReader(staged) as theirs:
        wanted_facts, found = _members(ours), _members(theirs)
        odd = sorted(name for name in wanted_facts.keys() | found if wanted_facts.get(name) != found.get(name))
        record = f"{theirs.dist_info}/RECORD"
        odd += [record] if not odd and ours.read(record) != theirs.read(record) else []
    if odd:
        more = f" and {len(odd) - SHOWN} more" if len(odd) > SHOWN else ""
        message = f"{staged.name} is not what its parts give: {', '.join(odd[:SHOWN])}{more}"
        raise OddPartsError(message)


def _members(wheel: WheelReader) -> dict[str, tuple[object, ...]]:
    """Return contents and permissions of each member; the contents by RECORD, which the gates compared with them."""
    return {name: (wheel.record.get(name), wheel.member(name).permissions) for name in wheel.names()}


def _packed(wheel: WheelReader, name: str, folder: Path) -> Deflated:
    """Copy a member as it is packed."""
    member, extent = wheel.member(name), wheel.extent(name)
    path = folder / f"packed-{PurePosixPath(name).name}"
    with path.open("wb") as stream:
        for piece in wheel.raw(extent.data, extent.data + member.compressed_size):
            stream.write(piece)
    return Deflated(
        path=path,
        size=member.size,
        crc=member.crc,
        sha256=wheel.record[name].digest.hex(),
        packed_size=member.compressed_size,
        packed_sha256=files.sha256_of(path),
    )
