"""The whole of a release on this machine: as it will be, against an imitation of GitHub, and its wheels installed.

All that it changes is in one folder below ``dist/``. A rehearsal that was killed goes on where it stopped; one of
other wheels, or after one that ended well, begins anew.
"""

from __future__ import annotations

import hashlib
import shutil
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fake_github import server
from fake_github.api import GitHub
from tfwheel.build import pipeline
from tfwheel.index.errors import WheelMissingError
from tfwheel.index.site import SiteContent
from tfwheel.publish import preflight, publish, release, release_files, verify
from tfwheel.publish.github_api import GithubApi
from tfwheel.publish.github_assets import GithubStore
from tfwheel.publish.github_repository import Repository
from tfwheel.publish.publish import Publication
from tfwheel.publish.pull_request import MAIN
from tfwheel.publish.release import ReleaseContext
from tfwheel.publish.release_files import Source
from tfwheel.system import console, files, locks
from tfwheel.system.errors import InterpreterMissingError
from tfwheel.system.processes import run
from tfwheel.wheel import records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tfwheel.config.build_config import Config
    from tfwheel.config.paths import Paths
    from tfwheel.publish.preflight import PlannedRelease

REPO = "rehearsal/wheels"
TOKEN = "rehearsal"  # noqa: S105 -- of a host that takes any


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What a rehearsal has in its folder: the host's state, what git pushes to, the pages, and a copy of the ledger."""

    folder: Path

    @property
    def remote(self) -> Path:
        """The bare repository that stands for the one on GitHub."""
        return self.folder / "remote.git"

    @property
    def ledger(self) -> Path:
        """The ledger of its main branch."""
        return self.folder / "ledger.jsonl"

    @property
    def site(self) -> Path:
        """The pages."""
        return self.folder / "site"

    @property
    def plot(self) -> Path:
        """The digest of the records that are released, while the rehearsal goes on."""
        return self.folder / "rehearsed.txt"

    @property
    def port(self) -> Path:
        """The port of the host, which is part of all addresses."""
        return self.folder / "port.txt"


def build_missing(settings: Config, paths: Paths, version: str) -> None:
    """Build the targets of a version that have no wheel of it here; raises what a build raises.

    Nothing is built where the artifacts of a run were downloaded to ``dist/run``.
    """
    planned = preflight.planned(settings, version, paths.dist.parent / "CHANGELOG.md")
    source = Source.below(paths.dist)
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
    """Release a version here; returns lines that say where everything is.

    Unless ``installed`` is off, a wheel is installed from the imitation's pages with every client, and there are pages
    for people. Raises what a release raises.
    """
    root, stage = paths.dist.parent, Stage(folder=paths.dist / "rehearsal")
    planned = preflight.planned(settings, version, root / "CHANGELOG.md")
    with ExitStack() as stack:
        lock = paths.dist / ".rehearsal.lock"
        stack.enter_context(locks.exclusive(lock, busy="another rehearsal is going on here"))
        plot = _plot(planned, Source.below(paths.dist))
        _begin(stage, plot)
        try:
            host = stack.enter_context(_host(stage))
        except OSError as error:
            console.say(f"  the address of the rehearsal that was killed cannot be had ({error}): beginning anew")
            stage.plot.unlink()
            _begin(stage, plot)
            host = stack.enter_context(_host(stage))
        on_step("remote")
        commit = _remote(root, stage)
        _finish_run(host, planned, commit)
        site = Repository(host=GithubApi(api=host.address, repo=REPO, token=TOKEN), web=host.address)
        context = ReleaseContext(
            settings=settings,
            root=root,
            dist=paths.dist,
            site=site,
            remote=stage.remote.as_uri(),
            rehearsed=True,
            patience_s=0,
            on_step=on_step,
        )
        release.check(context, planned)
        release.stage(context, planned)
        entries = release.publish(context, planned)
        on_step("merge")
        _merge(stage, planned, host)
        on_step("deploy")
        _deploy(context, planned, stage, host, installed=installed)
        stage.plot.unlink()
        return [*_where(stage, context.folder(planned), host), *(f"released {entry.file}" for entry in entries)]


# --- what it plays on ------------------------------------------------------------------------------------


def _plot(planned: PlannedRelease, source: Source) -> str:
    """What tells one rehearsal from another: the version and the records of its wheels."""
    digest = hashlib.sha256(planned.version.encode())
    for folder in planned.folders:
        for wheel in source.found(folder):
            path = records.path_for(wheel)
            digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()


def _begin(stage: Stage, plot: str) -> None:
    """Go on with the rehearsal that was killed, if it was this one; begin anew otherwise."""
    if not stage.plot.exists() or stage.plot.read_text(encoding="utf-8") != plot:
        shutil.rmtree(stage.folder, ignore_errors=True)
        files.write_atomically(stage.plot, plot.encode())


@contextmanager
def _host(stage: Stage) -> Iterator[GitHub]:
    """The imitation of GitHub, at the address that it had before."""
    port = int(stage.port.read_text(encoding="utf-8")) if stage.port.exists() else 0
    host = GitHub(folder=stage.folder / "host", repo=REPO, site=stage.site)
    try:
        with server.serving(host, port=port):
            files.write_atomically(stage.port, host.address.rpartition(":")[2].encode())
            yield host
    finally:
        host.state.close()


def _remote(root: Path, stage: Stage) -> str:
    """Make what git pushes to, with the commit that is checked out as its main branch; returns the commit."""
    commit = run(["git", "-C", root, "rev-parse", "--verify", "HEAD"]).split()[-1]
    run(["git", "init", "-q", "--bare", f"--initial-branch={MAIN}", stage.remote])
    run(["git", "-C", stage.remote, "config", "receive.shallowUpdate", "true"])
    if not run(["git", "-C", stage.remote, "branch", "--list", MAIN]):
        run(["git", "-C", root, "push", "-q", "--no-verify", stage.remote, f"{commit}:refs/heads/{MAIN}"])
    return commit


def _finish_run(host: GitHub, planned: PlannedRelease, commit: str) -> None:
    """Let the host know of a green run for the commit, with an artifact per target, as CI would have left it."""
    facts = {
        "path": f".github/workflows/{preflight.WORKFLOW}",
        "head_sha": commit,
        "status": "completed",
        "conclusion": preflight.GREEN,
        "event": "push",
        "html_url": f"{host.address}/{REPO}/actions/runs/1",
    }
    run_ = next(iter(host.state.all("run")), None) or host.state.add("run", facts)
    known = {artifact["name"] for artifact in host.state.all("artifact", parent=run_["id"])}
    for name in (f"wheel-{target.id}" for target in planned.targets):
        if name not in known:
            host.state.add("artifact", {"name": name, "expired": False}, parent=run_["id"])


# --- after the release -----------------------------------------------------------------------------------


def _merge(stage: Stage, planned: PlannedRelease, host: GitHub) -> None:
    """Accept the pull request of the ledger, as a maintainer does, and read the ledger that this gives."""
    git = ["git", "-C", str(stage.remote)]
    branch = f"ledger/{planned.tag}"
    if run([*git, "branch", "--list", branch]):
        run([*git, "fetch", "-q", ".", f"{branch}:{MAIN}"])
    for pull in host.state.all("pull"):
        host.state.save(pull | {"state": "closed"})
    files.write_atomically(stage.ledger, run([*git, "show", f"{MAIN}:{release.LEDGER}"]).encode())


def _deploy(context: ReleaseContext, planned: PlannedRelease, stage: Stage, host: GitHub, *, installed: bool) -> None:
    """Render the pages, show them, verify them from outside, and install from them."""
    staged = release_files.load(context.folder(planned))
    found = context.site.release_of(planned.tag)
    if found is None:
        message = f"the host has no release {planned.tag} any more"
        raise WheelMissingError(message, remedy="Rehearse the release from its first step again.")
    index = context.settings.index.model_copy(update={"base_url": host.pages})
    settings = replace(context.settings, index=index)
    job = Publication(
        wheels=staged.wheels,
        ledger=stage.ledger,
        site=stage.site,
        store=GithubStore(site=context.site, release=found),
        content=SiteContent(settings=settings, locks=context.root / "index") if installed else None,
        uploaded=found.published_at or "",
        address=host.pages,
        guarded=False,  # when it was staged
        installs=(_installable(staged.wheels),) if installed else (),
    )
    publish.publish(job, on_step=context.on_step)


def _installable(wheels: tuple[Path, ...]) -> str:
    """The first wheel that a Python of this machine can take; TensorFlow's own before those of the ops."""
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
        f"the imitation's releases and pull requests: {host.folder}",
        f"its repository: {stage.remote} (main has the new ledger: {stage.ledger})",
        f"its pages: {stage.site} (they were at {host.pages})",
    ]
