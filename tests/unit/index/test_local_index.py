"""Site: this machine's index equals its wheels that may be listed, and changes only where they do."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

import fakewheels
from tfwheel.config.paths import Paths
from tfwheel.index import ledger, local_index, manifest
from tfwheel.index.errors import NameTakenError, WheelMissingError
from tfwheel.system import files
from tfwheel.wheel import metadata, records
from tfwheel.wheel.records import Record

if TYPE_CHECKING:
    from pathlib import Path

PAGE = "cu12/tensorflow"
TAG = "cp312-cp312-manylinux_2_17_x86_64"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(settings=tmp_path / "settings", dist=tmp_path, cache=tmp_path / "cache")


def finished(
    paths: Paths,
    *,
    version: str = "2.20.0+cu125.1",
    smoke: object = True,
    folder: str = "",
    body: bytes = b"",
) -> Path:
    """A wheel with its record, as a build leaves them."""
    line = "cpu" if "+cpu" in version else "cu12"
    place = paths.wheels / (folder or f"tf{version}-{line}")
    place.mkdir(parents=True, exist_ok=True)
    path = fakewheels.write_wheel(place, {"tensorflow/__init__.py": body}, name="tensorflow", version=version, tag=TAG)
    sha256 = files.sha256_of(path)
    record = Record(
        target=place.name,
        project="tensorflow",
        version=version,
        line=line,
        python="3.12",
        file=path.name,
        sha256=sha256,
        size=path.stat().st_size,
        key="k",
        smoke={"passed": smoke, "wheel_sha256": sha256, "reason": "it is broken"} if smoke is not None else None,
    )
    records.save(record, path)
    return path


def tree(folder: Path) -> set[str]:
    """All files below a folder but the two that are always there: the ledger's copy and the manifest."""
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    return files - {manifest.NAME, manifest.LEDGER}


def test_the_site_has_pages_sidecars_and_the_wheels_without_copying_them(paths: Paths) -> None:
    wheel = finished(paths)
    (entry,) = local_index.update(paths)
    assert tree(paths.site) == {
        "cu12/index.html",
        "cu12/index.json",
        f"{PAGE}/index.html",
        f"{PAGE}/index.json",
        f"{PAGE}/{wheel.name}",
        f"{PAGE}/{wheel.name}.metadata",
    }
    assert (paths.site / manifest.LEDGER).read_bytes() == paths.ledger.read_bytes()
    assert manifest.check(paths.site.resolve()) == 7
    assert (paths.site / PAGE / wheel.name).samefile(wheel)
    assert (paths.site / PAGE / f"{wheel.name}.metadata").read_bytes() == metadata.metadata_of(wheel)
    assert ledger.read(paths.ledger).entries == (entry,)
    assert (entry.url, entry.sha256, entry.target) == ("", files.sha256_of(wheel), wheel.parent.name)


def test_nothing_is_touched_or_read_again_when_nothing_changed(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    finished(paths)
    first = local_index.update(paths)
    before = paths.site.readlink(), paths.ledger.stat().st_ino
    monkeypatch.setattr(metadata, "metadata_of", None)
    monkeypatch.setattr(files, "sha256_of", None)
    assert local_index.update(paths) == first
    assert (paths.site.readlink(), paths.ledger.stat().st_ino) == before


def test_a_wheel_built_anew_under_its_name_replaces_the_old_one_and_that_is_said(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    finished(paths)
    local_index.update(paths)
    wheel = finished(paths, body=b"new = True\n")
    (entry,) = local_index.update(paths)
    assert entry.sha256 == files.sha256_of(wheel)
    assert (paths.site / PAGE / wheel.name).read_bytes() == wheel.read_bytes()
    assert entry.sha256 in (paths.site / PAGE / "index.html").read_text()
    assert "was rebuilt with other bytes" in capsys.readouterr().err


def test_the_same_bytes_built_anew_are_not_kept_twice(paths: Paths) -> None:
    finished(paths)
    local_index.update(paths)
    wheel = finished(paths)
    local_index.update(paths)
    assert (paths.site / PAGE / wheel.name).samefile(wheel)


def test_new_evidence_about_a_wheel_enters_the_ledger(paths: Paths) -> None:
    wheel = finished(paths)
    local_index.update(paths)
    path = records.path_for(wheel)
    record = records.load(path)
    records.save(record.grown(gpu_smoke={**(record.smoke or {}), "gpu": {"name": "T4"}}), wheel)
    os.utime(path, (2_000_000_000, 2_000_000_000))
    (entry,) = local_index.update(paths)
    assert entry.gpu_smoke
    assert entry.uploaded == "2033-05-18T03:33:20Z"


def test_what_is_gone_leaves_no_trace_and_that_is_said(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    gone = finished(paths, version="2.20.0+cpu.1")
    kept = finished(paths)
    local_index.update(paths)
    records.path_for(gone).unlink()
    (entry,) = local_index.update(paths)
    assert entry.file == kept.name
    assert {name.split("/")[0] for name in tree(paths.site)} == {"cu12"}
    assert f"{gone.name} is gone" in capsys.readouterr().err


@pytest.mark.parametrize(("smoke", "reason"), [(None, "never smoke-tested"), (False, "it is broken")])
def test_a_wheel_that_did_not_pass_is_left_out_and_that_is_said(
    paths: Paths, capsys: pytest.CaptureFixture[str], smoke: object, reason: str
) -> None:
    finished(paths, smoke=smoke)
    assert local_index.update(paths) == ()
    assert reason in capsys.readouterr().err
    assert tree(paths.site) == set()


@pytest.mark.parametrize("kind", ["relative", "absolute", "of the folder"])
def test_a_link_in_the_folder_of_wheels_gives_the_file_itself(paths: Paths, kind: str) -> None:
    wheel = finished(paths)
    aside = paths.dist / "aside"
    if kind == "of the folder":
        wheel.parent.rename(aside)
        wheel.parent.symlink_to(aside)
    else:
        aside.mkdir()
        wheel.rename(aside / wheel.name)
        wheel.symlink_to(aside / wheel.name if kind == "absolute" else f"../../aside/{wheel.name}")
    assert len(local_index.update(paths)) == 1
    served = paths.site / PAGE / wheel.name
    assert not served.is_symlink()
    assert served.samefile(aside / wheel.name)
    assert manifest.check(paths.site.resolve()) == 7


def test_a_link_that_leads_nowhere_is_left_out(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    wheel = finished(paths)
    wheel.unlink()
    wheel.symlink_to(wheel.name)
    assert local_index.update(paths) == ()
    assert "missing" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["../x.whl", "/etc/x.whl", "x", "", "a\0.whl", ".."])
def test_a_record_that_names_a_file_elsewhere_is_left_out(
    paths: Paths, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel = finished(paths)
    path = records.path_for(wheel)
    path.write_text(path.read_text().replace(json.dumps(wheel.name), json.dumps(name)))
    assert local_index.update(paths) == ()
    assert "is not the name of a wheel" in capsys.readouterr().err


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("fault", ["missing", "cut short"])
def test_a_wheel_that_is_not_the_recorded_file_is_left_out(paths: Paths, fault: str, *, listed: bool) -> None:
    wheel = finished(paths)
    if listed:
        local_index.update(paths)
    if fault == "missing":
        wheel.unlink()
    else:
        wheel.write_bytes(wheel.read_bytes()[:-1])
    assert local_index.update(paths) == ()
    assert tree(paths.site) == set()


def test_a_contradiction_changes_nothing(paths: Paths) -> None:
    finished(paths)
    local_index.update(paths)
    before = paths.site.readlink(), paths.ledger.read_bytes()
    finished(paths, folder="other", body=b"other = True\n")
    with pytest.raises(NameTakenError, match="twice"):
        local_index.update(paths)
    assert (paths.site.readlink(), paths.ledger.read_bytes()) == before


def test_a_wheel_with_a_broken_record_is_left_out_and_named(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    records.path_for(finished(paths)).write_text("{")
    assert local_index.update(paths) == ()
    assert "is not a record" in capsys.readouterr().err


def test_a_damaged_ledger_of_this_machine_is_made_anew(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    finished(paths)
    entries = local_index.update(paths)
    paths.ledger.write_text("{}\n")
    assert local_index.update(paths) == entries
    assert "rebuilding it from the wheels" in capsys.readouterr().err
    assert ledger.read(paths.ledger).entries == entries


def test_an_empty_site_is_not_offered(paths: Paths) -> None:
    with pytest.raises(WheelMissingError, match="passed its smoke test"):
        local_index.offer(paths, port=0)


def test_the_install_command_is_an_exact_pin_beside_pypi(paths: Paths) -> None:
    finished(paths)
    command = 'pip install --extra-index-url http://127.0.0.1:8000/cu12/ "tensorflow==2.20.0+cu125.1"'
    (entry,) = local_index.update(paths)
    assert local_index.install_command(entry, "http://127.0.0.1:8000/") == command
