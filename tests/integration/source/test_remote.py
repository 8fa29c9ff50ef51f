"""A remote cache and an executor that are real, with a real Bazel: nginx over HTTP, justbuild over gRPC."""

from __future__ import annotations

import ctypes
import os
import re
import time
import zipfile
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

import pytest

import bazelworld
import localserver
from tfwheel.source import order
from tfwheel.source.errors import RemoteServerError, SourceCompileError
from tfwheel.source.order import Remote
from tfwheel.system import containers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfwheel.source.bazel import BazelBuild
    from tfwheel.system.containers import ContainerHost

HEADER = 'Authorization: Bearer of"test'
NGINX = """
user root; daemon off; pid /tmp/nginx.pid; error_log /dev/stderr; events {}
http {
    access_log off; client_max_body_size 0; client_body_temp_path /kept/.new;
    server {
        listen 127.0.0.1:PORT;
        root /kept;
        location / {
            if ($http_authorization != "Bearer of\\"test") { return 401; }
            SERVES
        }
    }
}
"""
EXECUTE = "justbuild execute --compatible --local-build-root=/kept/just --interface=127.0.0.1"


@contextmanager
def serving(place: ContainerHost, name: str, folder: Path, *, listen: str, serves: str, behind: str) -> Iterator[None]:
    """Run nginx, which asks for the header, and a program behind it in a container of the same image."""
    if place.engine != "podman":
        pytest.skip("docker gives the server and Bazel networks of their own: run `apt-get install podman`")
    (folder / "nginx.conf").write_text(NGINX.replace("PORT", listen).replace("SERVES", serves))
    options = [f"--name={name}", f"--mount=type=bind,source={folder}/nginx.conf,destination=/n.conf"]
    options += [f"--mount=type=volume,source={name},destination=/kept"]
    program = f"mkdir -p /kept/.new && {behind} nginx -c /n.conf"
    containers.ask([place.engine, "run", "--detach", *options, place.image, "sh", "-c", program])
    try:
        yield
    finally:
        containers.ask([place.engine, "rm", "--force", "--time=0", name])


@pytest.fixture
def port() -> int:
    """One that is free, and the next one, too."""
    return 20000 + 2 * (os.getpid() % 5000)


@pytest.fixture
def cache(place: ContainerHost, volumes: str, port: int, tmp_path: Path) -> Iterator[Remote]:
    """A remote cache over HTTP: nginx keeps what is put there."""
    serves = "dav_methods PUT; create_full_put_path on;"
    with serving(place, f"{volumes}-remote", tmp_path, listen=f"{port}", serves=serves, behind="exec"):
        yield Remote(cache=f"http://127.0.0.1:{port}", header=HEADER)


@pytest.fixture
def executor(place: ContainerHost, volumes: str, port: int, tmp_path: Path) -> Iterator[Remote]:
    """An executor, which keeps what it ran: justbuild, to which nginx hands all on."""
    serves, behind = f"grpc_pass grpc://127.0.0.1:{port + 1};", f"{EXECUTE} --port={port + 1} &"
    with serving(place, f"{volumes}-remote", tmp_path, listen=f"{port} http2", serves=serves, behind=behind):
        yield Remote(executor=f"grpc://127.0.0.1:{port}", header=HEADER)


def using(remote: Remote, build: BazelBuild, name: str, folder: Path) -> BazelBuild:
    """The same build with a remote, and volumes of its own: nothing of it is on this machine."""
    mounts = remote.mounts(folder)
    helper = [f"--credential_helper={order.HELPER_INSIDE}"] if mounts else []
    options = [*build.options, *remote.options(), *helper]
    return replace(build, name=f"{build.name}-{name}", shared=f"{build.name}-{name}", options=options, mounts=mounts)


def test_two_builds_share_a_remote_cache_that_asks_for_a_header(
    place: ContainerHost, build: BazelBuild, cache: Remote, tmp_path: Path
) -> None:
    shared = using(cache, build, "a", tmp_path)
    assert (tmp_path / "header").stat().st_mode & 0o777 == 0o600
    first = bazelworld.built(shared, place, tmp_path / "first")
    second = bazelworld.built(using(cache, build, "b", tmp_path), place, tmp_path / "second")
    assert (first.cached, second.ran, second.cached) == (0, 0, first.ran)
    wheels = [tmp_path / folder / bazelworld.WHEEL_FILE for folder in ("first", "second")]
    assert wheels[0].read_bytes() == wheels[1].read_bytes()
    assert 'of"test' not in (tmp_path / "log").read_text()
    kept = [f"--mount=type=volume,source={name},destination=/{name}" for name in shared.volumes.values()]
    found = containers.ask(
        [place.engine, "run", "--rm", *kept, place.image, "sh", "-c", "grep -rlF 'of\"test' /tf* || :"]
    )
    assert not [line for line in found.splitlines() if line.startswith("/tf")]  # nor in what outlives the build


@contextmanager
def downloads(asked: list[str | None]) -> Iterator[str]:
    """A server of files, which notes the header that each request has."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers.get("Authorization"))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"x\n")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with localserver.running(Handler) as address:
        yield address


FETCH = """
load("@bazel_tools//tools/build_defs/repo:http.bzl", "http_file")
http_file(
    name = "fetched",
    urls = ["ADDRESS/x.txt"],
    sha256 = "73cb3858a687a8494ca3323053016282f3dad39d42cf62ca4e79dda2aac7d9ac",
)
"""


def test_a_server_that_bazel_fetches_from_never_gets_the_header(
    place: ContainerHost, build: BazelBuild, cache: Remote, tree: Path, tmp_path: Path
) -> None:
    asked: list[str | None] = []
    with downloads(asked) as address, (tree / "WORKSPACE").open("a") as workspace:
        workspace.write(FETCH.replace("ADDRESS", address))
        workspace.flush()
        wanted = replace(using(cache, build, "a", tmp_path), targets=["@fetched//file", *build.targets])
        bazelworld.built(wanted, place, tmp_path / "first")
    assert asked == [None]
    again = bazelworld.built(using(cache, build, "b", tmp_path), place, tmp_path / "second")
    assert again.cached  # the cache, which asks for the header, did get it


def test_an_executor_runs_each_action_and_gives_the_next_build_what_it_ran(
    place: ContainerHost,
    build: BazelBuild,
    executor: Remote,
    tree: Path,
    tmp_path: Path,
) -> None:
    first = bazelworld.built(using(executor, build, "a", tmp_path), place, tmp_path / "first")
    assert first.remote == first.ran > bazelworld.PARTS
    assert first.cached == 0
    wheel = tmp_path / "first" / bazelworld.WHEEL_FILE
    with zipfile.ZipFile(wheel) as archive:
        archive.extract("tensorflow/libtensorflow_framework.so.2", tmp_path)
    assert ctypes.CDLL(str(tmp_path / "tensorflow/libtensorflow_framework.so.2")).tf_version() == 220

    as_cache = Remote(cache=executor.executor, header=HEADER)  # for a machine that compiles itself
    for name, remote in (("second", executor), ("third", as_cache)):
        again = bazelworld.built(using(remote, build, name, tmp_path), place, tmp_path / name)
        assert (again.ran, again.cached) == (0, first.ran)
        assert (tmp_path / name / bazelworld.WHEEL_FILE).read_bytes() == wheel.read_bytes()

    # What the tree's own .bazelrc says would keep each action here.
    (tree / "tensorflow/part0.c").write_text("int part0(void) { return 100; }\n")
    here = using(executor, build, "d", tmp_path)
    here = replace(here, options=[option for option in here.options if "strategy" not in option])
    kept = bazelworld.built(here, place, tmp_path / "kept")
    assert (kept.ran, kept.remote) == (3, 0)  # that file, the library, the wheel

    nameless = replace(here, options=[option for option in here.options if "credential" not in option])
    with pytest.raises(RemoteServerError, match=r"cannot use grpc://127\S+: Failed to query .*: UNAUTHENTICATED"):
        bazelworld.built(nameless, place, tmp_path / "out")


def test_what_does_not_compile_on_an_executor_is_shown_with_the_compilers_words(
    place: ContainerHost, build: BazelBuild, executor: Remote, tree: Path, tmp_path: Path
) -> None:
    (tree / "tensorflow/part2.c").write_text("int part2(void) { return nothing; }\n")
    with pytest.raises(SourceCompileError, match="CppCompile of //tensorflow:lib") as caught:
        bazelworld.built(using(executor, build, "a", tmp_path), place, tmp_path / "out")
    assert re.search(r"part2\.c:1:\d+: error: .nothing. undeclared", caught.value.message)
    assert "when running remotely" in (tmp_path / "out.events.json").read_text()


@pytest.mark.parametrize("kind", ["cache", "executor"])
def test_a_server_that_is_not_there_ends_the_build_at_once_with_its_address(
    place: ContainerHost, build: BazelBuild, tmp_path: Path, kind: str
) -> None:
    absent = using(Remote(**{kind: "grpc://127.0.0.1:1"}), build, "a", tmp_path)
    start = time.monotonic()
    with pytest.raises(RemoteServerError, match=r"cannot use grpc://127\S+: Failed to query .*: UNAVAILABLE") as caught:
        bazelworld.built(absent, place, tmp_path / "out")
    assert time.monotonic() - start < 60
    assert "Correct the address" in caught.value.remedy
    assert not (tmp_path / "out").exists()


def test_a_cache_over_http_that_is_not_there_is_warned_of_and_the_build_goes_on(
    place: ContainerHost, build: BazelBuild, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    absent = using(Remote(cache="http://127.0.0.1:1", header=HEADER), build, "a", tmp_path)
    assert bazelworld.built(absent, place, tmp_path / "out").exit_name == "SUCCESS"
    said = capfd.readouterr().err
    assert said.count("http://127.0.0.1:1 fails, and the build goes on without it: Connection refused") == 1
