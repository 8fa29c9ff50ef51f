"""Release steps: check, stage, confirm, publish, show; each is idempotent and can be repeated after a kill.

Nothing is visible before it is complete: files go into a draft, their names, sizes and digests on the host are compared
with the staged files, and only then is the draft published. The ledger follows the release, never the other way.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfwheel.errors import NoAnswerError
from tfwheel.index import ledger, listing_rules
from tfwheel.publish import colab_gate, dependency_confusion, preflight, pull_request, release_files, verify
from tfwheel.publish.errors import AssetRenamedError, ReleaseExistsError, VerifyError, WheelChangedError
from tfwheel.publish.github_assets import GithubStore
from tfwheel.publish.github_repository import UNFINISHED, Repository
from tfwheel.publish.pull_request import ProposedChange
from tfwheel.publish.release_files import Source, Staged
from tfwheel.system import ci, console, files, web
from tfwheel.wheel import metadata, records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tfwheel.config.build_config import Config
    from tfwheel.config.paths import Paths
    from tfwheel.index.ledger_entry import LedgerEntry
    from tfwheel.publish.github_api import AssetData
    from tfwheel.publish.github_repository import Run
    from tfwheel.publish.preflight import PlannedRelease

LEDGER = "index/ledger.jsonl"
PAGES = "pages.yml"
STEPS = ("check", "stage", "gates", "confirm", "publish", "show")
PATIENCE_S = 300.0  # how long the host may take to show a release at its public URLs
PAUSE_S = 5.0


@dataclass(frozen=True, kw_only=True)
class ReleaseContext:
    """Inputs of a release: the checkout ``root`` with its settings, its ``dist``, and the GitHub ``repository``.

    ``remote`` is the URL that git pushes to. With ``rehearsed``, a wrong tag or commit is only reported.
    ``on_step`` is called with the name of each step before it runs.
    """

    settings: Config
    root: Path
    dist: Path
    repository: Repository
    remote: str
    rehearsed: bool = False
    patience_s: float = PATIENCE_S
    on_step: Callable[[str], object] = console.say

    @classmethod
    def here(cls, settings: Config, paths: Paths, *, rehearsed: bool) -> ReleaseContext:
        """Use this checkout and the repository of the environment; TokenMissingError without a token."""
        repository = Repository.of_environment(settings.index.repository)
        root = paths.dist.parent
        return cls(
            settings=settings,
            root=root,
            dist=paths.dist,
            repository=repository,
            remote=repository.remote,
            rehearsed=rehearsed,
        )

    @property
    def ledger(self) -> Path:
        """The ledger of the checkout."""
        return self.root / LEDGER

    def folder(self, release: PlannedRelease) -> Path:
        """Return the folder in which a release is staged."""
        return self.dist / "release" / release.version


def planned(context: ReleaseContext, version: str) -> PlannedRelease:
    """Plan the release of a version or tag; see ``preflight.planned``."""
    return preflight.planned(context.settings, version, context.root / "CHANGELOG.md")


def check(context: ReleaseContext, release: PlannedRelease) -> Run:
    """Check everything that needs no wheel file; returns the CI run that has the wheels.

    Raises ReleaseTagError, ReleaseBranchError, NameTakenError, ReleaseExistsError, ColabFitError, NoGreenRunError,
    WheelMissingError or HostAnswerError.
    """
    context.on_step("check")
    commit = preflight.commit_of(context.root)
    preflight.check_tag(context.root, release.tag, rehearsed=context.rehearsed)
    preflight.check_branch(context.repository, commit, rehearsed=context.rehearsed)
    found = context.repository.release_of(release.tag)
    shown = GithubStore(repository=context.repository, release=found).assets() if found and not found.draft else {}
    preflight.check_number(release, context.ledger, shown)
    colab_gate.check_targets(release.targets, context.settings)
    staged = context.folder(release)
    if shown and (staged / release_files.SUMS).exists():
        _compare(release, release_files.load(staged), shown)
        console.say(f"  {release.tag} is published already, complete and with these very files")
    run = preflight.green_run(context.repository, release, commit)
    console.say(f"  {release.tag}: {len(release.targets)} targets, commit {commit[:12]}, run {run.id}")
    return run


def steps(
    context: ReleaseContext, release: PlannedRelease, *, gates: Callable[[Path], object], sums: str | None = None
) -> dict[str, Callable[[], object]]:
    """Return the steps of a release by name, in order; with them, CI is told what the next job needs.

    ``gates`` checks the wheels of a folder again; it raises an error for one that must not be signed. ``confirm`` is
    for a later job: it compares what it got with ``sums``, and without ``sums`` with what is there.
    """
    folder = context.folder(release)
    return {
        "check": lambda: tell_ci(run=str(check(context, release).id), version=release.version),
        "stage": lambda: tell_ci(sums=stage(context, release).sums[release_files.SUMS]),
        "gates": lambda: gates(folder),
        "confirm": lambda: confirm(
            context, release, files.sha256_of(folder / release_files.SUMS) if sums is None else sums
        ),
        "publish": lambda: publish(context, release),
        "show": lambda: show(context),
    }


def tell_ci(**outputs: str) -> None:
    """Set outputs of the CI step; outside CI do nothing."""
    if os.environ.get(ci.OUTPUT):
        ci.set_outputs(outputs)


def confirm(context: ReleaseContext, release: PlannedRelease, sums: str) -> None:
    """Raise WheelChangedError unless the staged folder is the one whose SHA256SUMS has the sha256 ``sums``.

    It was staged and checked in another job, and other jobs could write what lies between.
    """
    staged = release_files.load(context.folder(release))
    found = staged.sums[release_files.SUMS]
    if found != sums:
        message = f"{staged.folder / release_files.SUMS} has the sha256 {found}, and {sums} was staged and checked"
        raise WheelChangedError(message)


def show(context: ReleaseContext) -> None:
    """Start the workflow that shows the ledger, where its new lines were pushed: no push of CI starts a workflow.

    It runs on the main branch. From a tag, a host may report a deployment as done that it never shows.
    """
    if context.settings.index.ledger_change == "push":
        context.repository.start(PAGES, branch=pull_request.MAIN)
        console.say(f"  started {PAGES} on {pull_request.MAIN}")
    else:
        console.say(f"  the pages show the new lines when their pull request is merged to {pull_request.MAIN}")


def stage(context: ReleaseContext, release: PlannedRelease) -> Staged:
    """Collect all files of the release in ``dist/release/<version>``; raises the errors of ``release_files``.

    Raises UnclaimedNameError when the name of a wheel or of a requirement is open to dependency confusion.
    """
    context.on_step("collect")
    commit = preflight.commit_of(context.root)
    wheels = release_files.built(release.folders, Source.below(context.dist), version=release.version)
    release_files.check_sources(wheels, commit=commit, rehearsed=context.rehearsed)
    context.on_step("guard")
    dependency_confusion.check_wheels([one.wheel for one in wheels], context.settings.index)
    context.on_step("stage")
    staged = release_files.stage(wheels, context.folder(release))
    console.say(f"  {len(staged.wheels)} wheels, {len(staged.sums)} files in {staged.folder}")
    return staged


def publish(context: ReleaseContext, release: PlannedRelease) -> tuple[LedgerEntry, ...]:
    """Publish the staged release and bring its ledger entries to the main branch; returns these entries.

    Raises ReleaseExistsError when the tag's release has other files, StoreError, IndexEntryError, AssetRenamedError
    or HostAnswerError before anything is visible, and VerifyError when a published file cannot be downloaded.
    """
    staged = release_files.load(context.folder(release))
    commit = preflight.commit_of(context.root)
    if not context.rehearsed:
        preflight.check_tag(context.root, release.tag, rehearsed=False)
        preflight.check_branch(context.repository, commit, rehearsed=False)
    context.on_step("draft")
    found = context.repository.release_of(release.tag) or context.repository.draft(
        release.tag, commit=commit, notes=release.notes
    )
    store = GithubStore(repository=context.repository, release=found)
    if found.draft:
        _fill(context, store, staged)
    context.on_step("compare")
    _compare(release, staged, store.assets())
    if found.draft:
        context.on_step("publish")
        store = GithubStore(repository=context.repository, release=context.repository.publish(found))
    else:
        console.say(f"  {release.tag} is published already, complete and with these very files")
    context.on_step("verify")
    entries = tuple(_entry(store, wheel) for wheel in staged.wheels)
    _verify(context, store, staged, entries)
    context.on_step("propose")
    console.say(f"  ledger: {propose(context, release, entries)}")
    return entries


def propose(context: ReleaseContext, release: PlannedRelease, entries: tuple[LedgerEntry, ...]) -> str:
    """Bring the entries to the ledger of the main branch, by pull request or push (``ledger_change`` in index.toml)."""

    def apply(tree: Path) -> list[str]:
        ledger.append(tree / LEDGER, entries)
        return [LEDGER]

    files = "".join(f"- {entry.file}\n" for entry in entries)
    page = f"{context.repository.web}/{context.repository.api.repo}/releases/tag/{release.tag}"
    change = ProposedChange(
        branch=f"ledger/{release.tag}",
        title=f"Ledger: {release.version}",
        body=f"Lists the files of {page}:\n\n{files}",
        apply=apply,
    )
    pushed = context.settings.index.ledger_change == "push"
    return pull_request.propose(change, repository=context.repository, remote=context.remote, push=pushed)


# --- the steps of publishing -----------------------------------------------------------------------------


def _fill(context: ReleaseContext, store: GithubStore, staged: Staged) -> None:
    """Upload every file to the draft; ReleaseExistsError if the draft has files that are not part of the release."""
    left = {name: asset for name, asset in store.assets().items() if asset.state != UNFINISHED}
    foreign = sorted(name for name, asset in left.items() if asset.digest != f"sha256:{staged.sums.get(name)}")
    if foreign:
        message = f"the draft {store.release.tag_name} has files that are not ours: {', '.join(foreign)}"
        raise ReleaseExistsError(message, remedy=f"Delete the draft ({store.release.html_url}), and run again.")
    for name, asset in store.assets().items():
        if name not in staged.sums:
            context.repository.delete(asset)
    for name, sha256 in staged.sums.items():
        context.on_step(f"upload {name}")
        with (staged.folder / name).open("rb") as source:
            store.put(name, source, sha256=sha256)


def _compare(release: PlannedRelease, staged: Staged, assets: dict[str, AssetData]) -> None:
    """Raise ReleaseExistsError unless the release has exactly the staged files: names, sizes and digests."""
    wanted = {name: ((staged.folder / name).stat().st_size, f"sha256:{sum_}") for name, sum_ in staged.sums.items()}
    there = {name: (asset.size, asset.digest) for name, asset in assets.items()}
    wrong = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
    if wrong:
        message = f"the release {release.tag} has other files than {staged.folder}: {', '.join(wrong)}"
        raise ReleaseExistsError(message)


def _entry(store: GithubStore, wheel: Path) -> LedgerEntry:
    """Return the ledger entry of a wheel; its time is that of the release, so that repeated calls agree."""
    record = records.load(records.path_for(wheel))
    uploaded = store.release.published_at or ""
    return listing_rules.entry_from(wheel, record, url=store.url(wheel.name), uploaded=uploaded)


def _verify(context: ReleaseContext, store: GithubStore, staged: Staged, entries: tuple[LedgerEntry, ...]) -> None:
    """Fetch every file from its public URL, as users do; the host may take a while to show them."""
    named = {asset.name: asset.browser_download_url for asset in store.assets().values()}
    for name in staged.sums:
        if named.get(name) != store.url(name):
            message = f"{name} is published at {named.get(name)}, not at {store.url(name)}"
            raise AssetRenamedError(message, remedy="Delete the release, raise `build`, and release that.")
    deadline = time.monotonic() + context.patience_s
    while True:
        try:
            _verify_once(store, staged, entries)
        except (VerifyError, NoAnswerError) as error:
            if time.monotonic() + PAUSE_S > deadline:
                raise
            console.say(f"  not yet: {error.message}")
            time.sleep(PAUSE_S)
        else:
            return


def _verify_once(store: GithubStore, staged: Staged, entries: tuple[LedgerEntry, ...]) -> None:
    for entry in entries:
        verify.check_asset(entry.url, entry)
    for name, sha256 in staged.sums.items():
        if not name.endswith((".whl", metadata.SIDECAR)):
            answer = web.ask(store.url(name))
            if hashlib.sha256(answer.body).hexdigest() != sha256:
                message = f"{answer.url} does not return the released file (status {answer.status})"
                raise VerifyError(message)
