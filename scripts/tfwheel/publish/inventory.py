"""Compares the ledger with the wheels in the releases of a repository."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from tfwheel.config import github_limits
from tfwheel.index import listing_rules
from tfwheel.publish import github_api
from tfwheel.publish.errors import InventoryError
from tfwheel.system import console
from tfwheel.wheel import metadata
from tfwheel.wheel.metadata import SIDECAR

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tfwheel.index.ledger_entry import LedgerEntry
    from tfwheel.publish.github_api import AssetData, GithubApi, ReleaseData

DIGEST = "sha256:"
SHOWN = 10  # problems in one message


@dataclass(frozen=True, kw_only=True)
class Asset:
    """A wheel that is published as a release asset, with facts from its sidecar.

    ``size`` is in bytes, ``updated`` in UTC. ``immutable`` says whether the release is locked.
    """

    file: str
    tag: str
    url: str
    sha256: str
    size: int
    updated: str
    immutable: bool
    project: str
    version: str
    requires_python: str
    metadata_sha256: str


def verify(api: GithubApi, entries: Sequence[LedgerEntry]) -> None:
    """Compare the ledger with the releases of a repository, and warn about wheels that the ledger does not list.

    Raises the errors of ``published`` and ``compare``.
    """
    assets = published(api, known=entries)
    for asset in compare(entries, assets):
        console.warn(f"{asset.file} of release {asset.tag} is not in the ledger, so no page lists it")
    console.say(f"{api.repo}: {len(assets)} wheels, each with digest, sidecar and METADATA; the ledger agrees")


def published(api: GithubApi, *, known: Iterable[LedgerEntry] = ()) -> list[Asset]:
    """Return every wheel in the published releases, sorted by file name; drafts are not installable and left out.

    Fail-closed: a wheel without digest, sidecar or readable METADATA, one whose METADATA has another name, one of 2 GiB
    or more, a sidecar without its wheel, a file name in two releases, or a release of more than 1000 assets raises
    InventoryError or IndexEntryError, which names the asset. Raises HostAnswerError when the API cannot be read. The
    sidecar of a wheel that ``known`` (a ledger) lists with the same digest is not fetched again.
    """
    seen = {(entry.file, entry.metadata_sha256): entry for entry in known}
    found: dict[str, Asset] = {}
    for release in api.releases():
        if release.draft:
            continue
        for asset in _wheels(release, api.assets(release), seen):
            other = found.setdefault(asset.file, asset)
            if other is not asset:
                message = f"{asset.file} is in two releases, {other.tag} and {asset.tag}"
                raise InventoryError(message)
    return [found[name] for name in sorted(found)]


def _wheels(
    release: ReleaseData, assets: list[AssetData], seen: Mapping[tuple[str, str], LedgerEntry]
) -> Iterable[Asset]:
    if len(assets) > github_limits.ASSETS_PER_RELEASE:
        message = (
            f"release {release.tag_name} has {len(assets)} assets; GitHub allows {github_limits.ASSETS_PER_RELEASE}"
        )
        raise InventoryError(message, remedy="Publish into another release: each wheel and each sidecar counts.")
    by_name = {asset.name: asset for asset in assets}
    for name in by_name:
        if name.endswith(f".whl{SIDECAR}") and name.removesuffix(SIDECAR) not in by_name:
            raise _fault(release, name, "it is a sidecar without a wheel, which was renamed or never uploaded")
    for name, asset in by_name.items():
        if name.endswith(".whl"):
            sidecar = by_name.get(name + SIDECAR)
            if sidecar is None:
                raise _fault(release, name, f"it has no sidecar: there is no asset `{name}{SIDECAR}`")
            yield _wheel(release, asset, sidecar, seen)


def _wheel(
    release: ReleaseData, asset: AssetData, sidecar: AssetData, seen: Mapping[tuple[str, str], LedgerEntry]
) -> Asset:
    sha256, metadata_sha256 = _digest_of(release, asset), _digest_of(release, sidecar)
    listing_rules.check_size(asset.name, asset.size)
    if sidecar.browser_download_url != asset.browser_download_url + SIDECAR:
        raise _fault(release, asset.name, f"its sidecar is not at its URL + `{SIDECAR}`")
    facts = seen.get((asset.name, metadata_sha256)) or metadata.facts_of(
        asset.name, _content(release, sidecar, metadata_sha256)
    )
    return Asset(
        file=asset.name,
        tag=release.tag_name,
        url=asset.browser_download_url,
        sha256=sha256,
        size=asset.size,
        updated=asset.updated_at,
        immutable=release.immutable,
        project=facts.project,
        version=facts.version,
        requires_python=facts.requires_python,
        metadata_sha256=metadata_sha256,
    )


def _digest_of(release: ReleaseData, asset: AssetData) -> str:
    """Return the sha256 that the host computed; the upload must be finished, and the URL must end with the name."""
    if asset.state != "uploaded":
        raise _fault(release, asset.name, f"its upload was not finished (state `{asset.state}`)")
    address = unquote(urlsplit(asset.browser_download_url).path).rpartition("/")[2]
    if address != asset.name:
        raise _fault(release, asset.name, f"its URL ends with another name, `{address}`")
    if not asset.digest or not asset.digest.startswith(DIGEST):
        raise _fault(release, asset.name, f"it has no sha256 (digest: {asset.digest})")
    return asset.digest.removeprefix(DIGEST)


def _content(release: ReleaseData, asset: AssetData, sha256: str) -> bytes:
    """Fetch a sidecar and compare it with the host's digest: an error page may come with status 200."""
    body = github_api.fetch(asset.browser_download_url).body
    if hashlib.sha256(body).hexdigest() != sha256:
        raise _fault(release, asset.name, f"its URL does not return the stored bytes but {body[:60]!r}")
    return body


def _fault(release: ReleaseData, name: str, reason: str) -> InventoryError:
    return InventoryError(f"release {release.tag_name}, asset {name}: {reason}")


# --- comparison with the ledger --------------------------------------------------------------------------


def compare(entries: Iterable[LedgerEntry], assets: Iterable[Asset]) -> list[Asset]:
    """Compare the ledger's published files with the assets on the host; returns the assets missing in the ledger.

    Raises InventoryError, which names every file that is missing, renamed, or different from the ledger.
    """
    by_name = {asset.file: asset for asset in assets}
    by_digest = {asset.sha256: asset.file for asset in by_name.values()}
    listed = {entry.file: entry for entry in entries if entry.removed is None}
    problems = []
    for entry in listed.values():
        asset = by_name.get(entry.file)
        if asset:
            problems += _contradictions(entry, asset)
        elif entry.sha256 in by_digest:
            problems.append(f"{entry.file}: the host renamed it to {by_digest[entry.sha256]}")
        else:
            problems.append(f"{entry.file}: it is in no release")
    if problems:
        more = f"\n  and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        message = "the releases contradict the ledger:\n  " + "\n  ".join(problems[:SHOWN]) + more
        raise InventoryError(message)
    return [asset for name, asset in by_name.items() if name not in listed]


def _contradictions(entry: LedgerEntry, asset: Asset) -> list[str]:
    names = ("url", "sha256", "size", "metadata_sha256", "requires_python")
    pairs = ((name, getattr(entry, name), getattr(asset, name)) for name in names)
    return [
        f"{entry.file}: {name} is {there!r}, the ledger says {said!r}" for name, said, there in pairs if said != there
    ]
