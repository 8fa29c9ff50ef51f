"""The order of things in a release: check, stage, publish; each step may be done again, after a kill too.

Nothing is visible before everything is there: files go into a draft, what the host says of them is held against what
was given to it, and only then is the draft published. The ledger follows what is published, never the other way.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfwheel.index import ledger, listing_rules
from tfwheel.publish import dependency_confusion, preflight, pull_request, release_files, verify
from tfwheel.publish.errors import AssetRenamedError, ReleaseExistsError, VerifyError
from tfwheel.publish.github_assets import GithubStore
from tfwheel.publish.github_repository import UNFINISHED, Repository
from tfwheel.publish.pull_request import ProposedChange
from tfwheel.publish.release_files import Source, Staged
from tfwheel.system import ci, console, web
from tfwheel.wheel import metadata, records

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tfwheel.config.build_config import Config
    from tfwheel.config.paths import Paths
    from tfwheel.index.ledger import LedgerEntry
    from tfwheel.publish.github_api import AssetData
    from tfwheel.publish.github_repository import Run
    from tfwheel.publish.preflight import PlannedRelease

LEDGER = "index/ledger.jsonl"
PATIENCE_S = 300.0  # that the host may take to show a release to the world
PAUSE_S = 5.0


@dataclass(frozen=True, kw_only=True)
class ReleaseContext:
    """Where a release is made: the checkout ``root`` with its settings, its ``dist``, and the repository ``site``.

    ``remote`` is what git pushes to. A rehearsal says what a release would refuse about tag and commits, and goes on.
    ``on_step`` hears the name of each step before it is done.
    """

    settings: Config
    root: Path
    dist: Path
    site: Repository
    remote: str
    rehearsed: bool = False
    patience_s: float = PATIENCE_S
    on_step: Callable[[str], object] = console.say

    @classmethod
    def here(cls, settings: Config, paths: Paths, *, rehearsed: bool) -> ReleaseContext:
        """This checkout and the repository that the environment names; TokenMissingError without a token."""
        site = Repository.of_environment(settings.index.repository)
        root = paths.dist.parent
        return cls(settings=settings, root=root, dist=paths.dist, site=site, remote=site.remote, rehearsed=rehearsed)

    @property
    def ledger(self) -> Path:
        """What the checkout says is published."""
        return self.root / LEDGER

    def folder(self, release: PlannedRelease) -> Path:
        """Where a release is staged."""
        return self.dist / "release" / release.version


def planned(context: ReleaseContext, version: str) -> PlannedRelease:
    """See release_checks."""
    return preflight.planned(context.settings, version, context.root / "CHANGELOG.md")


def check(context: ReleaseContext, release: PlannedRelease) -> Run:
    """Everything that can be known before a file is looked at; returns the run that has the wheels.

    Raises ReleaseTagError, NameTakenError, ReleaseExistsError, NoGreenRunError, WheelMissingError or
    HostAnswerError.
    """
    context.on_step("check")
    commit = preflight.commit_of(context.root)
    preflight.check_tag(context.root, release.tag, rehearsed=context.rehearsed)
    found = context.site.release_of(release.tag)
    shown = GithubStore(site=context.site, release=found).assets() if found and not found.draft else {}
    preflight.check_number(release, context.ledger, shown)
    staged = context.folder(release)
    if shown and (staged / release_files.SUMS).exists():
        _compare(release, release_files.load(staged), shown)
        console.say(f"  {release.tag} is published already, complete and with these very files")
    run = preflight.green_run(context.site, release, commit)
    console.say(f"  {release.tag}: {len(release.targets)} targets, commit {commit[:12]}, run {run.id}")
    return run


def tell_ci(run: Run, release: PlannedRelease) -> None:
    """Give the CI that this runs in the outputs ``run`` and ``version`` of the step; elsewhere do nothing."""
    if os.environ.get(ci.OUTPUT):
        ci.set_outputs({"run": str(run.id), "version": release.version})


def stage(context: ReleaseContext, release: PlannedRelease) -> Staged:
    """Collect all files of the release in ``dist/release/<version>``; see staging for what is refused.

    The names of the wheels, and of what they require, are guarded too (UnclaimedNameError).
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
    """Release what is staged, and bring its lines of the ledger to the main branch; returns these lines' entries.

    Raises ReleaseExistsError when the tag's release has other files, StoreError, IndexEntryError, AssetRenamedError
    or HostAnswerError before anything is visible, and VerifyError when what is published cannot be had.
    """
    staged = release_files.load(context.folder(release))
    commit = preflight.commit_of(context.root)
    if not context.rehearsed:
        preflight.check_tag(context.root, release.tag, rehearsed=False)
    context.on_step("draft")
    found = context.site.release_of(release.tag) or context.site.draft(release.tag, commit=commit, notes=release.notes)
    store = GithubStore(site=context.site, release=found)
    if found.draft:
        _fill(context, store, staged)
    context.on_step("compare")
    _compare(release, staged, store.assets())
    if found.draft:
        context.on_step("publish")
        store = GithubStore(site=context.site, release=context.site.publish(found))
    else:
        console.say(f"  {release.tag} is published already, complete and with these very files")
    context.on_step("look")
    entries = tuple(_entry(store, wheel) for wheel in staged.wheels)
    _look(context, store, staged, entries)
    context.on_step("propose")
    console.say(f"  ledger: {propose(context, release, entries)}")
    return entries


def propose(context: ReleaseContext, release: PlannedRelease, entries: tuple[LedgerEntry, ...]) -> str:
    """Bring the entries to the ledger of the main branch, as index.toml says (``ledger_change``)."""

    def apply(tree: Path) -> list[str]:
        ledger.append(tree / LEDGER, entries)
        return [LEDGER]

    files = "".join(f"- {entry.file}\n" for entry in entries)
    change = ProposedChange(
        branch=f"ledger/{release.tag}",
        title=f"Ledger: {release.version}",
        body=f"Lists the files of {context.site.web}/{context.site.host.repo}/releases/tag/{release.tag}:\n\n{files}",
        apply=apply,
    )
    pushed = context.settings.index.ledger_change == "push"
    return pull_request.propose(change, site=context.site, remote=context.remote, push=pushed)


# --- the steps of publishing -----------------------------------------------------------------------------


def _fill(context: ReleaseContext, store: GithubStore, staged: Staged) -> None:
    """Put every file into the draft; what an earlier try left there and is no part of the release is refused."""
    left = {name: asset for name, asset in store.assets().items() if asset.state != UNFINISHED}
    strange = sorted(name for name, asset in left.items() if asset.digest != f"sha256:{staged.sums.get(name)}")
    if strange:
        message = f"the draft {store.release.tag_name} has files that are not ours: {', '.join(strange)}"
        raise ReleaseExistsError(message, remedy=f"Delete the draft ({store.release.html_url}), and run again.")
    for name, asset in store.assets().items():
        if name not in staged.sums:
            context.site.delete(asset)
    for name, sha256 in staged.sums.items():
        context.on_step(f"upload {name}")
        with (staged.folder / name).open("rb") as source:
            store.put(name, source, sha256=sha256)


def _compare(release: PlannedRelease, staged: Staged, assets: dict[str, AssetData]) -> None:
    """ReleaseExistsError unless the release has exactly the staged files: names, sizes and digests."""
    wanted = {name: ((staged.folder / name).stat().st_size, f"sha256:{sum_}") for name, sum_ in staged.sums.items()}
    there = {name: (asset.size, asset.digest) for name, asset in assets.items()}
    wrong = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
    if wrong:
        message = f"the release {release.tag} has other files than {staged.folder}: {', '.join(wrong)}"
        raise ReleaseExistsError(message)


def _entry(store: GithubStore, wheel: Path) -> LedgerEntry:
    """What the ledger will say; its time is that of the release, so that it is the same however often it is asked."""
    record = records.load(records.path_for(wheel))
    uploaded = store.release.published_at or ""
    return listing_rules.entry_from(wheel, record, url=store.url(wheel.name), uploaded=uploaded)


def _look(context: ReleaseContext, store: GithubStore, staged: Staged, entries: tuple[LedgerEntry, ...]) -> None:
    """Ask for every file by its public address, as users will; the host may take a while to show them."""
    named = {asset.name: asset.browser_download_url for asset in store.assets().values()}
    for name in staged.sums:
        if named.get(name) != store.url(name):
            message = f"{name} is published at {named.get(name)}, not at {store.url(name)}"
            raise AssetRenamedError(message, remedy="Delete the release, raise `build`, and release that.")
    deadline = time.monotonic() + context.patience_s
    while True:
        try:
            _look_once(store, staged, entries)
        except VerifyError as error:
            if time.monotonic() + PAUSE_S > deadline:
                raise
            console.say(f"  not yet: {error.message}")
            time.sleep(PAUSE_S)
        else:
            return


def _look_once(store: GithubStore, staged: Staged, entries: tuple[LedgerEntry, ...]) -> None:
    for entry in entries:
        verify.check_asset(entry.url, entry)
    for name, sha256 in staged.sums.items():
        if not name.endswith((".whl", metadata.SIDECAR)):
            answer = web.ask(store.url(name))
            if hashlib.sha256(answer.body).hexdigest() != sha256:
                message = f"{answer.url} answers with status {answer.status}, and not with the file that was released"
                raise VerifyError(message)
