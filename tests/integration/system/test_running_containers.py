"""Containers in which one program runs after another, and those with the GPUs of a machine."""

from __future__ import annotations

import os
import signal
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest

import cdi
import engines
import smallimage
from tfwheel.system import containers, running_containers
from tfwheel.system.containers import ContainerHost, ContainerOrder
from tfwheel.system.errors import CommandError, ContainerEngineError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfwheel.system.running_containers import RunningContainer

IMAGE = f"localhost/tfwheel-running-test-{os.getpid()}"


@pytest.fixture(scope="module", params=containers.ENGINES)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContainerHost]:
    """A small image in each engine that works here; it is removed at the end."""
    with (
        engines.working(request.param) as engine,
        smallimage.placed(tmp_path_factory.mktemp("image"), engine, IMAGE) as found,
    ):
        yield found


@pytest.fixture
def running(place: ContainerHost, tmp_path: Path) -> Iterator[RunningContainer]:
    """A container in which programs can run; nothing of it is left."""
    order = ContainerOrder(owner=str(tmp_path), env={"WORD": "two words"})
    with running_containers.running(place, order) as found:
        yield found
    left = containers.ask([place.engine, "ps", "-aq", "--filter", f"label={containers.LABEL}={tmp_path}"])
    assert left.split() == []


def test_programs_run_one_after_another_and_leave_what_they_wrote(running: RunningContainer, tmp_path: Path) -> None:
    (tmp_path / "given").write_text("given\n")
    running.run(["mkdir", "-p", "/deep/er"])
    running.copy_in(tmp_path / "given", PurePosixPath("/deep/er/file"))
    text = 'cat file; echo "$WORD"; echo made > made'
    said = running.run(["sh", "-c", text], workdir=PurePosixPath("/deep/er"), log=tmp_path / "log")
    assert said.splitlines()[-2:] == ["given", "two words"]
    assert "two words" in (tmp_path / "log").read_text()
    running.copy_out(PurePosixPath("/deep/er/made"), tmp_path / "made")
    assert (tmp_path / "made").read_text() == "made\n"


@pytest.mark.parametrize(
    ("text", "code"), [("exit 3", 3), ("kill -ILL $$", -signal.SIGILL), ("kill -KILL $$", -signal.SIGKILL)]
)
def test_a_program_that_fails_or_crashes_is_told_from_others(running: RunningContainer, text: str, code: int) -> None:
    with pytest.raises(CommandError) as caught:
        running.run(["sh", "-c", text])
    assert caught.value.returncode == code
    assert running.run(["true"]) == ""


def test_a_container_that_has_ended_is_no_failure_of_a_program(running: RunningContainer, tmp_path: Path) -> None:
    containers.ask([running.made.engine, "kill", "--signal=KILL", running.made.name])
    with pytest.raises(ContainerEngineError, match=f"cannot go on with a container of `{IMAGE}`: .+"):
        running.run(["true"])
    containers.ask([running.made.engine, "rm", "--force", running.made.name])
    with pytest.raises(ContainerEngineError, match=f"cannot copy gone into a container of `{IMAGE}`: .+"):
        running.copy_in(tmp_path / "gone", PurePosixPath("/x"))


# --- GPUs ------------------------------------------------------------------------------------------------


def test_gpus_that_the_engine_cannot_hand_over_are_said_with_what_brings_them(
    place: ContainerHost, tmp_path: Path
) -> None:
    running = running_containers.running(place, ContainerOrder(owner=str(tmp_path), gpus=True))
    with (
        pytest.raises(ContainerEngineError, match=r"a container of `.*` with this machine's GPUs: .+") as caught,
        running,
    ):
        pytest.skip("this machine has GPUs for containers, which `nvidia-smi` lists")
    assert "nvidia-ctk" in caught.value.remedy
    assert not containers.ask([place.engine, "ps", "-aq", "--filter", f"label={containers.LABEL}={tmp_path}"]).split()


def test_podman_hands_over_the_gpus_of_the_container_device_interface(place: ContainerHost, tmp_path: Path) -> None:
    if place.engine != "podman":
        pytest.skip("docker has an option of its own for GPUs: `docker run --gpus=all`")
    for gpus, found in ((True, {cdi.DEVICE, cdi.SMI}), (False, set())):
        order = ContainerOrder(owner=str(tmp_path), gpus=gpus)
        with cdi.gpu(tmp_path), running_containers.running(place, order) as container:
            seen = container.run(["sh", "-c", f"ls {cdi.DEVICE} {cdi.SMI} 2>/dev/null || true"])
            assert set(seen.split()) == found
            assert (cdi.PROGRAM in container.run(["sh", "-c", f"cat {cdi.SMI} || true"])) is gpus
