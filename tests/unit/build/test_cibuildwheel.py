"""What the container is shown and told, and what is read from what cibuildwheel says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path, PurePosixPath

import pytest

import fakewheels
from tfwheel.build import cibuildwheel, project_environment
from tfwheel.config.errors import ConfigError
from tfwheel.config.paths import CONFIG_DIR
from tfwheel.system import containers
from tfwheel.system.errors import CommandError, ContainerEngineError
from tfwheel.system.pip_settings import PipSettings

OPS = CONFIG_DIR / "ops"
SETTINGS = tomllib.loads((OPS / "pyproject.toml").read_text())["tool"]["cibuildwheel"]
PLACE = containers.ContainerHost(engine="podman", image="some:1", image_id="sha256:12")
OUTPUT = """\
cibuildwheel version 4.3.3

Starting container image some:1...

    + /bin/true

                                                           \x1b[92m✓ \x1b[0m0.33s
Building wheel...

* Installed build dependency versions:
  - cmake==4.4.4
  - ninja==1.13.2
*** Building project with Ninja...
Repairing wheel...

auditwheel 6.8.2 installed at /opt/python/cp311-cp311/lib/python3.11/site-
packages/auditwheel (python 3.11)
patchelf 0.19.3
INFO:auditwheel.lddtree:Excluding libtensorflow_framework.so.2
"""


def order(**changes: object) -> cibuildwheel.ContainerBuild:
    facts: dict[str, object] = {
        "settings": Path("/checkout/build_config"),
        "package": "ops",
        "python": "cp312",
        "environment": project_environment.settings(fakewheels.target(), cibuildwheel.SDK),
        "sdk": Path("/cache/sdk"),
        "cuda": Path("/cache/cuda"),
        "official": Path("/cache/tensorflow.whl"),
        "pip": PipSettings(options={}),
    }
    return cibuildwheel.ContainerBuild(**{**facts, **changes})  # type: ignore[arg-type]


def test_every_variable_of_the_build_is_passed_into_the_container_and_no_other() -> None:
    by_engine = {"SOURCE_DATE_EPOCH"}  # cibuildwheel passes this one by itself
    assert set(SETTINGS["environment-pass"]) == order().variables().keys() - by_engine


def test_what_a_line_does_not_need_is_not_shown() -> None:
    bare = order(cuda=None, official=None)
    assert bare.mounts() == {PurePosixPath("/tfwheel/sdk"): Path("/cache/sdk")}
    assert not {"OPS_CUDA_PATH", "TENSORFLOW_WHEEL"} & bare.variables().keys()
    assert order().mounts()[PurePosixPath("/tfwheel/tensorflow.whl")] == Path("/cache/tensorflow.whl")


def test_the_image_is_pinned_by_digest() -> None:
    assert re.fullmatch(r"quay\.io/pypa/manylinux_2_28_x86_64@sha256:[0-9a-f]{64}", cibuildwheel.default_image(OPS))


def test_the_steps_of_the_settings_start_programs_that_are_there() -> None:
    for command in (SETTINGS["linux"]["before-all"], SETTINGS["linux"]["repair-wheel-command"]):
        program = re.search(r"\{package\}/(\S+)", command)
        assert program
        assert (OPS / program[1]).is_file()


@pytest.mark.parametrize("text", ["", "[tool.cibuildwheel]\nlinux = 1\n", "[tool"])
def test_a_project_that_names_no_image_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"has no `tool\.cibuildwheel\.linux\.manylinux-x86_64-image`"):
        cibuildwheel.default_image(tmp_path)


@pytest.mark.parametrize(("name", "said"), [(None, "no docker or podman on PATH"), ("podman", "no podman on PATH")])
def test_without_an_engine_the_error_says_how_to_get_one(
    name: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ContainerEngineError, match=said) as caught:
        containers.find_engine(name)
    assert "apt-get install podman" in caught.value.remedy


def test_without_cibuildwheel_the_error_names_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ContainerEngineError, match="no cibuildwheel") as caught:
        cibuildwheel.build(order(), PLACE, workspace=tmp_path / "work", log=tmp_path / "log")
    assert "nox -s build-ops-container" in caught.value.remedy
    assert not (tmp_path / "work").exists()


def test_paths_with_spaces_reach_the_engine_whole() -> None:
    words = cibuildwheel._engine_words("podman", {PurePosixPath("/tfwheel/sdk"): Path("/my cache/sdk")}, Path("/a b"))
    assert words.startswith("podman; disable_host_mount: true; create_args: ")
    assert "'--mount=type=bind,source=/my cache/sdk,destination=/tfwheel/sdk,readonly'" in words
    assert "'--label=tfwheel=/a b'" in words


def test_what_made_the_wheel_is_read_from_the_output() -> None:
    wheel = Path("tfwheel_ops-2.20.0+cu125.1-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl")
    built = cibuildwheel._built(wheel, cibuildwheel._plain(OUTPUT), PLACE)
    assert built.repair == {
        "policy": "manylinux_2_17_x86_64",
        "excluded": ["libtensorflow_framework.so.2"],
        "grafted": [],
        "auditwheel": "6.8.2",
        "patchelf": "0.19.3",
    }
    assert built.tools == {
        "auditwheel": "6.8.2",
        "patchelf": "0.19.3",
        "cmake": "4.4.4",
        "ninja": "1.13.2",
        "cibuildwheel": "4.3.3",
        "container image": "some:1 (sha256:12)",
    }


def test_a_failure_is_named_by_its_step_with_the_end_of_what_it_said() -> None:
    output = OUTPUT + "".join(f"line {number}\n\n" for number in range(30)) + "cibuildwheel: error: it failed\n"
    error = cibuildwheel._named(CommandError("x", output=output), PLACE, Path("the.log"))
    lines = error.message.splitlines()
    assert lines[0] == "Repairing wheel failed in a container of `some:1` (log: the.log)"
    assert lines[-2:] == ["line 29", "cibuildwheel: error: it failed"]
    assert len(lines) == 1 + cibuildwheel.SHOWN_LINES


def test_a_failure_before_the_first_step_is_of_cibuildwheel_itself() -> None:
    error = cibuildwheel._named(CommandError("x", output="cibuildwheel: Malformed option\n"), PLACE, Path("the.log"))
    assert error.message.splitlines()[0].startswith("cibuildwheel failed")
    assert error.message.endswith("Malformed option")
