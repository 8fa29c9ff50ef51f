"""Everything that a release needs, as far as it can be here: a checkout, a host, a repository, downloaded wheels."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import githubapi
import releasing
from releasing import IDS, TAG, VERSION
from tfwheel.index import ledger
from tfwheel.publish import release
from tfwheel.publish.github_api import GithubApi
from tfwheel.publish.github_repository import Repository
from tfwheel.publish.release import ReleaseContext

if TYPE_CHECKING:
    from pathlib import Path

    from githubapi import GitHub


TOKEN = "ghp_very_secret"  # noqa: S105 -- of a server that knows no tokens


class World:
    """A checkout with a tag and the artifacts of its run, a host, and the repository that git pushes to."""

    def __init__(self, folder: Path, github: GitHub) -> None:
        self.github, self.root, self.remote = github, releasing.checkout(folder / "checkout"), folder / "remote.git"
        self.tag()
        github.origin = self.remote
        releasing.download(self.root)
        self.run = github.run(self.commit)
        for target in IDS:
            github.artifact(self.run, f"wheel-{target}")

    @property
    def commit(self) -> str:
        return releasing.git(self.root, "rev-parse", "HEAD")

    def tag(self) -> None:
        """Tag the commit that is checked out, and give the remote its main branch."""
        releasing.git(self.root, "tag", "-f", TAG)
        shutil.rmtree(self.remote, ignore_errors=True)
        releasing.git(self.root, "clone", "-q", "--bare", str(self.root), str(self.remote))

    def context(self, **facts: Any) -> ReleaseContext:  # noqa: ANN401 -- the types of the fields
        repository = Repository(
            api=GithubApi(api=self.github.address, repo=githubapi.REPO, token=TOKEN), web=self.github.address
        )
        values = {"settings": releasing.settings(self.root), "root": self.root, "dist": self.root / "dist"}
        values |= {"repository": repository, "remote": self.remote.as_uri(), "patience_s": 0.0}
        return ReleaseContext(**(values | facts))

    def release(self, **facts: Any) -> tuple[ReleaseContext, tuple[ledger.LedgerEntry, ...]]:  # noqa: ANN401 -- as above
        """Do all three steps."""
        context = self.context(**facts)
        wanted = release.planned(context, VERSION)
        release.check(context, wanted)
        release.stage(context, wanted)
        return context, release.publish(context, wanted)

    def published(self) -> bool:
        return any(not found["draft"] for found in self.github.releases)

    def listed(self, branch: str) -> list[ledger.LedgerEntry]:
        text = releasing.git(self.remote, "show", f"{branch}:index/ledger.jsonl")
        return list(ledger.parse(f"{text}\n".encode() if text else b"", name=branch).entries)


def wheel_in(world: World, artifact: str, folder: str) -> Path:
    """A downloaded wheel."""
    return next((world.root / "dist" / "run" / artifact / folder).glob("*.whl"))
