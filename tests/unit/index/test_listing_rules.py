"""Admission: which wheels may enter the index, and what the ledger then says."""

from __future__ import annotations

import hashlib
import zipfile
from typing import TYPE_CHECKING

import pytest

import fakewheels
from tfwheel.errors import BadWheelError
from tfwheel.index import listing_rules
from tfwheel.system import files
from tfwheel.wheel import metadata
from tfwheel.wheel.errors import IndexEntryError
from tfwheel.wheel.records import Record

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "2.20.0+cu125.1"
TAG = "cp312-cp312-manylinux_2_17_x86_64"
FILE = f"tensorflow-{VERSION}-{TAG}.whl"
UPLOADED = "2026-11-21T04:00:00Z"
URL = "https://example.org/releases/download/v1/tensorflow-2.20.0%2Bcu125.1-cp312-cp312-manylinux_2_17_x86_64.whl"


def make(folder: Path, *, version: str = VERSION, name: str = "tensorflow", extra: str = "") -> Path:
    """A wheel."""
    members = {f"{name}/__init__.py": b"# a stand-in\n"}
    return fakewheels.write_wheel(folder, members, name=name, version=version, tag=TAG, extra=extra)


def record_of(wheel: Path) -> Record:
    """The record of a wheel that passed everything."""
    sha256 = files.sha256_of(wheel)
    return Record(
        target="tf2.20.0-cp312-cu12",
        project="tensorflow",
        version=VERSION,
        line="cu12",
        python="3.12",
        file=wheel.name,
        sha256=sha256,
        size=wheel.stat().st_size,
        key="k",
        gpu_code={"fatbin": ["sm_70", "sm_120"], "ops": ["sm_75", "compute_90"]},
        smoke={"passed": True, "wheel_sha256": sha256, "gpu": "absent"},
    )


def enter(wheel: Path, record: Record | None = None) -> object:
    """Let a wheel in."""
    return listing_rules.entry_from(wheel, record or record_of(wheel), url=URL, uploaded=UPLOADED)


def test_a_wheel_that_passed_everything_gets_an_entry(tmp_path: Path) -> None:
    wheel = make(tmp_path)
    record = record_of(wheel)
    entry = listing_rules.entry_from(wheel, record, url=URL, uploaded=UPLOADED)
    member = zipfile.ZipFile(wheel).read(f"tensorflow-{VERSION}.dist-info/METADATA")
    assert (entry.project, entry.version, entry.file, entry.line) == ("tensorflow", VERSION, FILE, "cu12")
    assert (entry.url, entry.uploaded, entry.target) == (URL, UPLOADED, "tf2.20.0-cp312-cu12")
    assert (entry.sha256, entry.size, entry.requires_python) == (record.sha256, wheel.stat().st_size, ">=3.9")
    assert entry.metadata_sha256 == hashlib.sha256(member).hexdigest()
    assert entry.gpu_code == {"fatbin": ("sm_70", "sm_120"), "ops": ("sm_75", "compute_90")}
    assert (entry.smoke, entry.gpu_smoke) == (record.smoke, None)
    assert (entry.yanked, entry.removed, entry.attestation) == (None, None, None)
    assert metadata.metadata_of(wheel) == member


def test_an_entry_has_what_its_fit_is_judged_by(tmp_path: Path) -> None:
    call = b"x.ValidateProtobufRuntimeVersion(x.Domain.PUBLIC, 5, 28, 3, '', 'x')"
    facts = {"name": "tensorflow", "version": VERSION, "tag": TAG, "extra": "Requires-Dist: numpy>=1.26.0\n"}
    wheel = fakewheels.write_wheel(tmp_path, {"tensorflow/x_pb2.py": call}, **facts)
    entry = listing_rules.entry_from(wheel, record_of(wheel), url=URL, uploaded=UPLOADED)
    assert (entry.requires, entry.gencode) == (("numpy>=1.26.0",), "5.28.3")


def test_a_smoke_test_on_a_gpu_is_evidence_of_its_own(tmp_path: Path) -> None:
    wheel = make(tmp_path)
    record = record_of(wheel)
    smoke = {"passed": True, "wheel_sha256": record.sha256, "gpu": {"name": "T4"}}
    entry = listing_rules.entry_from(wheel, record.grown(gpu_smoke=smoke | {"log": "x"}), url="", uploaded=UPLOADED)
    assert (entry.smoke, entry.gpu_smoke) == (record.smoke, smoke)


@pytest.mark.parametrize(
    ("gpu_smoke", "reason"),
    [
        ({"passed": False, "wheel_sha256": None, "reason": "no kernel"}, "its GPU smoke test failed: no kernel"),
        ({"passed": True, "wheel_sha256": "aa"}, "its GPU smoke report is about other bytes"),
        ({}, "its GPU smoke report is about other bytes"),
    ],
)
def test_a_wheel_that_failed_on_a_gpu_does_not_enter(tmp_path: Path, gpu_smoke: dict[str, object], reason: str) -> None:
    wheel = make(tmp_path)
    record = record_of(wheel)
    report = {name: record.sha256 if value is None else value for name, value in gpu_smoke.items()}
    with pytest.raises(IndexEntryError, match=reason):
        enter(wheel, record.grown(gpu_smoke=report))


@pytest.mark.parametrize(
    ("smoke", "reason"),
    [
        (None, "never smoke-tested"),
        ({"passed": False, "wheel_sha256": "aa", "reason": "matmul is wrong"}, "failed: matmul is wrong"),
        ({"passed": "yes", "wheel_sha256": "aa"}, "failed"),
        ({"passed": True, "wheel_sha256": "bb"}, "other bytes"),
        ({"passed": True}, "other bytes"),
    ],
)
def test_no_passing_smoke_report_no_line_in_the_ledger(
    tmp_path: Path, smoke: dict[str, object] | None, reason: str
) -> None:
    wheel = make(tmp_path)
    record = record_of(wheel)
    report = smoke and {key: record.sha256 if value == "aa" else value for key, value in smoke.items()}
    with pytest.raises(IndexEntryError, match=reason):
        enter(wheel, record.grown(smoke=report))


def test_a_wheel_that_is_not_the_recorded_one_is_refused(tmp_path: Path) -> None:
    wheel = make(tmp_path)
    record = record_of(wheel)
    with pytest.raises(IndexEntryError, match=r"its record is about other\.whl"):
        enter(wheel, record.grown(file="other.whl"))
    data = wheel.read_bytes()
    wheel.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(IndexEntryError, match="not have the recorded sha256"):
        enter(wheel, record)
    wheel.write_bytes(data[:-1])
    with pytest.raises(IndexEntryError, match=r"does not have the recorded [0-9,]+ bytes"):
        enter(wheel, record)
    wheel.unlink()
    with pytest.raises(IndexEntryError, match="missing"):
        enter(wheel, record)


def test_a_sidecar_of_other_bytes_is_refused(tmp_path: Path) -> None:
    wheel = make(tmp_path)
    sidecar = tmp_path / f"{FILE}.metadata"
    sidecar.write_bytes(metadata.metadata_of(wheel))
    enter(wheel)
    sidecar.write_bytes(metadata.metadata_of(make(tmp_path / "other", version="2.20.0+cu125.2")))
    with pytest.raises(IndexEntryError, match="is not the METADATA of its wheel"):
        enter(wheel)


@pytest.mark.parametrize("false_name", [f"tensorflow-2.20.0-{TAG}.whl", f"keras-{VERSION}-{TAG}.whl"])
def test_a_renamed_wheel_is_refused(tmp_path: Path, false_name: str) -> None:
    wheel = make(tmp_path).rename(tmp_path / false_name)
    with pytest.raises(BadWheelError, match=r"has no .*dist-info/METADATA"):
        enter(wheel)


@pytest.mark.parametrize("size", [0, -1, 2 << 30, 3 << 30])
def test_a_size_that_no_host_takes_is_refused(size: int) -> None:
    with pytest.raises(IndexEntryError, match="2,147,483,648"):
        listing_rules.check_size("a.whl", size)
    listing_rules.check_size("a.whl", (2 << 30) - 1)


def test_a_wheel_of_two_gib_is_refused_before_it_is_read(tmp_path: Path) -> None:
    wheel = tmp_path / FILE
    with wheel.open("wb") as stream:
        stream.truncate(2 << 30)  # a hole: it takes no room
    record = record_of(make(tmp_path / "other")).grown(size=2 << 30)
    with pytest.raises(IndexEntryError, match="fewer than"):
        listing_rules.entry_from(wheel, record, url=URL, uploaded=UPLOADED)
