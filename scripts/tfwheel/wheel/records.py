"""Read and write the record beside each wheel, ``<wheel>.record.json``: its inputs, gates, tests and times.

The stages of a build share nothing else. Each adds its part; publishing reads the whole.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

import msgspec

from tfwheel.errors import BadWheelError, UsageError
from tfwheel.system.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX = ".record.json"
LARGEST = 1 << 53  # bytes; numbers above are not exact in JSON


class _Report(TypedDict, total=False):
    """The types in a smoke report of what others show: summary, ledger and pages."""

    passed: bool
    reason: str | None
    wheel_sha256: str
    date: str
    python: str
    client: str
    evidence: str
    gpu: str | dict[str, Any]
    times: dict[str, float]
    projects: dict[str, dict[str, str]]


class _Base(TypedDict):
    """The wheel that a record's wheel was made from; ``source`` is the tree of one that was built from source."""

    file: str
    sha256: str
    source: NotRequired[str]


@dataclass(frozen=True, kw_only=True)
class Record:
    """Facts about one built wheel.

    ``size`` is in bytes, ``times`` in seconds by step. ``key`` is the digest of everything that went into the
    wheel: an equal key means that building again would give the same bytes. ``gpu_code`` is what the gates found in the
    wheel: images ("sm_80", "compute_90") by kind (``gpu_support.KINDS``). ``retarget`` says how official libraries got
    theirs.
    ``smoke`` is the report of the last smoke run, None before the first; ``gpu_smoke`` that of the last one on a GPU.
    ``companions`` is the report of the last run of projects that build on TensorFlow beside the wheel: in ``projects``,
    by name, "version", "result" and, where that is not "passed", "official", the result beside the official wheel.
    ``cached`` lists the parts that came from a cache: "official wheel", "toolchain", "headers", "ops". ``builder`` is
    the result of ``provenance.builder``. ``inputs`` is the digest of the settings that all Pythons of the version share
    (``config.inputs``); empty if unknown. ``fit`` is the judgement about the wheel in each of Colab's runtimes that was
    known when it was built: verdict, reasons and changes, by the runtime's name.
    """

    target: str
    project: str
    version: str
    line: str
    python: str | None
    file: str
    sha256: str
    size: int
    key: str
    source_commit: str = ""
    tools: dict[str, str] = field(default_factory=dict)
    base: dict[str, str] | None = None
    gpu_code: dict[str, list[str]] = field(default_factory=dict)
    repair: dict[str, Any] | None = None
    retarget: dict[str, Any] | None = None
    gates: dict[str, str] = field(default_factory=dict)
    smoke: dict[str, Any] | None = None
    gpu_smoke: dict[str, Any] | None = None
    companions: dict[str, Any] | None = None
    times: dict[str, float] = field(default_factory=dict)
    cached: list[str] = field(default_factory=list)
    builder: dict[str, str] = field(default_factory=dict)
    inputs: str = ""
    fit: dict[str, dict[str, Any]] = field(default_factory=dict)

    def grown(self, **parts: Any) -> Record:  # noqa: ANN401 -- the parts have the types of the fields
        """Return a copy with some parts added or replaced."""
        return replace(self, **parts)

    @property
    def passed_smoke(self) -> bool:
        """Whether the last smoke run passed, on the bytes that this record describes."""
        return self._passed(self.smoke)

    @property
    def passed_gpu_smoke(self) -> bool:
        """Whether the last smoke run on a GPU passed, on the bytes that this record describes."""
        return self._passed(self.gpu_smoke)

    @property
    def passed_companions(self) -> bool:
        """Whether everything that works beside the official wheel worked beside these bytes in the last run."""
        return self._passed(self.companions)

    def worse(self, *reports: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return the first report that did not pass on these bytes, else the first one; None without any."""
        there = [report for report in reports if report]
        return next((report for report in there if not self._passed(report)), next(iter(there), None))

    def _passed(self, report: dict[str, Any] | None) -> bool:
        return bool(report and report.get("passed") is True and report.get("wheel_sha256") == self.sha256)


def path_for(wheel: Path) -> Path:
    """Return the path of a wheel's record."""
    return wheel.with_name(wheel.name + SUFFIX)


def save(record: Record, wheel: Path) -> None:
    """Write the record beside its wheel, atomically."""
    write_atomically(path_for(wheel), written(record))


def written(record: Record) -> bytes:
    """Return the bytes of a record's file."""
    return (json.dumps(asdict(record), indent=2, sort_keys=True) + "\n").encode()


def beside(wheel: Path) -> Record:
    """Read the record of a wheel; UsageError if there is no such wheel, and the errors of ``load``."""
    if not wheel.is_file():
        message = f"there is no file {wheel}"
        raise UsageError(message, remedy="Name a wheel that is there; `ls dist/wheels/*/*.whl` lists those built here.")
    return load(path_for(wheel))


def load(path: Path) -> Record:
    """Read a record; raise BadWheelError if the file is not there, cannot be read, or is not one."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        message = f"{path.parent} has no {path.name}: the wheel was not built here, or its record is lost"
        raise BadWheelError(message, remedy=f"Build its target again: the build writes {SUFFIX} beside it.") from error
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise BadWheelError(message, remedy="Make the file readable, and run again.") from error
    try:
        record = msgspec.convert(asdict(Record(**json.loads(data))), Record)  # raises for a part of another type
        _check(record)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError, OverflowError) as error:
        message = f"{path} is not a record: {error}"
        raise BadWheelError(message, remedy="Delete it and build its target again.") from error
    return record


def _check(record: Record) -> None:
    """Raise ValueError for what those who show a record could not take.

    That is a name that leads out of the folder, a size that no file has, text or a number that JSON cannot hold, and
    parts of reports of another type.
    """
    msgspec.json.encode(asdict(record))
    for report in filter(None, (record.smoke, record.gpu_smoke, record.companions)):
        msgspec.convert(report, _Report)
    if record.base is not None:
        msgspec.convert(record.base, _Base)
    if not re.fullmatch(r"[^/\\\0]+\.whl", record.file):
        message = f"{record.file!r} is not the name of a wheel"
        raise ValueError(message)
    if not 0 <= record.size <= LARGEST:
        message = f"a wheel does not have {record.size} bytes"
        raise ValueError(message)


def joined(record: Record, tested: Record) -> Record:
    """Return a build's record with the reports of a smoke-test job; BadWheelError if they are about different bytes.

    ``tested`` is the same record after a smoke run on another machine, which ran the wheel's code: nothing but its
    reports is used. Of two reports the one that did not pass is kept.
    """
    for name in ("file", "sha256", "key"):
        one, other = getattr(record, name), getattr(tested, name)
        if one != other:
            message = f"{record.target}: the record of a smoke test is about another wheel: {name} {other}, not {one}"
            raise BadWheelError(message, remedy="Take both records from one run; never mix those of two.")
    return record.grown(
        smoke=record.worse(record.smoke, tested.smoke),
        gpu_smoke=record.worse(record.gpu_smoke, tested.gpu_smoke),
        companions=record.worse(record.companions, tested.companions),
    )
