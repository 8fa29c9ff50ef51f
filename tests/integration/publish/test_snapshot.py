"""The index that is shown is kept whole, byte by byte, or not at all."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import assethost
from publications import finish, publication
from tfwheel.errors import UsageError
from tfwheel.index import manifest
from tfwheel.publish import publish, snapshot
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from assethost import AssetHost

DOOR = Path(__file__).parents[3] / "scripts" / "save_index.py"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[AssetHost]:
    """A published index of one wheel."""
    root = tmp_path / "live"
    with assethost.running(root / "site", root / "assets") as running:
        wheels = [finish(tmp_path / "wheels", 1)]
        publish.publish(publication(root, wheels, assets=running.url("v1", ""), pages=running.pages))
        yield running


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_the_copy_is_the_index_byte_by_byte_and_takes_the_place_of_an_older_one(
    host: AssetHost, tmp_path: Path
) -> None:
    copy, live = tmp_path / "before", tmp_path / "live" / "site"
    (copy / "cu12").mkdir(parents=True)
    (copy / "cu12" / "gone.html").touch()
    (copy / manifest.NAME).touch()
    output = run([sys.executable, DOOR, "--base-url", host.pages, "--to", copy])
    shown = {name: data for name, data in contents(live).items() if not name.startswith(".")}
    assert contents(copy) == shown
    assert f"{len(shown) - 1} files of {host.pages}" in output.replace("\n", " ")
    assert manifest.check(copy) == len(shown) - 1


def test_a_folder_of_other_things_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.txt").write_text("years of work")
    for folder in (tmp_path / "precious", tmp_path / "precious" / "thesis.txt"):
        with pytest.raises(UsageError, match="is no copy of an index"):
            snapshot.save("http://127.0.0.1:9/", folder)
    assert (tmp_path / "precious" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("fault", ["nothing", "altered", "missing", "no manifest", "outside"])
def test_without_a_whole_index_there_is_no_copy_and_no_failure(
    fault: str, host: AssetHost, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    live, copy = tmp_path / "live" / "site", tmp_path / "before"
    sealed = live / manifest.NAME
    match fault:
        case "nothing":
            live.unlink()  # a link: that is how the tree is switched
        case "altered":
            (live / "cu12" / "index.html").write_text("another page")
        case "missing":
            (live / "cu12" / "index.html").unlink()
        case "no manifest":
            sealed.write_text("<html>")
        case "outside":
            sealed.write_text(sealed.read_text().replace('"cu12/index.html"', '"../cu12/index.html"'))
    assert snapshot.save(host.pages, copy) == 0
    assert not copy.exists()
    assert not list(tmp_path.glob(".before.*"))
    assert "no copy to roll back to" in capsys.readouterr().err
