"""Index: real pip (Colab's and the newest) and uv, against the served tree."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

import fakewheels
from tfwheel import index, records, site
from tfwheel.errors import CommandError
from tfwheel.records import Record
from tfwheel.run import run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.client import HTTPResponse

SCRIPTS = Path(__file__).parents[2] / "scripts"
COLAB_PIP = "24.1.2"
VERSION = "2.20.0+cu125.1"
TAG = "py3-none-manylinux_2_17_x86_64"
WHEEL = f"tensorflow-{VERSION}-{TAG}.whl"
PAGE = "cu12/tensorflow"


@pytest.fixture(scope="module")
def pips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """How each client is called, to install into a folder given last."""
    folder = tmp_path_factory.mktemp("clients")
    found = {"uv": [sys.executable, "-m", "uv", "pip", "install", "--no-cache", "--target"]}
    for name, version in (("pip-colab", COLAB_PIP), ("pip-newest", "bundle")):
        run([sys.executable, "-m", "virtualenv", "-q", "--no-periodic-update", "--no-setuptools", folder / name])
        python = folder / name / "bin" / "python"
        wanted = "pip" if version == "bundle" else f"pip=={version}"
        run([python, "-m", "pip", "install", "-q", "--upgrade", wanted])
        found[name] = [str(python), "-m", "pip", "install", "--target"]
    return found


def fetch(address: str) -> HTTPResponse:
    """An answer of the served site."""
    answer: HTTPResponse = urlopen(address)  # noqa: S310 -- 127.0.0.1 only
    return answer


def make_wheel(folder: Path, *, version: str = VERSION, body: bytes = b"") -> Path:
    """A wheel that any Python installs."""
    members = {"tensorflow/__init__.py": b"# a stand-in\n" + body}
    return fakewheels.write_wheel(folder, members, name="tensorflow", version=version, tag=TAG)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str, list[str]]]:
    """A site with one wheel: its folder, its address and the requests it got."""
    wheel = make_wheel(tmp_path)
    site.write(tmp_path / "site", {index.from_wheel(wheel, line="cu12"): wheel})
    requests: list[str] = []
    with site.serve(tmp_path / "site", log=requests.append) as address:
        yield tmp_path / "site", address, requests


@pytest.mark.parametrize("client", ["pip-colab", "pip-newest", "uv"])
def test_every_client_installs_the_exact_pin_after_reading_the_sidecar(
    client: str, pips: dict[str, list[str]], served: tuple[Path, str, list[str]], tmp_path: Path
) -> None:
    _, address, requests = served
    run([*pips[client], tmp_path / "out", "--extra-index-url", f"{address}cu12/", f"tensorflow=={VERSION}"])
    assert (tmp_path / "out" / "tensorflow" / "__init__.py").exists()
    fetched = [line.split('"')[1].split()[1] for line in requests if ".whl" in line]
    assert fetched[0].endswith(".whl.metadata")
    assert fetched[-1].endswith(".whl")


@pytest.mark.parametrize("client", ["pip-colab", "pip-newest", "uv"])
@pytest.mark.parametrize("fault", ["wheel", "sidecar"])
def test_every_client_refuses_a_file_that_is_not_the_listed_one(
    client: str, fault: str, pips: dict[str, list[str]], served: tuple[Path, str, list[str]], tmp_path: Path
) -> None:
    folder, address, _ = served
    if fault == "wheel":
        (folder / PAGE / WHEEL).unlink()
        make_wheel(folder / PAGE, body=b"evil = True\n")
    else:
        sidecar = folder / PAGE / f"{WHEEL}.metadata"
        sidecar.write_bytes(sidecar.read_bytes() + b"altered\n")
    with pytest.raises(CommandError, match=r"(?i)hash"):
        run([*pips[client], tmp_path / "out", "--extra-index-url", f"{address}cu12/", f"tensorflow=={VERSION}"])
    assert not (tmp_path / "out" / "tensorflow").exists()


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
    with site.serve(folder, port=int(address.rsplit(":", 1)[1].strip("/"))) as other, fetch(other) as answer:
        assert other != address
        assert answer.status == 200
    assert "cannot be used" in capsys.readouterr().err


def test_a_client_that_goes_away_does_not_end_the_server(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(64 << 20))
    requests: list[str] = []
    with site.serve(tmp_path, log=requests.append) as address:
        fetch(f"{address}big").close()
        with fetch(f"{address}big") as answer:
            assert len(answer.read()) == 64 << 20


def test_a_wheel_is_served_alone_and_nothing_is_left(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    with site.serve_alone(wheel, line="cu12", workdir=work) as address, fetch(f"{address}tensorflow/") as answer:
        assert address.endswith("/cu12/")
        assert records.sha256_of(wheel).encode() in answer.read()
    assert not list(work.iterdir())


def finish(wheels: Path, build: int) -> Path:
    """A wheel with its record, as a build leaves them."""
    place = wheels / f"target{build}"
    place.mkdir(parents=True)
    version = f"2.20.0+cu125.{build}"
    wheel = make_wheel(place, version=version)
    sha256, size = records.sha256_of(wheel), wheel.stat().st_size
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


def test_updates_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    def build(number: int) -> None:
        finish(tmp_path / "wheels", number)
        site.update(tmp_path / "site", tmp_path / "wheels")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(build, range(16)))
    page = (tmp_path / "site" / PAGE / "index.html").read_text()
    assert [f"cu125.{number}-" in page for number in range(16)] == [True] * 16


def test_an_offered_site_says_how_to_install_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    wheel = finish(tmp_path / "wheels", 1)
    program = "from pathlib import Path; from tfwheel import site; site.offer(Path('site'), Path('wheels'), port=0)"
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
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
