"""What comes out of a container: files that were asked for, and no way to another place of this machine."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

import fakewheels
from tfwheel.checks import container_environments
from tfwheel.checks.container_environments import ContainerEnvironment
from tfwheel.system import containers
from tfwheel.system.containers import ContainerHost
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import Programs

if TYPE_CHECKING:
    from pathlib import Path, PurePosixPath


@dataclass
class Inside:
    """A container with such files, links among them, whose programs all print the same."""

    output: str = ""
    files: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    copied: list[str] = field(default_factory=list)

    def run(self, argv: list[object], **_: object) -> str:
        if argv[0] == "rm":
            del self.files[str(argv[1])]
        return self.output

    def copy_out(self, inside: PurePosixPath, to: Path) -> None:
        self.copied.append(str(inside))
        if str(inside) in self.links:
            to.symlink_to(self.links[str(inside)])
        elif str(inside) in self.files:
            to.write_text(self.files[str(inside)])
        else:
            message = "no such file"
            raise CommandError(message)


def environment(folder: Path, inside: Inside) -> ContainerEnvironment:
    parts = {"folder": folder, "log": folder / "log", "gpus": [], "making": Future(), "programs": Programs()}
    return ContainerEnvironment(**parts, container=inside)  # type: ignore[arg-type] -- all that it does with one


def test_a_file_is_moved_out_once(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    there = environment(tmp_path, Inside(files={str(path): "{}"}))
    assert there.taken(path).read_text() == "{}"
    assert not there.taken(path).exists()  # not that of an earlier program


def test_a_link_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("{}")
    path = tmp_path / "report.json"
    inside = Inside(links={str(path): str(tmp_path / "secret")}, files={str(path): "{}"})
    assert not environment(tmp_path, inside).taken(path).is_symlink()
    assert (tmp_path / "secret").read_text() == "{}"


def test_only_files_that_match_come_out(tmp_path: Path) -> None:
    site = tmp_path / "venv" / "tensorflow"
    whole, link = site / "libtensorflow_cc.so.2", site / "libtensorflow_link.so"
    lines = ["WARNING: of the engine", str(whole), str(link), f"{site}/..", "/etc/tensorflow/libtensorflow_x", "~/x"]
    inside = Inside(output="\n".join(lines), files={str(whole): "code"}, links={str(link): "/etc/passwd"})
    assert environment(tmp_path, inside).installed("tensorflow/libtensorflow_*") == [tmp_path / whole.name]
    assert inside.copied == [str(whole), str(link)]


@pytest.mark.parametrize(
    ("image", "found"), [(container_environments.IMAGE, "docker.io/library/python:3.12-slim"), ("mine:1", "mine:1")]
)
def test_the_default_image_has_the_python_of_the_target(
    image: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "find_engine", lambda name: name)
    monkeypatch.setattr(
        containers, "find_place", lambda engine, name: ContainerHost(engine=engine, image=name, image_id="")
    )
    place = container_environments.find_place(fakewheels.target(python="3.12"), image, "podman")
    assert (place.engine, place.image) == ("podman", found)
