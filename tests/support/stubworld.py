"""Environments of stub distributions that stand for Colab's runtimes, and a folder of stub wheels, for PyPI."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import fakewheels
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tfwheel.colab.distributions import Distributions
    from tfwheel.colab.runtimes import Runtime
    from tfwheel.colab.wheel_facts import WheelFacts


def lines(requires: Iterable[str], requires_python: str = "") -> str:
    """More lines of METADATA."""
    return "".join(f"Requires-Dist: {one}\n" for one in requires) + (
        f"Requires-Python: {requires_python}\n" if requires_python else ""
    )


def stub(folder: Path, name: str, version: str, requires: Iterable[str], tag: str = "py3-none-any") -> Path:
    """A wheel with nothing in it but what installers read."""
    return fakewheels.write_wheel(
        folder, {}, name=name.replace("-", "_"), version=version, tag=tag, extra=lines(requires)
    )


def index(folder: Path, known: Distributions, python: str) -> None:
    """Fill a folder with a wheel of each version whose requirements are known and that a Python may have."""
    for project in known.versions:
        for version in known.offered(project, python) or ():
            requires = known.requires_of(project, version)
            if requires is not None and project != "tensorflow":
                stub(folder, project, version, requires)


def wheel(folder: Path, facts: WheelFacts) -> Path:
    """A stub of a wheel of ours, with its tags."""
    python = "cp" + facts.pythons[0].replace(".", "")
    return stub(folder, facts.project, facts.version, facts.requires, f"{python}-{python}-{'.'.join(facts.platforms)}")


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A virtual environment in which nothing but metadata is installed."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.folder / "bin" / "python"

    @property
    def site(self) -> Path:
        """Where its distributions are."""
        return next(self.folder.glob("lib/python3.*/site-packages"))

    def install(self, versions: Mapping[str, str], requires: Mapping[str, tuple[str, ...]]) -> None:
        """Write the metadata of these distributions; one that is there in another version is replaced."""
        for name, version in versions.items():
            self.remove(name)
            info = self.site / f"{name.replace('-', '_')}-{version}.dist-info"
            info.mkdir()
            text = fakewheels.METADATA.format(name=name, version=version, extra=lines(requires.get(name, ())))
            (info / "METADATA").write_text(text, encoding="utf-8")
            (info / "INSTALLER").write_text("stub\n", encoding="utf-8")
            (info / "RECORD").write_text(f"{info.name}/METADATA,,\n{info.name}/RECORD,,\n", encoding="utf-8")

    def remove(self, name: str) -> None:
        """Remove a distribution, if it is there."""
        for info in self.site.glob(f"{name.replace('-', '_')}-*.dist-info"):
            shutil.rmtree(info)


def environment(folder: Path, runtime: Runtime, known: Distributions, *, interpreter: Path) -> Environment:
    """An environment with every distribution of a runtime whose version is known; requirements as the data has them."""
    run([sys.executable, "-m", "virtualenv", "-q", "--no-seed", "--no-periodic-update", "-p", interpreter, folder])
    made = Environment(folder=folder)
    installed = runtime.installed
    made.install(installed, {name: known.requires_of(name, version) or () for name, version in installed.items()})
    return made
