"""A real remote cache, shared by builds of a real Bazel."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import bazelworld
from tfwheel.source import order
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


@pytest.fixture
def cache(place: ContainerHost, volumes: str, tmp_path: Path) -> Iterator[str]:
    """The address of a remote cache: nginx, which asks for a header."""
    if place.engine != "podman":
        pytest.skip("docker gives the cache and Bazel networks of their own: run `apt-get install podman`")
    port = str(20000 + os.getpid() % 30000)
    (tmp_path / "nginx.conf").write_text(NGINX.replace("PORT", port))
    name = f"{volumes}-cache"
    options = [
        "--rm",
        "--detach",
        f"--name={name}",
        f"--mount=type=bind,source={tmp_path}/nginx.conf,destination=/n.conf",
    ]
    options += [f"--mount=type=volume,source={volumes}-remote,destination=/cache"]
    serve = "mkdir -p /cache/.new && exec nginx -c /n.conf"
    containers.ask([place.engine, "run", *options, place.image, "sh", "-c", serve])
    yield f"http://127.0.0.1:{port}"
    containers.ask([place.engine, "rm", "--force", name])


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
