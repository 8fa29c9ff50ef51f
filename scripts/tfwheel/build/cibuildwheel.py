"""Builds the ops wheel in a container: the only module that calls cibuildwheel.

``[tool.cibuildwheel]`` of the custom-op project defines the steps. The container sees a copy of the settings and,
read-only below ``/tfwheel``, TensorFlow's headers, the CUDA parts, the official wheel for the tests, and pip's
configuration with the folders it names; nothing else of this machine.
"""

from __future__ import annotations

import re
import shlex
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from tfwheel.build.errors import ContainerBuildError
from tfwheel.config.errors import ConfigError
from tfwheel.system import containers
from tfwheel.system.errors import CommandError, ContainerEngineError
from tfwheel.system.files import writing
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tfwheel.system.containers import ContainerHost
    from tfwheel.system.pip_settings import PipSettings

INSIDE = PurePosixPath("/tfwheel")
SDK = INSIDE / "sdk"
PYTHON = "/opt/python/cp39-cp39/bin/python"  # the Python that cibuildwheel itself uses in every container
IMAGE = ("tool", "cibuildwheel", "linux", "manylinux-x86_64-image")
BUILDING = "Building wheel"
REPAIRING = "Repairing wheel"
STEPS = (
    "Starting container image",
    "Copying project into container",
    "Running before_all",
    "Setting up build environment",
    BUILDING,
    REPAIRING,
    "Testing wheel",
    "Copying wheels back to host",
)
SHOWN_LINES = 15
# By these variables cibuildwheel detects CI, and then adds marks for folding to its output.
CI_MARKS = ("TRAVIS", "APPVEYOR", "CIRCLECI", "AZURE_HTTP_USER_AGENT", "GITHUB_ACTIONS", "GITLAB_CI")


@dataclass(frozen=True, kw_only=True)
class ContainerBuild:
    """Inputs of a container build.

    ``settings`` is the folder that is copied into the container, ``package`` the custom-op project in it, ``python`` a
    tag such as "cp312", ``environment`` the variables that the project reads. The other paths are mounted: ``sdk`` is
    TensorFlow's unpacked SDK, ``cuda`` the CUDA parts of a line that has them, ``official`` the official wheel for the
    tests, if the ops require it by that name.
    """

    settings: Path
    package: str
    python: str
    environment: Mapping[str, str]
    sdk: Path
    cuda: Path | None
    official: Path | None
    pip: PipSettings

    def mounts(self) -> dict[PurePosixPath, Path]:
        """Return the mounts by their path inside the container; ``pip.conf`` is added later."""
        found = {PurePosixPath(path): path for path in self.pip.paths()} | {SDK: self.sdk}
        if self.cuda:
            found[INSIDE / "cuda"] = self.cuda
        if self.official:
            found[INSIDE / self.official.name] = self.official
        return found

    def variables(self) -> dict[str, str]:
        """Return the variables of the build; ``environment-pass`` in the ops' pyproject.toml has the same names."""
        cuda = {"OPS_CUDA_PATH": str(INSIDE / "cuda")} if self.cuda else {}
        official = {"TENSORFLOW_WHEEL": str(INSIDE / self.official.name)} if self.official else {}
        return {**self.environment, **cuda, **official, "PIP_CONFIG_FILE": str(INSIDE / "pip.conf")}


@dataclass(frozen=True, kw_only=True)
class ContainerWheel:
    """A repaired and tested wheel, the report of its repair, and the versions of the tools."""

    wheel: Path
    repair: dict[str, Any]
    tools: dict[str, str]


def default_image(package: Path) -> str:
    """Read the image from the project's pyproject.toml; ConfigError if it has none."""
    path = package / "pyproject.toml"
    try:
        found: Any = tomllib.loads(path.read_text(encoding="utf-8"))
        for key in IMAGE:
            found = found[key]
    except (OSError, ValueError, LookupError, TypeError) as error:
        message = f"{path} has no `{'.'.join(IMAGE)}`"
        raise ConfigError(message) from error
    return str(found)


def build(order: ContainerBuild, place: ContainerHost, *, workspace: Path, log: Path) -> ContainerWheel:
    """Compile, repair and test the ops wheel in a container, and copy it below ``workspace``.

    A container left by a killed run is removed first. Raises ContainerEngineError if there is no cibuildwheel, and
    ContainerBuildError, with step, output and its last lines, when a step fails.
    """
    program = shutil.which("cibuildwheel")
    if program is None:
        message = "there is no cibuildwheel on PATH"
        raise ContainerEngineError(message, remedy="Run `nox -s build-ops-container`, whose environment has it.")
    conf, out = workspace / "pip.conf", workspace / "wheels"
    with writing(conf, mode=0o600) as stream:  # it may hold passwords
        stream.write(order.pip.text().encode())
    env = {
        **order.variables(),
        "CIBW_CONTAINER_ENGINE": _engine_words(place.engine, {INSIDE / "pip.conf": conf, **order.mounts()}, workspace),
        "CIBW_MANYLINUX_X86_64_IMAGE": place.image,
        "GITHUB_STEP_SUMMARY": "",  # it would be overwritten
        **containers.own_temporary_folder(),
        "PYTHONUNBUFFERED": "1",
    }
    argv: list[str | Path] = ["env", *(word for name in CI_MARKS for word in ("-u", name)), program]
    argv += ["--only", f"{order.python}-manylinux_x86_64", "--output-dir", out, order.package]
    with containers.swept(place.engine, str(workspace)):
        try:
            output = run(argv, cwd=order.settings, env=env, log=log)
        except CommandError as error:
            raise _named(error, place, log) from error
    return _built(next(out.glob("*.whl")), _plain(output), place)


def _engine_words(engine: str, mounts: Mapping[PurePosixPath, Path], owner: Path) -> str:
    """Return the engine and its options in the format of ``CIBW_CONTAINER_ENGINE``."""
    # SELinux would hide what is mounted.
    options = [f"--label={containers.LABEL}={owner}", "--security-opt=label=disable"]
    options += [f"--mount=type=bind,source={path},destination={inside},readonly" for inside, path in mounts.items()]
    return f"{engine}; disable_host_mount: true; create_args: {shlex.join(options)}"


def _built(wheel: Path, output: str, place: ContainerHost) -> ContainerWheel:
    """Read tools and repair report from the output and the wheel's name."""
    repairing = _sections(output)[REPAIRING]
    versions = {name: _first(rf"^{name} (\d[\w.]*)", repairing) for name in ("auditwheel", "patchelf")}
    tools = versions | dict(re.findall(r"^\s*- (cmake|ninja|scikit-build-core)==(\S+)$", output, re.MULTILINE))
    return ContainerWheel(
        wheel=wheel,
        repair={
            "policy": _first(r"(manylinux_2_\d+_x86_64)", wheel.name),
            "excluded": sorted(set(re.findall(r"\bExcluding (\S+)", repairing))),
            "grafted": [],
            **versions,
        },
        tools=tools
        | {
            "cibuildwheel": _first(r"^cibuildwheel version (\S+)", output),
            "container image": f"{place.image} ({place.image_id})",
        },
    )


def _named(error: CommandError, place: ContainerHost, log: Path) -> ContainerBuildError:
    output = _plain(error.output)
    step, said = next(reversed(_sections(output).items()), ("cibuildwheel", output))
    tail = "\n".join(line for line in said.splitlines() if line.strip())
    message = f"{step} failed in a container of `{place.image}` (log: {log})\n{_tail(tail)}"
    return ContainerBuildError(message, step=step, output=said)


def _sections(output: str) -> dict[str, str]:
    """Split the output into steps, in order; cibuildwheel starts each with its name and three dots."""
    parts = re.split(rf"^({'|'.join(STEPS)})(?: .+)?\.\.\.$", output, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _plain(output: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", output)


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found[1] if found else ""


def _tail(text: str) -> str:
    return "\n".join(text.splitlines()[-SHOWN_LINES:])
