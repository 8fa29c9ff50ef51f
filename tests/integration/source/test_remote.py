"""A remote cache and an executor that are real, with a real Bazel: nginx over HTTP, justbuild over gRPC."""

from __future__ import annotations

import ctypes
import os
import re
import zipfile
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import bazelworld
from tfwheel.source import order
from tfwheel.source.errors import SourceCompileError
from tfwheel.source.order import CREDENTIAL, Remote
from tfwheel.system import containers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfwheel.source.bazel import BazelBuild
    from tfwheel.system.containers import ContainerHost

NGINX = """
user root; daemon off; pid /tmp/nginx.pid; error_log /dev/stderr; events {}
http {
    access_log off; client_max_body_size 0; client_body_temp_path /cache/.new;
    server {
        listen 127.0.0.1:PORT;
        root /cache;
        location / {
            if ($http_authorization != "Bearer of\\"test") { return 401; }
            dav_methods PUT; create_full_put_path on;
        }
    }
}
"""


@contextmanager
def serving(place: ContainerHost, name: str, options: list[str], program: list[str]) -> Iterator[None]:
    """Run a server in a container of the same image while the block runs."""
    if place.engine != "podman":
        pytest.skip("docker gives the cache and Bazel networks of their own: run `apt-get install podman`")
    containers.ask([place.engine, "run", "--detach", f"--name={name}", *options, place.image, *program])
    try:
        yield
    finally:
        # As the first process there, justbuild does not hear SIGTERM.
        containers.ask([place.engine, "rm", "--force", "--time=0", name])


@pytest.fixture
def port() -> int:
    return 20000 + os.getpid() % 30000


@pytest.fixture
def cache(place: ContainerHost, volumes: str, port: int, tmp_path: Path) -> Iterator[str]:
    """The address of a remote cache: nginx, which asks for a header."""
    (tmp_path / "nginx.conf").write_text(NGINX.replace("PORT", str(port)))
    options = [f"--mount=type=bind,source={tmp_path}/nginx.conf,destination=/n.conf"]
    options += [f"--mount=type=volume,source={volumes}-remote,destination=/cache"]
    serve = ["sh", "-c", "mkdir -p /cache/.new && exec nginx -c /n.conf"]
    with serving(place, f"{volumes}-cache", options, serve):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def executor(place: ContainerHost, volumes: str, port: int) -> Iterator[str]:
    """The address of an executor: justbuild, which keeps what it ran."""
    options = [f"--mount=type=volume,source={volumes}-executor,destination=/just"]
    serve = ["justbuild", "execute", "--compatible", "--local-build-root=/just", "-i", "127.0.0.1", "-p", str(port)]
    with serving(place, f"{volumes}-executor", options, serve):
        yield f"grpc://127.0.0.1:{port}"


def test_two_builds_share_a_remote_cache_that_asks_for_a_header(
    place: ContainerHost, build: BazelBuild, cache: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CREDENTIAL, 'Authorization: Bearer of"test')
    remote = Remote(cache=cache)
    helper = f"--credential_helper={order.HELPER_INSIDE}"
    shared = replace(build, options=[*bazelworld.OPTIONS, *remote.options(), helper], mounts=remote.mounts(tmp_path))
    assert (tmp_path / "header").stat().st_mode & 0o777 == 0o600
    first = bazelworld.built(shared, place, tmp_path / "first")
    second = bazelworld.built(replace(shared, name=f"{build.name}-b"), place, tmp_path / "second")  # volumes of its own
    assert (first.cached, second.ran, second.cached) == (0, 0, first.ran)
    wheels = [tmp_path / folder / bazelworld.WHEEL_FILE for folder in ("first", "second")]
    assert wheels[0].read_bytes() == wheels[1].read_bytes()
    assert 'of"test' not in (tmp_path / "log").read_text()
    kept = [f"--mount=type=volume,source={name},destination=/{name}" for name in shared.volumes.values()]
    found = containers.ask(
        [place.engine, "run", "--rm", *kept, place.image, "sh", "-c", "grep -rlF 'of\"test' /tf* || :"]
    )
    assert not [line for line in found.splitlines() if line.startswith("/tf")]  # nor in what outlives the build


def with_options(build: BazelBuild, name: str, *options: str) -> BazelBuild:
    """The same build with volumes of its own: nothing of it is on this machine."""
    return replace(build, name=f"{build.name}-{name}", options=[*build.options, *options])


def test_an_executor_runs_each_action_and_gives_the_next_build_what_it_ran(
    place: ContainerHost, build: BazelBuild, executor: str, tree: Path, tmp_path: Path
) -> None:
    remote = Remote(executor=executor).options()
    first = bazelworld.built(with_options(build, "a", *remote), place, tmp_path / "first")
    assert first.remote == first.ran >= bazelworld.PARTS
    assert first.cached == 0
    wheel = tmp_path / "first" / bazelworld.WHEEL_FILE
    with zipfile.ZipFile(wheel) as archive:
        archive.extract("tensorflow/libtensorflow_framework.so.2", tmp_path)
    assert ctypes.CDLL(str(tmp_path / "tensorflow/libtensorflow_framework.so.2")).tf_version() == 220

    second = bazelworld.built(with_options(build, "b", *remote), place, tmp_path / "second")
    assert (second.ran, second.cached) == (0, first.ran)
    as_cache = Remote(cache=executor).options()  # for a machine that compiles itself
    third = bazelworld.built(with_options(build, "c", *as_cache), place, tmp_path / "third")
    assert (third.ran, third.cached) == (0, first.ran)
    for folder in ("second", "third"):
        assert (tmp_path / folder / bazelworld.WHEEL_FILE).read_bytes() == wheel.read_bytes()

    # What the tree's own .bazelrc says would keep each action here.
    (tree / "tensorflow/part0.c").write_text("int part0(void) { return 100; }\n")
    alone = [option for option in remote if "strategy" not in option]
    kept = bazelworld.built(with_options(build, "d", *alone), place, tmp_path / "kept")
    assert (kept.ran, kept.remote) == (3, 0)  # that file, the library, the wheel


def test_what_does_not_compile_on_an_executor_is_shown_with_the_compilers_words(
    place: ContainerHost, build: BazelBuild, executor: str, tree: Path, tmp_path: Path
) -> None:
    (tree / "tensorflow/part2.c").write_text("int part2(void) { return nothing; }\n")
    with pytest.raises(SourceCompileError, match="CppCompile of //tensorflow:lib") as caught:
        bazelworld.built(with_options(build, "a", *Remote(executor=executor).options()), place, tmp_path / "out")
    assert re.search(r"part2\.c:1:\d+: error: .nothing. undeclared", caught.value.message)
    assert "when running remotely" in (tmp_path / "out.events.json").read_text()
