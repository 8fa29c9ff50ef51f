"""The fit agrees with real installers: in runtimes of stub distributions, uv and Colab's pip say what they would do.

All versions of TensorFlow are tried with uv. Colab's pip takes seconds for each, so without TFWHEEL_AGREE=all it tries
some wheels of this repository alone.
"""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

import sharing
import stubworld
from fixedconfig import CONFIG
from pagedata import RUNTIMES
from tfwheel.colab import distributions, fit, resolution, wheel_facts
from tfwheel.colab.resolution import Candidate
from tfwheel.colab.wheel_facts import WheelFacts
from tfwheel.config import plan
from tfwheel.config.paths import CONFIG_DIR
from tfwheel.system import interpreters
from tfwheel.system.errors import CommandError, InterpreterMissingError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from pathlib import Path

    from stubworld import Environment
    from tfwheel.colab.runtimes import Runtime

KNOWN = distributions.load(CONFIG_DIR / "colab")
ALL = os.environ.get("TFWHEEL_AGREE") == "all"
COLAB_PIP = "24.1.2"
NO_VERSIONS = None  # no set of versions satisfies the wheel


def wheels(runtime: Runtime) -> list[WheelFacts]:
    """The planned wheels for the Python of a runtime, and the official ones from 2.16 on."""
    planned = [wheel_facts.planned(CONFIG, target, KNOWN) for target in plan.targets(CONFIG)]
    found = [wheel for wheel in planned if wheel and wheel.pythons == (runtime.python_minor,)]
    for version in KNOWN.offered("tensorflow", runtime.python_minor) or ():
        requires = KNOWN.requires_of("tensorflow", version)
        if requires is not None and Version(version) >= Version("2.16"):
            facts = {"pythons": (runtime.python_minor,), "platforms": ("manylinux_2_17_x86_64",)}
            found.append(WheelFacts(project="tensorflow", version=version, requires=requires, **facts))
    return [wheel for number, wheel in enumerate(found) if wheel.version not in [one.version for one in found[:number]]]


@dataclass(frozen=True, kw_only=True)
class World:
    """A runtime in stubs, and what an installer may find."""

    runtime: Runtime
    environment: Environment
    links: Path

    def links_of(self, wheel: WheelFacts) -> list[str]:
        """Where an installer looks."""
        return [f"--find-links={folder}" for folder in (self.links, self.links.parent / wheel.version)]

    def expected(self, wheel: WheelFacts) -> dict[str, str] | None:
        """What this program says would be installed."""
        asked = Candidate(name="tensorflow", version=wheel.version, requires=wheel.requires)
        chosen = resolution.resolve(asked, self.runtime, KNOWN).chosen
        return None if chosen is None else resolution.changed(self.runtime.installed, chosen)

    def uv(self, wheel: WheelFacts) -> dict[str, str] | None:
        """What uv would install."""
        words = ["pip", "install", "--dry-run", "--offline", "--no-index", *self.links_of(wheel)]
        try:
            said = run([sys.executable, "-m", "uv", *words, "--python", self.environment.python, pin(wheel)])
        except CommandError as error:
            if "No solution found" in error.output:
                return NO_VERSIONS
            raise
        found = re.findall(r"^ \+ (\S+?)==(\S+)", said, flags=re.MULTILINE)
        return {canonicalize_name(name): version for name, version in found}

    def pip(self, pip: Path, wheel: WheelFacts) -> dict[str, str] | None:
        """What Colab's pip would install."""
        words = ["--python", self.environment.python, "install", "--dry-run", "--quiet", "--report", "-"]
        isolated = ["-I", "-m", "pip", "--isolated", "--no-input", "--disable-pip-version-check"]
        try:
            said = run([pip, *isolated, *words, "--no-index", *self.links_of(wheel), pin(wheel)])
        except CommandError as error:
            if "ResolutionImpossible" in error.output or "No matching distribution" in error.output:
                return NO_VERSIONS
            raise
        rows = json.loads(said[said.index("{") :])["install"]
        return {canonicalize_name(row["metadata"]["name"]): row["metadata"]["version"] for row in rows}

    def check(self, pip: Path) -> set[tuple[str, str]]:
        """What `pip check` finds: who, and the name of what is wrong."""
        try:
            said = run([pip, "-I", "-m", "pip", "--isolated", "--python", self.environment.python, "check"])
        except CommandError as error:
            said = error.output
        found = re.findall(
            r"^(\S+) \S+ (?:has requirement ([A-Za-z0-9._-]+)|requires ([^,]+), which)", said, re.MULTILINE
        )
        return {(canonicalize_name(who), canonicalize_name(one or other)) for who, one, other in found}


def pin(wheel: WheelFacts) -> str:
    return f"{wheel.project}=={wheel.version}"


@pytest.fixture(scope="session")
def colab_pip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with Colab's pip."""

    def make(folder: Path) -> None:
        run([sys.executable, "-m", "virtualenv", "-q", "--no-periodic-update", folder / "env"])
        python = folder / "env" / "bin" / "python"
        run([python, "-I", "-m", "pip", "install", "-q", "--upgrade", f"pip=={COLAB_PIP}"])

    return sharing.once(tmp_path_factory, "colab-pip", make) / "env" / "bin" / "python"


@pytest.fixture(scope="module", params=RUNTIMES, ids=lambda runtime: runtime.name)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A runtime in stubs; skipped without its Python."""
    runtime: Runtime = request.param
    folder = tmp_path_factory.mktemp("world")
    try:
        interpreter = interpreters.find(runtime.python_minor)
    except InterpreterMissingError as error:
        pytest.skip(f"{error.message.splitlines()[0]}: run `uv python install {runtime.python_minor}`")
    links = folder / "links"
    stubworld.index(links, KNOWN, runtime.python_minor)
    for wheel in wheels(runtime):
        stubworld.wheel(folder / wheel.version, wheel)  # apart: `==2.20.0` would also take a local version
    made = stubworld.environment(folder / "env", runtime, KNOWN, interpreter=interpreter)
    return World(runtime=runtime, environment=made, links=links)


def test_uv_would_change_what_is_foretold(world: World) -> None:
    tried = wheels(world.runtime)
    answers = {pin(wheel): (world.uv(wheel), world.expected(wheel)) for wheel in tried}
    print(f"uv, {world.runtime.name}: {sum(one == other for one, other in answers.values())} of {len(answers)} agree")  # noqa: T201 -- for pytest -rP
    assert {name: one for name, (one, _) in answers.items()} == {name: other for name, (_, other) in answers.items()}


def some(world: World) -> list[WheelFacts]:
    """The wheels that are tried with Colab's pip: all, or those of the line cu12 in the first and last runtime."""
    if not ALL and world.runtime not in (RUNTIMES[0], RUNTIMES[-1]):
        pytest.skip(
            "Colab's pip takes seconds for each wheel; `TFWHEEL_AGREE=all nox -s tests -- -k colab` tries them all"
        )
    return [wheel for wheel in wheels(world.runtime) if ALL or "+cu125." in wheel.version]


def test_colabs_pip_would_change_what_is_foretold(world: World, colab_pip: Path) -> None:
    tried = some(world)
    answers = {pin(wheel): (world.pip(colab_pip, wheel), world.expected(wheel)) for wheel in tried}
    print(f"pip, {world.runtime.name}: {sum(one == other for one, other in answers.values())} of {len(answers)} agree")  # noqa: T201 -- for pytest -rP
    assert {name: one for name, (one, _) in answers.items()} == {name: other for name, (_, other) in answers.items()}


def test_pip_check_finds_the_faults_before_and_the_broken_pins_after(world: World, colab_pip: Path) -> None:
    tried = some(world)
    before = world.check(colab_pip)
    assert before == pairs(fit.faults(world.runtime, KNOWN))
    agreed = 0
    for wheel in tried:
        new = world.expected(wheel)
        if new is NO_VERSIONS:
            continue
        old = {name: version for name in new if (version := world.runtime.installed.get(name))}
        requires = {name: KNOWN.requires_of(name, version) or () for name, version in new.items()}
        world.environment.install(new, requires | {"tensorflow": wheel.requires})
        broken = pairs(fit.judge(replace(wheel, gencode=None), world.runtime, KNOWN).broken)
        assert world.check(colab_pip) - before == broken, pin(wheel)
        agreed += 1
        for name in new:
            world.environment.remove(name)
        world.environment.install(old, {name: KNOWN.requires_of(name, version) or () for name, version in old.items()})
    print(f"pip check, {world.runtime.name}: {agreed} of {agreed} agree")  # noqa: T201 -- for pytest -rP


def pairs(reasons: tuple[str, ...]) -> set[tuple[str, str]]:
    """Who requires what, in the reasons that are about requirements."""
    found = [re.match(r"(\S+) \S+ requires ([A-Za-z0-9._-]+)", reason) for reason in reasons]
    return {(match[1], str(canonicalize_name(match[2]))) for match in found if match}
