"""This machine's index, served for real: what clients get, many builds at once, and kills at any instant."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

import fakewheels
import treewriter
from tfwheel.config.paths import Paths
from tfwheel.index import atomic_tree, local_index, server
from tfwheel.index.atomic_tree import Part
from tfwheel.system import files
from tfwheel.system.processes import run
from tfwheel.wheel import records
from tfwheel.wheel.records import Record

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.client import HTTPResponse

SCRIPTS = Path(__file__).parents[3] / "scripts"
VERSION = "2.20.0+cu125.1"
TAG = "py3-none-manylinux_2_17_x86_64"
WHEEL = f"tensorflow-{VERSION}-{TAG}.whl"
PAGE = "cu12/tensorflow"
# A server of processes that has imported everything: a writer starts in milliseconds, and can be killed for real.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["treewriter", "pytest"])


def fetch(address: str) -> HTTPResponse:
    """An answer of the served site."""
    answer: HTTPResponse = urlopen(address)  # noqa: S310 -- 127.0.0.1 only
    return answer


def make_wheel(folder: Path, *, version: str = VERSION, body: bytes = b"") -> Path:
    """A wheel that any Python installs."""
    members = {"tensorflow/__init__.py": b"# a stand-in\n" + body}
    return fakewheels.write_wheel(folder, members, name="tensorflow", version=version, tag=TAG)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(settings=tmp_path / "settings", dist=tmp_path, cache=tmp_path / "cache")


@pytest.fixture
def served(paths: Paths) -> Iterator[tuple[Path, str, list[str]]]:
    """A site with one wheel: its folder, its address and the requests it got."""
    finish(paths, 1)
    local_index.update(paths)
    requests: list[str] = []
    with server.serve(paths.site, log=requests.append) as address:
        yield paths.site, address, requests


def test_pip_installs_the_exact_pin_after_reading_the_sidecar(
    served: tuple[Path, str, list[str]], tmp_path: Path
) -> None:
    _, address, requests = served
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", tmp_path / "out"]
    run([*pip, "--extra-index-url", f"{address}cu12/", f"tensorflow=={VERSION}"])
    assert (tmp_path / "out" / "tensorflow" / "__init__.py").exists()
    fetched = [line.split('"')[1].split()[1] for line in requests if ".whl" in line]
    assert [name.endswith(".metadata") for name in fetched] == [True, False]


def test_the_server_has_no_caches_fed_and_no_secrets_outside_its_folder(served: tuple[Path, str, list[str]]) -> None:
    folder, address, requests = served
    with fetch(f"{address}{PAGE}/") as answer:
        assert answer.headers["Content-Type"] == "text/html"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.read() == (folder / PAGE / "index.html").read_bytes()
    with pytest.raises(HTTPError, match="404"):
        fetch(f"{address}../{WHEEL}")
    assert len(requests) == 2


def test_a_port_that_is_taken_is_said_and_another_one_is_used(
    served: tuple[Path, str, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    folder, address, _ = served
    with (
        server.serve(folder, port=int(address.rsplit(":", 1)[1].strip("/"))) as other,
        fetch(f"{other}{PAGE}/") as answer,
    ):
        assert other != address
        assert answer.status == 200
    assert "cannot be used" in capsys.readouterr().err


def test_a_client_that_goes_away_does_not_end_the_server(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(64 << 20))
    requests: list[str] = []
    with server.serve(tmp_path, log=requests.append) as address:
        fetch(f"{address}big").close()
        with fetch(f"{address}big") as answer:
            assert len(answer.read()) == 64 << 20


def test_a_wheel_is_served_alone_and_nothing_is_left(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    with local_index.serve_alone(wheel, line="cu12", workdir=work) as address, fetch(f"{address}tensorflow/") as answer:
        assert address.endswith("/cu12/")
        assert files.sha256_of(wheel).encode() in answer.read()
    assert not list(work.iterdir())


def finish(paths: Paths, build: int) -> Path:
    """A wheel with its record, as a build leaves them."""
    place = paths.wheels / f"target{build}"
    place.mkdir(parents=True)
    version = f"2.20.0+cu125.{build}"
    wheel = make_wheel(place, version=version)
    sha256, size = files.sha256_of(wheel), wheel.stat().st_size
    record = Record(
        target=place.name,
        project="tensorflow",
        version=version,
        line="cu12",
        python=None,
        file=wheel.name,
        sha256=sha256,
        size=size,
        key="k",
        smoke={"passed": True, "wheel_sha256": sha256},
    )
    records.save(record, wheel)
    return wheel


def test_updates_at_the_same_time_lose_nothing(paths: Paths) -> None:
    def build(number: int) -> None:
        finish(paths, number)
        local_index.update(paths)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(build, range(16)))
    page = (paths.site / PAGE / "index.html").read_text()
    assert [f"cu125.{number}-" in page for number in range(16)] == [True] * 16


READER = """
import pathlib, sys
site, bad, seen = pathlib.Path(sys.argv[1]), 0, set()
while not (site.parent / "stop").exists():
    tree = site.resolve()
    try:
        texts = {(tree / str(number)).read_text() for number in range(20)}
    except FileNotFoundError:
        if site.resolve() == tree:  # not swept away while it was read
            bad += 1
        continue
    bad += len(texts) > 1
    seen |= texts
print(bad, len(seen))
"""


def test_a_reader_sees_whole_trees_while_writers_are_killed(tmp_path: Path) -> None:
    place = tmp_path / "site"
    atomic_tree.update(place, {str(name): Part(key="0", make=partial(dict, {str(name): b"0"})) for name in range(20)})
    reader = subprocess.Popen([sys.executable, "-c", READER, place], stdout=subprocess.PIPE, text=True)
    try:
        for number in range(1, 41):
            first = number * 100_000
            writer = PROCESSES.Process(target=treewriter.write_for_ever, args=(place, first))
            writer.start()
            while int((place / "0").read_text()) < first:
                assert writer.is_alive(), "the writer ended by itself"
                time.sleep(0.002)
            time.sleep(number / 2000)  # each is killed at another instant of its work
            writer.kill()
            writer.join()
            assert len({(place / str(name)).read_text() for name in range(20)}) == 1
    finally:
        (tmp_path / "stop").touch()  # a reader whose test failed would take a core for ever
        said, _ = reader.communicate(timeout=60)
    bad, seen = map(int, said.split())
    assert bad == 0
    assert seen > 1


def test_an_offered_site_says_how_to_install_and_ends_on_ctrl_c(paths: Paths) -> None:
    wheel = finish(paths, 1)
    program = (
        "from pathlib import Path; from tfwheel.config.paths import Paths; from tfwheel.index import local_index;"
        "here = Path(); local_index.offer(Paths(settings=here, dist=here, cache=here), port=0)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=paths.dist,
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    with process.stderr as lines:
        heading, command = next(lines), next(lines)
        assert '"tensorflow==2.20.0+cu125.1"' in command
        address = command.split()[3]
        assert address.removesuffix("cu12/") in heading
        with fetch(f"{address}tensorflow/{wheel.name}") as answer:
            assert answer.read() == wheel.read_bytes()
        process.send_signal(signal.SIGINT)
        assert lines.read().endswith("ended\n")
    assert process.wait(10) == 0
