"""Site: the folder equals the wheels that may be listed, and changes only where they do."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

import fakewheels
from tfwheel import index, records, site
from tfwheel.errors import IndexEntryError, NothingToServeError
from tfwheel.records import Record

if TYPE_CHECKING:
    from pathlib import Path

TAG = "cp312-cp312-manylinux_2_17_x86_64"


def finished(
    wheels: Path,
    *,
    version: str = "2.20.0+cu125.1",
    smoke: object = True,
    folder: str = "",
    body: bytes = b"",
) -> Path:
    """A wheel with its record, as a build leaves them."""
    line = "cpu" if "+cpu" in version else "cu12"
    place = wheels / (folder or f"tf{version}-{line}")
    place.mkdir(parents=True, exist_ok=True)
    path = fakewheels.write_wheel(place, {"tensorflow/__init__.py": body}, name="tensorflow", version=version, tag=TAG)
    sha256 = records.sha256_of(path)
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
    """All files below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Which file is where, and when it was written."""
    return {name: ((folder / name).stat().st_ino, (folder / name).stat().st_mtime_ns) for name in tree(folder)}


def test_the_site_has_pages_sidecars_and_the_wheels_without_copying_them(tmp_path: Path) -> None:
    wheel = finished(tmp_path / "wheels")
    site.update(tmp_path / "site", tmp_path / "wheels")
    page = "cu12/tensorflow"
    assert tree(tmp_path / "site") == {
        "index.html",
        "cu12/index.html",
        f"{page}/index.html",
        f"{page}/{wheel.name}",
        f"{page}/{wheel.name}.metadata",
    }
    assert (tmp_path / "site" / page / wheel.name).samefile(wheel)


def test_nothing_is_touched_when_nothing_changed(tmp_path: Path) -> None:
    finished(tmp_path / "wheels")
    site.update(tmp_path / "site", tmp_path / "wheels")
    before = stamps(tmp_path / "site")
    site.update(tmp_path / "site", tmp_path / "wheels")
    assert stamps(tmp_path / "site") == before


def test_the_wheels_are_not_opened_again_when_the_site_has_their_metadata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(tmp_path / "wheels")
    first = site.update(tmp_path / "site", tmp_path / "wheels")
    monkeypatch.setattr(index.zipfile, "ZipFile", None)
    assert site.update(tmp_path / "site", tmp_path / "wheels") == first


def test_a_wheel_built_anew_under_its_name_replaces_the_old_one(tmp_path: Path) -> None:
    finished(tmp_path / "wheels")
    site.update(tmp_path / "site", tmp_path / "wheels")
    wheel = finished(tmp_path / "wheels", body=b"new = True\n")
    site.update(tmp_path / "site", tmp_path / "wheels")
    served = tmp_path / "site" / "cu12" / "tensorflow"
    assert (served / wheel.name).read_bytes() == wheel.read_bytes()
    assert records.sha256_of(wheel) in (served / "index.html").read_text()


def test_what_is_gone_leaves_no_trace(tmp_path: Path) -> None:
    gone = finished(tmp_path / "wheels", version="2.20.0+cpu.1")
    finished(tmp_path / "wheels")
    site.update(tmp_path / "site", tmp_path / "wheels")
    records.path_for(gone).unlink()
    (tmp_path / "site" / "stray.txt").write_text("?")
    site.update(tmp_path / "site", tmp_path / "wheels")
    assert {name.split("/")[0] for name in tree(tmp_path / "site")} == {"cu12", "index.html"}
    assert not (tmp_path / "site" / "cpu").exists()


@pytest.mark.parametrize(("smoke", "reason"), [(None, "never smoke-tested"), (False, "it is broken")])
def test_a_wheel_that_did_not_pass_is_left_out_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], smoke: object, reason: str
) -> None:
    finished(tmp_path / "wheels", smoke=smoke)
    assert site.update(tmp_path / "site", tmp_path / "wheels") == {}
    assert reason in capsys.readouterr().err
    assert tree(tmp_path / "site") == {"index.html"}


@pytest.mark.parametrize("fault", ["missing", "cut short"])
def test_a_wheel_that_is_not_the_recorded_file_is_left_out(tmp_path: Path, fault: str) -> None:
    wheel = finished(tmp_path / "wheels")
    if fault == "missing":
        wheel.unlink()
    else:
        wheel.write_bytes(wheel.read_bytes()[:-1])
    assert site.update(tmp_path / "site", tmp_path / "wheels") == {}


def test_a_contradiction_changes_nothing(tmp_path: Path) -> None:
    finished(tmp_path / "wheels")
    site.update(tmp_path / "site", tmp_path / "wheels")
    before = stamps(tmp_path / "site")
    finished(tmp_path / "wheels", folder="other", body=b"other = True\n")
    with pytest.raises(IndexEntryError, match="two files"):
        site.update(tmp_path / "site", tmp_path / "wheels")
    assert stamps(tmp_path / "site") == before


def test_a_wheel_with_a_broken_record_is_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    records.path_for(finished(tmp_path / "wheels")).write_text("{")
    assert site.update(tmp_path / "site", tmp_path / "wheels") == {}
    assert "is not a record" in capsys.readouterr().err


def test_a_killed_update_leaves_no_link_that_leads_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished(tmp_path / "wheels")
    write = records.write_atomically

    def killed_at_the_page(path: Path, data: bytes) -> None:
        if path.name == "index.html":
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(records, "write_atomically", killed_at_the_page)
    with pytest.raises(KeyboardInterrupt):
        site.update(tmp_path / "site", tmp_path / "wheels")
    assert not any(name.endswith("index.html") for name in tree(tmp_path / "site"))
    monkeypatch.undo()
    site.update(tmp_path / "site", tmp_path / "wheels")
    assert "index.html" in tree(tmp_path / "site")


def test_wheels_are_copied_where_they_cannot_be_linked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_paths: Path) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    wheel = finished(tmp_path / "wheels")
    site.update(tmp_path / "site", tmp_path / "wheels")
    served = tmp_path / "site" / "cu12" / "tensorflow" / wheel.name
    assert served.read_bytes() == wheel.read_bytes()
    assert not served.samefile(wheel)
    before = stamps(tmp_path / "site")
    site.update(tmp_path / "site", tmp_path / "wheels")
    assert stamps(tmp_path / "site") == before


def test_an_empty_site_is_not_offered(tmp_path: Path) -> None:
    with pytest.raises(NothingToServeError, match="passed its smoke test"):
        site.offer(tmp_path / "site", tmp_path / "wheels", port=0)


def test_the_install_command_is_an_exact_pin_beside_pypi(tmp_path: Path) -> None:
    entry = index.from_wheel(finished(tmp_path / "wheels"), line="cu12")
    command = 'pip install --extra-index-url http://127.0.0.1:8000/cu12/ "tensorflow==2.20.0+cu125.1"'
    assert site.install_command(entry, "http://127.0.0.1:8000/") == command
