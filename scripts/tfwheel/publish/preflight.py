"""Checks before a release: settings, changelog, ledger, git tag and CI runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from tfwheel.config import plan
from tfwheel.index import ledger
from tfwheel.index.errors import NameTakenError, WheelMissingError
from tfwheel.publish.errors import ChangelogError, NoGreenRunError, ReleaseBranchError, ReleaseTagError
from tfwheel.publish.pull_request import MAIN
from tfwheel.system import console, git
from tfwheel.system.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from tfwheel.config.build_config import Config
    from tfwheel.config.targets import Target
    from tfwheel.publish.github_api import AssetData
    from tfwheel.publish.github_repository import Repository, Run

WORKFLOW = "wheels.yml"
GREEN = "success"


@dataclass(frozen=True, kw_only=True)
class PlannedRelease:
    """A version to release, its targets, and its section of the changelog."""

    version: str
    targets: tuple[Target, ...]
    notes: str

    @property
    def tag(self) -> str:
        """The tag, for example ``v2.20.0+cu125.2``."""
        return f"v{self.version}"

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders of its wheels: those of the targets, and of the ops wheels that they share."""
        whole = {target.id for target in self.targets if target.builder != "ops"}
        return tuple(sorted(whole | {target.ops_id for target in self.targets}))


def planned(settings: Config, text: str, changelog: Path) -> PlannedRelease:
    """Plan the release of a version ("2.20.0+cu125.2") or of its tag.

    Raises ReleaseTagError unless the settings build exactly that version, and not from source, and ChangelogError
    without a section on it.
    """
    version = text.removeprefix("v")
    known = plan.targets(settings)
    targets = tuple(target for target in known if target.version == version)
    if not targets:
        message = f"{text}: {_why_not(version, known)}"
        raise ReleaseTagError(message)
    if any(target.builder == "source" for target in targets):
        message = f"{text} is built from source, and a release promotes what wheels.yml built, whose jobs are too small"
        raise ReleaseTagError(message, remedy="Publish it with `nox -s publish`: index/docs/source.md says how.")
    return PlannedRelease(version=version, targets=targets, notes=_section(changelog, version))


def _why_not(version: str, known: Collection[Target]) -> str:
    """Explain why no target has a version: its form, its TensorFlow, its label or its build."""
    try:
        parsed = Version(version)
    except InvalidVersion:
        parsed = Version("0")
    if not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?\+[a-z0-9]+\.\d+", version) or str(parsed) != version:
        return "not a release version: TENSORFLOW+LABEL.BUILD, for example 2.20.0+cu125.2"
    same = sorted({target.version for target in known if target.tensorflow == parsed.public})
    if not same:
        versions = ", ".join(sorted({target.tensorflow for target in known}, key=Version))
        return f"targets.toml has no TensorFlow {parsed.public}; it has {versions}"
    label, _, build = (parsed.local or "").rpartition(".")
    builds = sorted(
        {target.build for target in known if (target.tensorflow, target.line.label) == (parsed.public, label)}
    )
    if builds:
        return f"targets.toml has build {builds[0]} for TensorFlow {parsed.public} with the label {label}, not {build}"
    return f"no line of TensorFlow {parsed.public} has the label `{label}`; targets.toml has {', '.join(same)}"


def _section(changelog: Path, version: str) -> str:
    """Return the text under the heading ``## VERSION``; ChangelogError if it is missing or empty."""
    text = changelog.read_text(encoding="utf-8") if changelog.exists() else ""
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        heading, _, words = section.partition("\n")
        if heading.split()[:1] == [version]:
            if not words.strip():
                message = f"{changelog}: the section `## {version}` is empty"
                raise ChangelogError(message)
            return words.strip() + "\n"
    message = f"{changelog} has no section `## {version}`"
    raise ChangelogError(message)


def check_number(release: PlannedRelease, path: Path, assets: Mapping[str, AssetData]) -> None:
    """Raise NameTakenError when the ledger has files of that version.

    ``assets`` are those of its published release, if there is one: files of the ledger that are equal to them are from
    this same release and are no error.
    """
    for entry in ledger.read(path).entries:
        if entry.version == release.version:
            asset = assets.get(entry.file)
            if asset is None or asset.digest != f"sha256:{entry.sha256}":
                message = f"{release.version} was released before: {path} has {entry.file} of {entry.uploaded}"
                raise NameTakenError(message)


def commit_of(root: Path) -> str:
    """Return the commit that is checked out; ReleaseTagError if there is none."""
    try:
        return git.run("rev-parse", "--verify", "HEAD", at=root).split()[-1]
    except CommandError as error:
        message = f"{root} is not a git checkout with a commit: {error.output.strip() or error.message}"
        raise ReleaseTagError(message) from error


def check_tag(root: Path, tag: str, *, rehearsed: bool) -> None:
    """Raise ReleaseTagError unless the tag's commit is checked out.

    With ``rehearsed`` this is only reported, since a rehearsal may precede the tag.
    """
    head = commit_of(root)
    try:
        tagged = git.run("rev-parse", "--verify", "-q", f"refs/tags/{tag}^{{commit}}", at=root).split()[-1]
        problem = f"the tag {tag} is on {tagged[:12]}, but {head[:12]} is checked out"
    except CommandError:
        tagged, problem = "", f"there is no tag {tag} in this checkout"
    if tagged != head:
        if not rehearsed:
            raise ReleaseTagError(problem)
        console.say(f"  {problem}: a release would stop here")


def check_branch(repository: Repository, commit: str, *, rehearsed: bool) -> None:
    """Raise ReleaseBranchError unless the commit is on the main branch of the repository, newest or older.

    With ``rehearsed`` this is only reported. Raises HostAnswerError when the repository does not know the commit.
    """
    if not repository.has(MAIN, commit):
        problem = f"commit {commit[:12]} is not on the branch {MAIN} of {repository.api.repo}"
        if not rehearsed:
            raise ReleaseBranchError(problem)
        console.say(f"  {problem}: a release would stop here")


def green_run(repository: Repository, release: PlannedRelease, commit: str) -> Run:
    """Find the newest green run of the wheels workflow for a commit of main that has a wheel of every target.

    Raises NoGreenRunError when no run is green, and WheelMissingError when no green run has all wheels.
    """
    runs = repository.runs(WORKFLOW, commit=commit, branch=MAIN)
    green = [run for run in runs if run.conclusion == GREEN]
    if not green:
        message = f"{WORKFLOW} for commit {commit[:12]} of {MAIN}: {_state(runs)}"
        raise NoGreenRunError(message)
    wanted = {f"wheel-{target.id}" for target in release.targets}
    lacking = [(run, wanted - repository.artifacts(run)) for run in green]
    complete = [run for run, missing in lacking if not missing]
    if not complete:
        newest, missing = lacking[0]
        message = f"run {newest.id} ({newest.html_url}) is green but has no {', '.join(sorted(missing))}"
        remedy = f"Run {WORKFLOW} by hand for this commit, with all targets of the release; artifacts expire, too."
        raise WheelMissingError(message, remedy=remedy)
    return complete[0]


def _state(runs: Collection[Run]) -> str:
    if not runs:
        return "it never ran"
    newest = next(iter(runs))
    if newest.conclusion is None:
        return f"run {newest.id} is still running ({newest.status}): {newest.html_url}"
    return f"run {newest.id} ended with `{newest.conclusion}`: {newest.html_url}"
