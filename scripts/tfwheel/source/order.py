"""Gathers what a build of TensorFlow from source is to be, before anything is fetched or started."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tfwheel.config import eras
from tfwheel.config.paths import CONFIG_DIR
from tfwheel.source import command
from tfwheel.source.bazel import BazelBuild
from tfwheel.source.errors import RemoteAddressError
from tfwheel.system import digests

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tfwheel.config.eras import Era, FixEntry, SourceEntry
    from tfwheel.config.targets import Target
    from tfwheel.source.command import Option

DOCKERFILE = CONFIG_DIR / "containers" / "source.Dockerfile"
IMAGE = "localhost/tfwheel-source"
VOLUMES = "tfwheel-source"  # how the names of all volumes begin
SCHEMES = re.compile(r"(https?|grpcs?)://[A-Za-z0-9._-]+(:[0-9]+)?(/[^\s@?#]*)?")
HELPER, HELPER_INSIDE = DOCKERFILE.with_name("credential-helper"), PurePosixPath("/tfwheel/credential-helper")
CREDENTIAL = "TFWHEEL_REMOTE_HEADER"  # a variable: the header that a remote cache or executor asks for


@dataclass(frozen=True, kw_only=True)
class Remote:
    """Where Bazel finds a cache that machines share, and who runs its actions; empty without one."""

    cache: str = ""
    executor: str = ""

    def __post_init__(self) -> None:
        """Raise RemoteAddressError for what is no plain address, or has a password in it."""
        for name, address, schemes in (("cache", self.cache, "http, grpc"), ("executor", self.executor, "grpc")):
            if address and (not SCHEMES.fullmatch(address) or address.partition("://")[0].rstrip("s") not in schemes):
                message = f"the address of the remote {name} must begin with one of {schemes}, and have no password"
                raise RemoteAddressError(message)
        if self.has_credential and ": " not in os.environ[CREDENTIAL]:
            message = f"${CREDENTIAL} is no header"
            raise RemoteAddressError(message, remedy="Write it as `Authorization: Bearer ...`.")

    def options(self) -> list[str]:
        """Return Bazel's options for them."""
        found = [f"--remote_cache={self.cache}"] if self.cache else []
        found += [f"--remote_executor={self.executor}"] if self.executor else []
        return [*found, *([f"--credential_helper={HELPER_INSIDE}"] if found and self.has_credential else [])]

    @property
    def has_credential(self) -> bool:
        """Whether this process has a header for them."""
        return bool((self.cache or self.executor) and os.environ.get(CREDENTIAL))


@dataclass(frozen=True, kw_only=True)
class SourceOrder:
    """A build of TensorFlow from source: ``settings`` is the folder of the configuration."""

    target: Target
    era: Era
    entry: SourceEntry
    settings: Path

    @classmethod
    def of(cls, target: Target, settings: Path) -> SourceOrder:
        """Read what is known of it; ConfigError for what no tree of that version can build, or without a tree."""
        entry = eras.source_of(settings, target.tensorflow)
        return cls(target=target, era=eras.era_of(settings, target), entry=entry, settings=settings)

    @property
    def options(self) -> tuple[Option, ...]:
        """The options of Bazel that decide the bytes."""
        return command.options(self.era, self.target)

    @property
    def fixes(self) -> Sequence[FixEntry]:
        """What its CUDA version is known to need changed in the tree."""
        return eras.fixes_of(self.era, self.target.line)

    @property
    def patches(self) -> Sequence[Path]:
        """The patches of the tree, in order."""
        return sorted((self.settings / self.entry.patches).glob("*.patch")) if self.entry.patches else []

    @property
    def image(self) -> str:
        """The name of its build image; another Dockerfile is another image."""
        return f"{IMAGE}:{digests.of_tree(DOCKERFILE)[:12]}"

    def bazel(self, tree: Path, *, jobs: int | None = None, remote: Remote | None = None) -> BazelBuild:
        """Return Bazel's part of it, for a tree that was fetched."""
        return BazelBuild(
            name=f"{VOLUMES}-{self.target.id.replace('.', '-')}",
            shared=VOLUMES,
            tree=tree,
            targets=[self.era.target],
            options=[*(option.flag for option in self.options), *(remote.options() if remote else [])],
            jobs=jobs,
            secrets=[CREDENTIAL] if remote and remote.has_credential else [],
            mounts={HELPER_INSIDE: HELPER} if remote and remote.has_credential else {},
        )
