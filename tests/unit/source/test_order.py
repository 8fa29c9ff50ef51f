"""What a build from source is to be: machine, addresses, and the script for another machine."""

from __future__ import annotations

import base64
import os
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from tfwheel.build.source_build import SourceOptions
from tfwheel.config.paths import CONFIG_DIR
from tfwheel.config.targets import Line, Target
from tfwheel.source import machine, script
from tfwheel.source.errors import RemoteAddressError, TooSmallError
from tfwheel.source.machine import GIB, Machine
from tfwheel.source.order import CREDENTIAL, HEADER_INSIDE, HELPER_INSIDE, REMOTES_INSIDE, Remote, SourceOrder

LINE = Line(name="cu128", label="cu128", base="tensorflow", cuda="12.8.1", archs=("75", "120"), ptx="120")
TARGET = Target(tensorflow="2.20.0", python="3.13", line=LINE, build=1, builder="source")
CPU = Target(tensorflow="2.21.0", python="3.12", line=Line(name="c", label="c", base="tensorflow"), build=1)


def test_the_options_of_a_target_are_those_of_its_cuda_python_and_gpus() -> None:
    flags = [option.flag for option in SourceOrder.of(TARGET, CONFIG_DIR).options]
    assert "--repo_env=HERMETIC_PYTHON_VERSION=3.13" in flags
    assert "--repo_env=HERMETIC_CUDA_VERSION=12.8.1" in flags
    assert "--repo_env=HERMETIC_CUDNN_VERSION=9.8.0" in flags
    assert "--repo_env=HERMETIC_CUDA_COMPUTE_CAPABILITIES=sm_75,compute_120" in flags
    assert flags.index("--config=release_gpu_linux") < flags.index("--config=cuda_nvcc")  # the later one wins
    assert "--config=release_cpu_linux" not in flags
    official = replace(LINE, cuda="12.5.1", archs=("80", "90"), ptx="90")
    assert "--config=cuda_nvcc" not in [
        option.flag for option in SourceOrder.of(replace(TARGET, line=official), CONFIG_DIR).options
    ]


def test_a_line_without_gpu_code_is_built_without_cuda() -> None:
    flags = [option.flag for option in SourceOrder.of(CPU, CONFIG_DIR).options]
    assert not [flag for flag in flags if "CUDA" in flag.upper()]
    assert "--config=release_cpu_linux" in flags


@pytest.mark.parametrize(
    ("cores", "memory", "jobs"), [(2, 24, 2), (64, 128, 31), (64, 8, 1), (8, 35, 8), (4, 1, 1), (16, 15, 3)]
)
def test_jobs_are_as_many_as_cores_and_memory_allow(cores: int, memory: int, jobs: int) -> None:
    assert Machine(cores=cores, memory=memory * GIB, disk=0).jobs == jobs


def test_this_machine_is_described() -> None:
    here = machine.look(Path("/no/such/folder"))
    assert 1 <= here.cores <= (os.cpu_count() or 1)
    assert here.memory > GIB // 4
    assert here.disk > 0
    assert str(here).startswith(f"{here.cores} cores, ")


def test_what_is_too_small_is_said_with_the_figures() -> None:
    small = Machine(cores=2, memory=4 * GIB, disk=14 * GIB)
    with pytest.raises(TooSmallError) as caught:
        machine.require_room(small, disk=60 * GIB, what="it")
    assert caught.value.message == (
        "it needs 60 GiB of free disk, and there are 14 and 7 GiB of memory for one job, and there are 4"
    )
    machine.require_room(Machine(cores=2, memory=8 * GIB, disk=61 * GIB), disk=60 * GIB, what="it")


@pytest.mark.parametrize(
    "addresses",
    [
        {"cache": "https://me:secret@example.org/cache"},
        {"cache": "ftp://example.org"},
        {"cache": "example.org"},
        {"cache": "https://example.org/?key=secret"},
        {"executor": "https://example.org"},
        {"executor": "grpcs://example.org;rm -rf"},
        {"executor": "grpcs://"},
    ],
)
def test_an_address_with_a_secret_or_none_is_refused(addresses: dict[str, str]) -> None:
    with pytest.raises(RemoteAddressError, match=r"--remote-(cache|executor): ") as caught:
        Remote(**addresses)
    assert "secret" not in caught.value.message
    assert ("://" in caught.value.message) == ("grpcs://cache" in caught.value.remedy)


def test_a_header_comes_by_a_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CREDENTIAL, "Authorization: Bearer secret")
    remote = SourceOptions.given({"remote_cache": "grpcs://example.org:443"}).remote
    assert CREDENTIAL not in os.environ  # no program that is started inherits it
    assert "secret" not in repr(remote)
    mounts = remote.mounts(tmp_path)
    build = SourceOrder.of(TARGET, CONFIG_DIR).bazel(Path("t"), remote=remote, mounts=mounts)
    assert "--remote_cache=grpcs://example.org:443" in build.argv()
    assert f"--credential_helper={HELPER_INSIDE}" in build.argv()
    assert "secret" not in " ".join(build.argv())
    assert mounts[HEADER_INSIDE].read_text() == "Authorization: Bearer secret"
    assert mounts[HEADER_INSIDE].stat().st_mode & 0o777 == 0o600
    assert os.access(mounts[HELPER_INSIDE], os.X_OK)


@pytest.mark.parametrize(
    ("address", "served"),
    [
        ({"cache": "https://example.org/cache"}, ["example.org", "example.org:443"]),
        ({"cache": "http://example.org:80"}, ["example.org", "example.org:80"]),
        ({"executor": "grpcs://example.org:8980"}, ["example.org:8980"]),
        ({"cache": "grpc://a", "executor": "grpcs://b:443"}, ["a", "a:80", "b", "b:443"]),
    ],
)
def test_the_header_is_for_the_remotes_alone(tmp_path: Path, address: dict[str, str], served: list[str]) -> None:
    remote = Remote(**address, header="Authorization: Bearer secret")
    assert remote.authorities == served
    assert remote.mounts(tmp_path)[REMOTES_INSIDE].read_text() == "".join(f"{one}\n" for one in served)


@pytest.mark.parametrize("header", ["secret", "A b: secret", "A: secret\nB: c", ": secret", 'A"b: secret'])
def test_what_is_no_header_is_refused(header: str) -> None:
    with pytest.raises(RemoteAddressError, match=rf"\${CREDENTIAL} is no header") as caught:
        Remote(executor="grpc://127.0.0.1:8980", header=header)
    assert "secret" not in caught.value.message


def test_without_a_remote_nothing_of_it_is_there(tmp_path: Path) -> None:
    remote = Remote(header="A: b")
    build = SourceOrder.of(TARGET, CONFIG_DIR).bazel(Path("t"), jobs=3, remote=remote, mounts=remote.mounts(tmp_path))
    assert not [word for word in build.argv() if "remote" in word or "credential" in word]
    assert "--jobs=3" in build.argv()
    assert not build.mounts


def test_an_executor_runs_what_the_tree_would_keep_on_this_machine() -> None:
    both = Remote(cache="https://example.org", executor="grpcs://example.org")
    assert both.options()[1:] == ["--remote_executor=grpcs://example.org", "--spawn_strategy=remote,local"]
    assert not [option for option in Remote(cache="grpcs://example.org").options() if "strategy" in option]
    argv = SourceOrder.of(TARGET, CONFIG_DIR).bazel(Path("t"), remote=both).argv()
    assert argv.index("--config=release_gpu_linux") < argv.index("--spawn_strategy=remote,local")  # the later one wins


def test_the_caches_are_shared_by_targets_and_the_output_is_not() -> None:
    volumes = {
        target.python: SourceOrder.of(target, CONFIG_DIR).bazel(Path("t")).volumes
        for target in (TARGET, replace(TARGET, python="3.12"))
    }
    shared = set(volumes["3.13"].values()) & set(volumes["3.12"].values())
    assert shared == {"tfwheel-source-disk", "tfwheel-source-fetched"}


def test_the_script_has_each_option_with_its_reason_and_source() -> None:
    order = SourceOrder.of(TARGET, CONFIG_DIR)
    lines = script.text(order).splitlines()
    for option in order.options:
        at = next(number for number, line in enumerate(lines) if line.strip().strip("'") == option.flag)
        assert lines[at - 2].strip() == f"# {option.reason}"
        assert lines[at - 1].strip() == f"#   ({option.source})"
        assert "@" in option.source
    words = lines[lines.index("build=(") + 1 : lines.index("    --")]
    bare = [word for at, word in enumerate(words) if word.strip(" '\"").startswith("--") and "#" not in words[at - 1]]
    assert not bare
    text = "\n".join(lines)
    assert "72fbba3d20f4616d7312b5e2b7f79daf6e82f2fa" in text
    assert "gpu_prim.h" in text
    assert (CONFIG_DIR / "containers/source.Dockerfile").read_text().strip() in text


def test_a_patch_reaches_the_script_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "eras").mkdir()
    (tmp_path / "eras/2.20.toml").write_bytes((CONFIG_DIR / "eras/2.20.toml").read_bytes())
    (tmp_path / "mine").mkdir()
    patch = b"Subject: \xff\r\nPATCH\n$(touch x)\n"
    (tmp_path / "mine" / "a\n$(touch y).patch").write_bytes(patch)
    git = "ssh://git@example.org/a'b$(id)"
    source = f"[[source]]\ntensorflow = '2.20.0'\ngit = \"{git}\"\ncommit = '{'ab' * 20}'\npatches = 'mine'\n"
    (tmp_path / "sources.toml").write_text(source)
    order = SourceOrder.of(TARGET, tmp_path)
    text = script.text(order)
    assert base64.b64decode(text.partition("<<'PATCH'")[2].partition("\n")[2].partition("PATCH\n")[0]) == patch
    assert shlex.quote(git) in text
    assert "touch y" not in text
    first = text.partition("tree=$work/")[2].partition(" ")[0]
    (tmp_path / "mine/b.patch").write_bytes(b"another")
    assert script.text(SourceOrder.of(TARGET, tmp_path)).partition("tree=$work/")[2].partition(" ")[0] != first
