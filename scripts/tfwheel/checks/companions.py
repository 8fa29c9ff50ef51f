"""Try a companion: install a project that builds on TensorFlow beside an installed one, and let it do one thing.

Knows nothing of where that TensorFlow comes from: the same is done beside ours and beside the official one.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tfwheel.checks import companion_checks, environments, smoke
from tfwheel.checks.errors import CompanionError
from tfwheel.config.errors import ConfigError
from tfwheel.config.toml_files import nearest
from tfwheel.system.errors import CommandError, PackageIndexError
from tfwheel.system.sources import program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tfwheel.checks.environments import Environment
    from tfwheel.config.schema import CompanionEntry

PASSED = "passed"
VERSION_OF = "import importlib.metadata; print(importlib.metadata.version({!r}))"
CONFLICT = re.compile(r"^The conflict is caused by:\n((?:    .*\n)+)", re.MULTILINE)
NO_VERSION = re.compile(r"Could not find a version that satisfies the requirement (.+?) \(from versions: (.*)\)")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a companion: the version that pip took, empty if none, and the result.

    That is "passed", "failed: REASON" or "does not install: REASON", in one line.
    """

    version: str
    result: str


@dataclass(frozen=True, kw_only=True)
class InstalledTensorFlow:
    """A TensorFlow of this exact version that is installed in an environment; ``index_url`` lists it, if not empty."""

    environment: Environment
    version: str
    index_url: str = ""

    @property
    def options(self) -> list[str]:
        """The options of pip that tell where it came from."""
        return ["--no-compile", *(["--extra-index-url", self.index_url] if self.index_url else [])]


def require_checks(entries: Sequence[CompanionEntry], path: Path) -> None:
    """Raise ConfigError for the first companion whose check does not exist."""
    for entry in entries:
        if entry.check_name not in companion_checks.CHECKS:
            known = list(companion_checks.CHECKS)
            message = f"{path}: {entry.project} has no check `{entry.check_name}`; {nearest(entry.check_name, known)}"
            raise ConfigError(message, remedy="Name one that is there as `check`, or add it to companion_checks.py.")


def install(tensorflow: InstalledTensorFlow, wanted: str | Path, *, sha256: str = "") -> None:
    """Install TensorFlow and import it once, so that the environments made of this one need not compile it again.

    Raises CompanionError if that fails or, where ``sha256`` is given, pip took another file; DiskFullError.
    """
    environment = tensorflow.environment
    report = environment.folder / "tensorflow.json"
    try:
        environment.making.result()
        environment.run(*environments.INSTALL, *tensorflow.options, "--report", report, wanted)
        environment.run("-c", "import tensorflow")
    except CommandError as error:
        _raise_what_is_no_verdict(environment, error)
        message = f"tensorflow {tensorflow.version} itself: {smoke.reason_of(error)} (log: {environment.log})"
        raise CompanionError(message) from error
    for item in json.loads(report.read_text(encoding="utf-8"))["install"]:
        found = item["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
        if item["metadata"]["name"] == "tensorflow" and sha256 not in {"", found}:
            message = f"pip installed another tensorflow: sha256 {found} instead of {sha256}"
            raise CompanionError(message)


def tried(tensorflow: InstalledTensorFlow, entry: CompanionEntry) -> Outcome:
    """Install a companion in a copy of the environment, and run its check there.

    TensorFlow is named to pip as an exact pin, so that it stays as it is. Of the companion itself pip takes wheels
    alone. Raises PackageIndexError if an index did not answer, and DiskFullError: neither says anything about it.
    """
    with _copy(tensorflow.environment) as environment:
        wanted = [f"tensorflow=={tensorflow.version}", *entry.requirements(tensorflow.version)]
        try:
            environment.run(*environments.INSTALL, *tensorflow.options, "--only-binary", entry.project, *wanted)
        except CommandError as error:
            _raise_what_is_no_verdict(environment, error)
            return Outcome(version="", result=f"does not install: {why_not_installed(error)}")
        version = environment.run("-c", VERSION_OF.format(entry.project)).split()[-1]
        script = environment.folder / "companion_checks.py"
        shutil.copyfile(program("checks.companion_checks"), script)
        words = ["--check", entry.check_name, "--tensorflow", tensorflow.version]
        try:
            environment.run("-m", "pip", "check")
            report = environment.report(script, environment.folder / "answer.json", *words)
        except CommandError as error:
            _raise_what_is_no_verdict(environment, error)
            return Outcome(version=version, result=f"failed: {smoke.reason_of(error)}")
        if not report["passed"]:
            _raise_what_is_no_verdict(environment, CommandError(report["reason"], output=report["reason"]))
            return Outcome(version=version, result=f"failed: {report['reason']}")
    return Outcome(version=version, result=PASSED)


def why_not_installed(error: CommandError) -> str:
    """Return in one line why pip could not install: what contradicts what, what there is instead, or its error."""
    if conflict := CONFLICT.search(error.output):
        return "; ".join(dict.fromkeys(line.strip() for line in conflict[1].splitlines()))
    if missing := NO_VERSION.search(error.output):
        known = [] if missing[2] == "none" else missing[2].split(", ")
        there = f"the newest one that has is {known[-1]}" if known else "no version has"
        return f"{missing[1]} has no wheel for this Python; {there}"
    return smoke.reason_of(error)


def is_fault(outcome: Outcome, official: Outcome | None) -> bool:
    """Return whether a companion fails beside a wheel and works beside the official one: that alone is a fault."""
    return outcome.result != PASSED and official is not None and official.result == PASSED


@contextmanager
def _copy(environment: Environment) -> Iterator[Environment]:
    """Yield a copy of an environment, with hard links for its files: pip replaces a file, and never writes into it."""
    folder = environment.folder / "copy"
    shutil.copytree(environment.folder / "venv", folder / "venv", symlinks=True, copy_function=os.link)
    try:
        yield replace(environment, folder=folder)
    finally:
        shutil.rmtree(folder)


def _raise_what_is_no_verdict(environment: Environment, error: CommandError) -> None:
    """Raise DiskFullError or PackageIndexError if the machine or an index failed, and not what was tried."""
    if "No space left on device" in error.output:
        environment.raise_disk_full("ran out of space")
    unread = [line.strip() for line in error.output.splitlines() if line.strip().startswith("WARNING: Retrying")]
    if unread:
        message = f"an index did not answer: {unread[-1].removeprefix('WARNING: ')} (log: {environment.log})"
        raise PackageIndexError(message) from error
