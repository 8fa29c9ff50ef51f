"""Containers of a real engine: what they see, what they leave, and how they end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest

import engines
import smallimage
from tfwheel.config.paths import ROOT
from tfwheel.system import containers
from tfwheel.system.containers import Container, ContainerHost, ContainerOrder
from tfwheel.system.errors import CommandError, ContainerEngineError, TargetBusyError

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = f"localhost/tfwheel-small-test-{os.getpid()}"
KEPT = PurePosixPath("/kept")
ENDLESS = "trap 'echo asked; exit 8' INT; echo begun; while true; do sleep 0.2; done"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerHost]:
    """A small image in an engine that works here; it is removed at the end."""
    with engines.working() as engine, smallimage.placed(tmp_path_factory.mktemp("image"), engine, IMAGE) as found:
        yield found


@pytest.fixture
def volume(place: ContainerHost, tmp_path: Path) -> Iterator[str]:
    name = f"tfwheel-test-{tmp_path.name.replace('_', '-')}-{os.getpid()}"
    yield name
    containers.remove_volumes(place.engine, [name, "no-such-volume"])
    assert name not in containers.ask([place.engine, "volume", "ls", "--quiet"]).split()


def order(tmp_path: Path, text: str, **more: object) -> ContainerOrder:
    return ContainerOrder(owner=str(tmp_path), argv=["sh", "-c", text], **more)  # type: ignore[arg-type]


def left(place: ContainerHost, tmp_path: Path) -> list[str]:
    return containers.ask([place.engine, "ps", "-aq", "--filter", f"label={containers.LABEL}={tmp_path}"]).split()


def test_a_program_sees_what_it_was_given_and_nothing_of_this_machine_can_be_written(
    place: ContainerHost, volume: str, tmp_path: Path
) -> None:
    (tmp_path / "in put").mkdir()
    (tmp_path / "in put" / "file").write_text("given\n")
    text = 'cat /in/file; echo "$WORD"; ls; echo 1 > /in/no; echo 2 > /kept/made; exit 3'
    wanted = order(
        tmp_path,
        text,
        env={"WORD": "two words"},
        mounts={PurePosixPath("/in"): tmp_path / "in put"},
        volumes={KEPT: volume},
        workdir=PurePosixPath("/kept"),
    )
    lines: list[str] = []
    with containers.container(place, wanted) as made:
        assert made.start(log=tmp_path / "log", on_line=lines.append) == 3
        made.copy_out(KEPT / "made", tmp_path / "made")
    assert lines[:2] == ["given", "two words"]
    assert not (tmp_path / "in put" / "no").exists()
    assert (tmp_path / "made").read_text() == "2\n"
    assert (tmp_path / "made").stat().st_uid == os.geteuid()
    assert left(place, tmp_path) == []
    with containers.container(place, order(tmp_path, "cat /kept/made", volumes={KEPT: volume})) as again:
        assert again.start(log=tmp_path / "again") == 0
    assert "\n2\n" in (tmp_path / "again").read_text()


def test_a_program_is_asked_to_end_when_its_time_is_over(place: ContainerHost, tmp_path: Path) -> None:
    start = time.monotonic()
    with containers.container(place, order(tmp_path, ENDLESS)) as made:
        assert made.start(log=tmp_path / "log", budget_s=3) == 8
    assert time.monotonic() - start < 60
    assert "asked" in (tmp_path / "log").read_text()


def test_a_program_that_ends_before_its_time_is_not_asked(place: ContainerHost, tmp_path: Path) -> None:
    with containers.container(place, order(tmp_path, "exit 0")) as made:
        assert made.start(log=tmp_path / "log", budget_s=600) == 0


KILLED = """
import sys
from pathlib import Path
from tfwheel.system import containers
from tfwheel.system.containers import ContainerHost, ContainerOrder
place = ContainerHost(engine=sys.argv[1], image=sys.argv[2], image_id="")
wanted = ContainerOrder(owner=sys.argv[3], argv=["sh", "-c", sys.argv[4]])
with containers.container(place, wanted) as made:
    made.start(log=Path(sys.argv[3]) / "log")
"""


def test_what_a_killed_run_left_is_removed_by_the_next(place: ContainerHost, tmp_path: Path) -> None:
    argv = [sys.executable, "-c", KILLED, place.engine, place.image, str(tmp_path), ENDLESS]
    process = subprocess.Popen(argv, env={**os.environ, "PYTHONPATH": str(ROOT / "scripts")}, start_new_session=True)
    log = tmp_path / "log"
    until = time.monotonic() + 60
    while time.monotonic() < until and not (log.exists() and "begun" in log.read_text()):
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(left(place, tmp_path)) == 1
    with containers.container(place, order(tmp_path, "true")) as made:
        assert made.start(log=log) == 0
    assert left(place, tmp_path) == []


def test_what_cannot_be_made_or_copied_is_said(place: ContainerHost, tmp_path: Path) -> None:
    nowhere = ContainerHost(engine=place.engine, image="localhost/no-such-image", image_id="")
    with pytest.raises(ContainerEngineError, match=r"cannot make a container of `localhost/no-such-image`: .+"):
        Container(nowhere, order(tmp_path, "true"))
    with containers.container(place, order(tmp_path, "true")) as made, pytest.raises(CommandError):
        made.copy_out(PurePosixPath("/no-such"), tmp_path / "x")
    with containers.container(place, ContainerOrder(owner=str(tmp_path), argv=["/no-such-program"])) as made:
        assert made.start(log=tmp_path / "log") not in {0, 8}


def test_a_container_of_another_process_that_runs_is_left_alone(place: ContainerHost, tmp_path: Path) -> None:
    with subprocess.Popen(["/bin/sleep", "100"]) as other:
        start = Path(f"/proc/{other.pid}/stat").read_text().rpartition(")")[2].split()[19]
        labels = [f"--label={containers.LABEL}={tmp_path}", f"--label={containers.PROCESS}={other.pid}.{start}"]
        containers.ask([place.engine, "create", *labels, place.image, "true"])
        swept = containers.swept(place.engine, str(tmp_path))
        with pytest.raises(TargetBusyError, match="another process has a container of"), swept:
            pass
        assert len(left(place, tmp_path)) == 1
        other.kill()
    with containers.swept(place.engine, str(tmp_path)):
        assert left(place, tmp_path) == []


@pytest.mark.parametrize("name", ["a,readonly=false", 'a"b', "a\nb"])
def test_a_path_that_would_be_an_option_of_the_engine_is_refused(
    place: ContainerHost, tmp_path: Path, name: str
) -> None:
    wanted = order(tmp_path, "true", mounts={PurePosixPath("/in"): tmp_path / name})
    with pytest.raises(ContainerEngineError, match="a comma, a quote or a control character is in it"):
        containers.Container(place, wanted)
