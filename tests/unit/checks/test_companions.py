"""Companions: what pip's words come to in one line, and what counts as a fault of a wheel."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path

import pytest

from tfwheel.checks import companion_checks, companions
from tfwheel.checks.companions import Outcome
from tfwheel.checks.environments import Environment
from tfwheel.config import build_config
from tfwheel.config.errors import ConfigError
from tfwheel.config.schema import CompanionEntry
from tfwheel.system.errors import CommandError, DiskFullError, PackageIndexError
from tfwheel.system.processes import Programs

# As pip 26 printed it.
CONFLICT = """\
Collecting tensorflow-decision-forests
ERROR: Cannot install tensorflow-decision-forests==1.12.0 and tensorflow==2.20.0 because these package versions have \
conflicting dependencies.

The conflict is caused by:
    The user requested tensorflow==2.20.0
    tensorflow-decision-forests 1.12.0 depends on tensorflow==2.19.0
    The user requested tensorflow==2.20.0
    tensorflow-decision-forests 1.8.1 depends on tensorflow~=2.15.0

To fix this you could try to:
1. loosen the range of package versions you've specified

ERROR: ResolutionImpossible: for help visit https://pip.pypa.io/
"""
NONE_SUCH = """\
ERROR: Could not find a version that satisfies the requirement tensorflow-text==2.22.* (from versions: 2.20.1, 2.21.1)
ERROR: No matching distribution found for tensorflow-text==2.22.*
"""


def failed(output: str) -> CommandError:
    """The error that `processes.run` raises."""
    return CommandError(f"`pip` ended with exit code 1\n{output}", output=output, returncode=1)


@pytest.mark.parametrize(
    ("output", "why"),
    [
        (
            CONFLICT,
            (
                "The user requested tensorflow==2.20.0; tensorflow-decision-forests 1.12.0 depends on "
                "tensorflow==2.19.0; tensorflow-decision-forests 1.8.1 depends on tensorflow~=2.15.0"
            ),
        ),
        (NONE_SUCH, "tensorflow-text==2.22.* has no wheel for this Python; the newest one that has is 2.21.1"),
        (
            NONE_SUCH.replace("2.20.1, 2.21.1", "none"),
            "tensorflow-text==2.22.* has no wheel for this Python; no version has",
        ),
        ("building\nERROR: Failed to build 'promise'\n\n[notice] a new pip\n", "ERROR: Failed to build 'promise'"),
        ("", "`pip` ended with exit code 1"),
    ],
)
def test_why_something_does_not_install_is_one_line(output: str, why: str) -> None:
    assert companions.why_not_installed(failed(output)) == why


@pytest.mark.parametrize(
    ("ours", "official", "fault"),
    [
        ("passed", None, False),
        ("failed: x", "passed", True),
        ("does not install: x", "passed", True),
        ("failed: x", "failed: x", False),
        ("failed: x", "does not install: x", False),
        ("does not install: x", "does not install: x", False),
    ],
)
def test_only_what_works_beside_the_official_wheel_is_a_fault(ours: str, official: str | None, fault: bool) -> None:  # noqa: FBT001
    beside = Outcome(version="1", result=official) if official else None
    assert companions.is_fault(Outcome(version="1", result=ours), beside) is fault


def test_every_companion_of_this_project_has_a_check_and_every_check_a_companion() -> None:
    config = build_config.load()
    companions.require_checks(config.companions, Path("companions.toml"))
    assert {entry.check_name for entry in config.companions} == set(companion_checks.CHECKS)


def test_a_check_that_is_not_there_is_named_with_the_nearest_one() -> None:
    entry = CompanionEntry(project="tensorflow-text", check="tensorflow-txt")
    with pytest.raises(ConfigError, match="tensorflow-text has no check `tensorflow-txt`; did you mean") as failure:
        companions.require_checks([entry], Path("companions.toml"))
    assert "companion_checks.py" in failure.value.remedy


@pytest.mark.parametrize(
    ("output", "error"),
    [
        ("WARNING: Retrying (Retry(total=0)) after connection broken by 'x'\n" + NONE_SUCH, PackageIndexError),
        ("OSError: [Errno 28] No space left on device\n", DiskFullError),
    ],
)
def test_a_failure_of_the_machine_or_of_an_index_is_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, error: type[Exception]
) -> None:
    (tmp_path / "venv").mkdir()

    def fail(*_: object) -> None:
        raise failed(output)

    monkeypatch.setattr(Environment, "run", fail)
    environment = Environment(folder=tmp_path, log=tmp_path / "log", gpus=[], making=Future[str](), programs=Programs())
    with pytest.raises(error):
        companions.tried(
            companions.InstalledTensorFlow(environment=environment, version="2.20.0"), CompanionEntry(project="six")
        )
    assert not (tmp_path / "copy").exists()
