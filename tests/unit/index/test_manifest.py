"""The manifest: every file of an index is in it, and none can be altered, removed or slipped in unnoticed."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from publications import finish, publication
from tfwheel.index import ledger, manifest
from tfwheel.index.errors import ManifestError
from tfwheel.publish import publish
from tfwheel.system import files
from tfwheel.wheel import metadata

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A downloaded index of two wheels, one of them beside its page."""
    job = publication(tmp_path, [finish(tmp_path / "wheels", build) for build in (1, 2)])
    publish.publish(job)
    away, beside = ledger.read(job.ledger).entries
    beside = replace(beside, url="")
    folder = tmp_path / "copy" / beside.folder
    folder.mkdir(parents=True)
    wheel = job.wheels[1].rename(folder / beside.file)
    wheel.with_name(f"{wheel.name}.metadata").write_bytes(metadata.metadata_of(wheel))
    (folder / "index.html").write_bytes(b"<!DOCTYPE html>")
    ledger.write(job.ledger, [away, beside])
    shutil.copyfile(job.ledger, tmp_path / "copy" / manifest.LEDGER)
    reseal(tmp_path / "copy")
    return tmp_path / "copy"


def reseal(site: Path) -> None:
    files = {path.relative_to(site).as_posix(): path for path in site.rglob("*") if path.is_file()}
    files.pop(manifest.NAME, None)
    for name, data in manifest.seal(files).items():
        (site / name).write_bytes(data)


def test_an_index_is_what_its_manifest_says(site: Path) -> None:
    assert manifest.check(site) == 4
    listed = json.loads((site / manifest.NAME).read_bytes())["files"]
    assert sorted(listed) == ["cu12/tensorflow/index.html", manifest.LEDGER]
    path = site / manifest.LEDGER
    assert listed[manifest.LEDGER] == {"sha256": files.sha256_of(path), "size": path.stat().st_size}


def test_equal_files_give_equal_bytes_in_any_order(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    files = {name: tmp_path / name for name in ("a", "b")}
    assert manifest.seal(files) == manifest.seal(dict(reversed(files.items())))


@pytest.mark.parametrize(
    "name",
    [
        "cu12/tensorflow/index.html",
        "ledger.jsonl",
        "cu12/tensorflow/tensorflow-2.20.0+cu125.2-py3-none-manylinux_2_17_x86_64.whl",
        "cu12/tensorflow/tensorflow-2.20.0+cu125.2-py3-none-manylinux_2_17_x86_64.whl.metadata",
    ],
    ids=["page", "ledger", "wheel", "sidecar"],
)
@pytest.mark.parametrize(
    ("tamper", "fault"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"~"), "has sha256"),
        (lambda path: path.write_bytes(path.read_bytes() + b"~"), "has (sha256|[0-9,]+ bytes where)"),
        (lambda path: path.unlink(), "is missing"),
    ],
    ids=["altered", "longer", "gone"],
)
def test_any_file_that_is_altered_cut_or_gone_is_named(
    name: str, tamper: Callable[[Path], object], fault: str, site: Path
) -> None:
    tamper(site / name)
    with pytest.raises(ManifestError, match=f"{name.replace('+', '.')} {fault}"):
        manifest.check(site)


def test_a_file_that_nobody_listed_is_named(site: Path) -> None:
    (site / "cu12" / "evil.html").write_text("")
    with pytest.raises(ManifestError, match=r"cu12/evil\.html is not listed"):
        manifest.check(site)


def test_a_name_that_leads_out_of_the_index_is_refused(site: Path) -> None:
    content = json.loads((site / manifest.NAME).read_bytes())
    content["files"]["../wheels"] = {"sha256": "0" * 64, "size": 1}
    (site / manifest.NAME).write_text(json.dumps(content))
    with pytest.raises(ManifestError, match=r"'\.\./wheels', which is outside the index"):
        manifest.check(site)


def test_many_faults_are_counted(site: Path) -> None:
    for number in range(15):
        (site / f"{number:02}.html").write_text("")
    with pytest.raises(ManifestError, match="and 5 more"):
        manifest.check(site)


def test_a_removed_wheel_is_not_asked_for(site: Path, tmp_path: Path) -> None:
    known = tmp_path / "ledger.jsonl"
    ledger.remove(known, ledger.read(known).entries[1].file, "withdrawn")
    shutil.copyfile(known, site / manifest.LEDGER)
    for path in (site / "cu12" / "tensorflow").glob("*.whl*"):
        path.unlink()
    reseal(site)
    assert manifest.check(site) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"version":1,"files":[]}',
        b'{"version":1,"files":{}}',
        b'{"version":2,"files":{"ledger.jsonl":{"sha256":"0","size":1}}}',
        b'{"version":1,"files":{"ledger.jsonl":{"sha256":"0"}}}',
        b'{"version":1,"files":{"ledger.jsonl":null}}',
    ],
)
def test_what_is_no_manifest_is_refused(data: bytes, site: Path) -> None:
    (site / manifest.NAME).write_bytes(data)
    with pytest.raises(ManifestError, match="is not a manifest"):
        manifest.check(site)


def test_a_copy_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="cannot be read"):
        manifest.check(tmp_path)


def test_how_to_check_the_signature_is_said() -> None:
    assert "gh attestation verify manifest.json --repo" in manifest.SIGNATURE
