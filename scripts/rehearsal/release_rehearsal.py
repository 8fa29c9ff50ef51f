"""Rehearses a whole release on this machine with a fake GitHub server, and installs its wheels.

It changes only one folder below ``dist/``. A killed rehearsal resumes; with other wheels, or after a completed
rehearsal, it starts from the beginning.
"""

from __future__ import annotations

import hashlib
import shutil
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fake_github import server
from fake_github.api import GitHub
from tfwheel.build import pipeline, recheck
from tfwheel.index.errors import WheelMissingError
from tfwheel.index.site import SiteContent
from tfwheel.publish import colab_gate, preflight, publish, release, release_files, verify
from tfwheel.publish.github_api import GithubApi
from tfwheel.publish.github_assets import GithubStore
from tfwheel.publish.github_repository import Repository
from tfwheel.publish.publication import Publication
from tfwheel.publish.pull_request import MAIN
from tfwheel.publish.release import ReleaseContext
from tfwheel.publish.release_files import Source
from tfwheel.system import console, files, git, locks
from tfwheel.system.errors import InterpreterMissingError
from tfwheel.wheel import records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tfwheel.config.build_config import Config
    from tfwheel.config.paths import Paths
    from tfwheel.publish.preflight import PlannedRelease

REPO = "rehearsal/wheels"
TOKEN = "rehearsal"  # noqa: S105 -- the fake server accepts any token


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The folder of a rehearsal: state of the fake server, git remote, pages, and a copy of the ledger."""

    folder: Path

    @property
    def remote(self) -> Path:
        """The bare repository in place of the one on GitHub."""
        return self.folder / "remote.git"

    @property
    def ledger(self) -> Path:
        """The ledger of the remote's main branch."""
        return self.folder / "ledger.jsonl"

    @property
    def site(self) -> Path:
        """The folder of the pages."""
        return self.folder / "site"

    @property
    def fingerprint(self) -> Path:
        """The file with the fingerprint of an unfinished rehearsal."""
        return self.folder / "rehearsed.txt"

    @property
    def port(self) -> Path:
        """The file with the port of the fake server, which is part of all URLs."""
        return self.folder / "port.txt"


def build_missing(settings: Config, paths: Paths, version: str) -> None:
    """Build the targets of a version that have no wheel here yet; raises the errors of a build.

    What the configuration alone tells against the release is said before: the errors of ``colab_gate.check_targets``.
    Nothing is built if the artifacts of a run were downloaded to ``dist/run``.
    """
    planned = preflight.planned(settings, version, paths.dist.parent / "CHANGELOG.md")
    source = Source.below(paths.dist)
    colab_gate.check_targets(planned.targets, settings)
    for target in planned.targets:
        there = source.found(target.ops_id if target.builder == "ops" else target.id)
        if source.root == paths.wheels and not any(f"-{planned.version}-" in wheel.name for wheel in there):
            pipeline.build(target.id, paths=paths)


def rehearse(
    settings: Config,
    paths: Paths,
    version: str,
    *,
    installed: bool = True,
    on_step: Callable[[str], object] = console.say,
) -> list[str]:
    """Rehearse the release of a version; returns lines that say where everything is.

    Unless ``installed`` is off, the staged wheels are checked again, the pages for users are rendered too, and a wheel
    is installed from the served pages with every client. Raises the errors of a release.
    """
    root, stage = paths.dist.parent, Stage(folder=paths.dist / "rehearsal")
    planned = preflight.planned(settings, version, root / "CHANGELOG.md")
    with ExitStack() as stack:
        lock = paths.dist / ".rehearsal.lock"
        stack.enter_context(locks.exclusive(lock, busy="another rehearsal is running here"))
        fingerprint = _fingerprint(planned, Source.below(paths.dist))
        _begin(stage, fingerprint)
        try:
            host = stack.enter_context(_host(stage))
        except OSError as error:
            console.say(f"  the port of the killed rehearsal is not available ({error}): starting from the beginning")
            stage.fingerprint.unlink()
            _begin(stage, fingerprint)
            host = stack.enter_context(_host(stage))
        on_step("remote")
        commit = _remote(root, stage)
        _finish_run(host, planned, commit)
        repository = Repository(api=GithubApi(api=host.address, repo=REPO, token=TOKEN), web=host.address)
        context = ReleaseContext(
            settings=settings,
            root=root,
            dist=paths.dist,
            repository=repository,
            remote=stage.remote.as_uri(),
            rehearsed=True,
            patience_s=0,
            on_step=on_step,
        )
        release.check(context, planned)
        release.stage(context, planned)
        if installed:
            on_step("gates")
            recheck.recheck(context.folder(planned), planned.version, paths)
        entries = release.publish(context, planned)
        on_step("merge")
        _merge(stage, planned, host)
        on_step("deploy")
        _deploy(context, planned, stage, host, installed=installed)
        stage.fingerprint.unlink()
        return [*_where(stage, context.folder(planned), host), *(f"released {entry.file}" for entry in entries)]


# --- the fake server and the remote ----------------------------------------------------------------------


def _fingerprint(planned: PlannedRelease, source: Source) -> str:
    """Return a digest of the version and the records of its wheels, which identifies a rehearsal."""
    digest = hashlib.sha256(planned.version.encode())
    for folder in planned.folders:
        for wheel in source.found(folder):
            path = records.path_for(wheel)
            digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()


def _begin(stage: Stage, fingerprint: str) -> None:
    """Resume a killed rehearsal with the same fingerprint, or start with an empty folder."""
    if not stage.fingerprint.exists() or stage.fingerprint.read_text(encoding="utf-8") != fingerprint:
        shutil.rmtree(stage.folder, ignore_errors=True)
        files.write_atomically(stage.fingerprint, fingerprint.encode())


@contextmanager
def _host(stage: Stage) -> Iterator[GitHub]:
    """Serve the fake GitHub server, on the port that it had before."""
    port = int(stage.port.read_text(encoding="utf-8")) if stage.port.exists() else 0
    host = GitHub(folder=stage.folder / "host", repo=REPO, site=stage.site, origin=stage.remote)
    try:
        with server.serving(host, port=port):
            files.write_atomically(stage.port, host.address.rpartition(":")[2].encode())
            yield host
    finally:
        host.state.close()


def _remote(root: Path, stage: Stage) -> str:
    """Create the git remote, with the checked-out commit as its main branch; returns the commit."""
    commit = git.run("rev-parse", "--verify", "HEAD", at=root).split()[-1]
    git.run("init", "-q", "--bare", f"--initial-branch={MAIN}", stage.remote)
    git.run("config", "receive.shallowUpdate", "true", at=stage.remote)
    if not git.run("branch", "--list", MAIN, at=stage.remote):
        git.run("push", "-q", "--no-verify", stage.remote, f"{commit}:refs/heads/{MAIN}", at=root)
    return commit


def _finish_run(host: GitHub, planned: PlannedRelease, commit: str) -> None:
    """Add a green run for the commit to the fake server, with an artifact per target, as CI would."""
    facts = {
        "path": f".github/workflows/{preflight.WORKFLOW}",
        "head_sha": commit,
        "status": "completed",
        "conclusion": preflight.GREEN,
        "event": "push",
        "head_branch": MAIN,
        "head_repository": {"full_name": REPO},
        "html_url": f"{host.address}/{REPO}/actions/runs/1",
    }
    run_ = next(iter(host.state.all("run")), None) or host.state.add("run", facts)
    known = {artifact["name"] for artifact in host.state.all("artifact", parent=run_["id"])}
    for name in (f"wheel-{target.id}" for target in planned.targets):
        if name not in known:
            host.state.add("artifact", {"name": name, "expired": False}, parent=run_["id"])


# --- after the release -----------------------------------------------------------------------------------


def _merge(stage: Stage, planned: PlannedRelease, host: GitHub) -> None:
    """Merge the pull request of the ledger, as a maintainer does, and copy the merged ledger."""
    branch = f"ledger/{planned.tag}"
    if git.run("branch", "--list", branch, at=stage.remote):
        git.run("fetch", "-q", ".", f"{branch}:{MAIN}", at=stage.remote)
    for pull in host.state.all("pull"):
        host.state.save(pull | {"state": "closed"})
    files.write_atomically(stage.ledger, git.run("show", f"{MAIN}:{release.LEDGER}", at=stage.remote).encode())


def _deploy(context: ReleaseContext, planned: PlannedRelease, stage: Stage, host: GitHub, *, installed: bool) -> None:
    """Render and serve the pages, verify them from outside, and install from them."""
    staged = release_files.load(context.folder(planned))
    found = context.repository.release_of(planned.tag)
    if found is None:
        message = f"the fake GitHub server no longer has the release {planned.tag}"
        raise WheelMissingError(message, remedy="Rehearse the release from its first step again.")
    index = context.settings.index.model_copy(update={"base_url": host.pages})
    settings = replace(context.settings, index=index)
    job = Publication(
        wheels=staged.wheels,
        ledger=stage.ledger,
        site=stage.site,
        store=GithubStore(repository=context.repository, release=found),
        content=SiteContent(settings=settings, locks=context.root / "index") if installed else None,
        uploaded=found.published_at or "",
        address=host.pages,
        guarded=False,  # the names were checked when the release was staged
        installs=(_installable(staged.wheels),) if installed else (),
    )
    publish.publish(job, on_step=context.on_step)


def _installable(wheels: tuple[Path, ...]) -> str:
    """Return the first wheel that a Python of this machine can install, TensorFlow before the ops."""
    missing: InterpreterMissingError | None = None
    for wheel in sorted(wheels, key=lambda wheel: (not wheel.name.startswith("tensorflow-"), wheel.name)):
        try:
            verify.interpreter_for(wheel.name)
        except InterpreterMissingError as error:
            missing = missing or error
        else:
            return wheel.name
    raise missing or WheelMissingError("the release has no wheels")


def _where(stage: Stage, staged: Path, host: GitHub) -> list[str]:
    return [
        f"files of the release: {staged}",
        f"releases and pull requests of the fake GitHub server: {host.folder}",
        f"its repository: {stage.remote} (main has the new ledger: {stage.ledger})",
        f"its pages: {stage.site} (served at {host.pages})",
    ]
