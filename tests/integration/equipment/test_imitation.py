"""An imitated runtime has its snapshot's packages; a wheel installed there is judged by what it changes."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

import colabstubs
from imitation import report
from imitation import runtime as runtimes
from imitation.environments import ENVIRONMENTS
from imitation.errors import ImitationError
from tfwheel.config.paths import Paths
from tfwheel.index import local_index, server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from imitation.runtime import Imitation

ROOTS = ("tensorflow", "tensorflow-text", "another", "keras-hub")
PIP, *_, EMPTY = ENVIRONMENTS  # the others do the same in minutes, every night


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a cache; pip and uv know only the small index."""
    made = tmp_path_factory.mktemp("imitation")
    colabstubs.write_index(made / "pypi")
    with server.serve(made / "pypi") as address, pytest.MonkeyPatch.context() as patch:
        colabstubs.use_index(patch, address)
        patch.setenv("UV_PYTHON", sys.executable)  # as nox sets it: uv would install into this environment
        yield made


@pytest.fixture(scope="module")
def imitation(folder: Path) -> Imitation:
    return runtimes.kept(colabstubs.runtime(), folder / "cache", roots=ROOTS)


def tried(wheel: Path, imitation: Imitation, folder: Path, names: list[str]) -> dict[str, dict[str, tuple[bool, str]]]:
    """What was found in these environments, by what was compared; also in a report."""
    with local_index.serve_alone(wheel, line="cpu", workdir=folder) as url:
        trial = colabstubs.attempt(wheel, imitation, folder.parent / "cache", folder, url=url)
        trial.run({name: ENVIRONMENTS[name] for name in names})
    report.written(trial, colabstubs.runtime(), Paths(settings=folder, dist=folder / "dist", cache=folder))
    found: dict[str, dict[str, tuple[bool, str]]] = {}
    for one in trial.findings:
        found.setdefault(one.where, {})[one.what] = (one.holds, one.seen)
    return found


def test_an_imitation_has_what_tensorflow_and_its_dependents_need_and_says_what_it_lacks(imitation: Imitation) -> None:
    names = {path.name.split("-")[0] for path in imitation.site.glob("*.dist-info")}
    assert names == {"tensorflow", "tensorflow_text", "numpy", "helper", "another", "pip"}
    assert imitation.left_out == {"promise": "promise 2.3 has no wheel for this Python and machine"}


def test_it_is_made_once(imitation: Imitation, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "_make", lambda *_, **__: pytest.fail("made again"))
    assert runtimes.kept(colabstubs.runtime(), folder / "cache", roots=ROOTS) == imitation


def test_a_copy_is_a_base_environment_of_its_own(imitation: Imitation, folder: Path) -> None:
    with runtimes.copied(imitation, folder / "cache") as copy:
        text = (copy.programs / "pip").read_text()
        assert str(copy.folder) in text
        assert imitation.made_in not in text
    assert not copy.folder.exists()


def test_a_wheel_that_fits_is_found_to_fit(imitation: Imitation, folder: Path) -> None:
    place = folder / "good"
    found = tried(colabstubs.ours(place / "wheels"), imitation, place, [PIP, EMPTY])
    assert {
        f"{where}: {what}": seen for where in found for what, (holds, seen) in found[where].items() if not holds
    } == {}
    assert found[PIP]["only tensorflow changed, to 2.20.0+cpu.1"] == (True, "tensorflow 2.20.0 -> 2.20.0+cpu.1")
    assert found[PIP]["the custom ops work"] == (True, "2.20.0+cpu.1: 1 comparisons with float64 hold")
    assert found[PIP]["pip check says the same"] == (True, "the same 1 faults")  # promise is not there
    assert found[EMPTY]["pip check finds no fault"] == (True, "no fault")
    assert set(found[f"{PIP}, back to 2.20.0"]) >= {"its files are the same", "tensorflow-text behaves as before"}
    said = json.loads((place / "dist" / "reports" / "imitation-2000.01.json").read_text())
    assert said["seconds"].keys() == found.keys()
    assert said["left_out"] == imitation.left_out
    report.require([said], Paths(settings=place, dist=place / "dist", cache=place))


def test_each_thing_that_a_wheel_breaks_is_found(imitation: Imitation, folder: Path) -> None:
    place = folder / "bad"
    bad = colabstubs.ours(place / "wheels", ["helper>=2"], tensorflow="\nBROKEN = 1\n", another="x = 1000\n")
    found = tried(bad, imitation, place, [PIP])
    wrong = {what: seen for what, (holds, seen) in found[PIP].items() if not holds}
    changed = "helper 1.0 -> 2.0, tensorflow 2.20.0 -> 2.20.0+cpu.1"
    assert wrong.pop("only tensorflow changed, to 2.20.0+cpu.1") == changed
    assert "tensorflow-text 2.20.1 has requirement helper<2, but you have helper 2.0." in wrong.pop(
        "pip check says the same"
    )
    assert wrong.pop("tensorflow-text behaves as before") == (
        "before: ; after: ImportError: undefined symbol: _ZN10tensorflow"
    )
    assert "another.py" in wrong.pop("uninstalling leaves nothing behind")  # pip removed what both owned
    assert "another.py" in wrong.pop("no file of another package changed")
    assert wrong == {}
    said = json.loads((place / "dist" / "reports" / "imitation-2000.01.json").read_text())
    with pytest.raises(ImitationError, match="comparisons do not hold") as failure:
        report.require([said], Paths(settings=place, dist=place / "dist", cache=place))
    assert changed in failure.value.message
