"""Gathers what a build of TensorFlow from source is to be, before anything is fetched or started."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tfwheel.config import build_images, eras
from tfwheel.config.build_images import BuildImage
from tfwheel.source import command
from tfwheel.source.bazel import BazelBuild
from tfwheel.source.errors import RemoteAddressError
from tfwheel.system.files import writing
from tfwheel.wheel import patches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tfwheel.config.eras import Era, FixEntry, SourceEntry
    from tfwheel.config.targets import Target
    from tfwheel.source.command import Option

DOCKERFILE = build_images.FOLDER / "source.Dockerfile"
VOLUMES = "tfwheel-source"  # how the names of all volumes begin
SCHEMES = re.compile(r"[a-z]+://[A-Za-z0-9._-]+(:[0-9]+)?(/[^\s@?#]*)?")
HELPER, HELPER_INSIDE = DOCKERFILE.with_name("credential-helper"), PurePosixPath("/tfwheel/credential-helper")
HEADER_INSIDE, HEADER = PurePosixPath("/tfwheel/header"), re.compile(r"[A-Za-z0-9-]+: [ -~]+")
REMOTES_INSIDE = PurePosixPath("/tfwheel/remotes")
PORTS = {"https": 443, "grpcs": 443, "http": 80, "grpc": 80}  # where an address names none
CREDENTIAL = "TFWHEEL_REMOTE_HEADER"  # a variable: the header that a remote cache or executor asks for


@dataclass(frozen=True, kw_only=True)
class Remote:
    """Where Bazel finds a cache that machines share, and who runs its actions; empty without one.

    ``header`` is one that they ask for. An executor has a cache of its own, from which Bazel takes what it ran before,
    for this build or another one.
    """

    cache: str = ""
    executor: str = ""
    header: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Raise RemoteAddressError for what is no plain address, or has a password in it."""
        for name, address, schemes in (
            ("cache", self.cache, tuple(PORTS)),
            ("executor", self.executor, ("grpcs", "grpc")),
        ):
            if address and address.partition("://")[0] not in schemes:
                message = (
                    f"--remote-{name}: the address must begin with one of {', '.join(f'{one}://' for one in schemes)}"
                )
                raise RemoteAddressError(message, remedy="Write it as in `grpcs://cache.example.org:443`.")
            if address and not address.partition("://")[2]:
                message = f"--remote-{name}: {address} has no host"
                raise RemoteAddressError(message, remedy="Write it as in `grpcs://cache.example.org:443`.")
            if address and not SCHEMES.fullmatch(address):
                message = (
                    f"--remote-{name}: an address is a host with a port and a path; it has no user, password or query"
                )
                raise RemoteAddressError(message)
        if self.header and not HEADER.fullmatch(self.header):
            message = f"${CREDENTIAL} is no header"
            raise RemoteAddressError(message, remedy="Write it as `Authorization: Bearer ...`.")

    def options(self) -> list[str]:
        """Return Bazel's options for them."""
        found = [f"--remote_cache={self.cache}"] if self.cache else []
        # TensorFlow's .bazelrc has `--spawn_strategy=standalone`, with which an executor would run nothing; `local` is
        # for the actions that no executor may run.
        executor = [f"--remote_executor={self.executor}", "--spawn_strategy=remote,local"] if self.executor else []
        return [*found, *executor]

    @property
    def authorities(self) -> list[str]:
        """The servers that get the header, as Bazel may name them: with their port, and without it if it is usual."""
        found = []
        for address in filter(None, (self.cache, self.executor)):
            scheme, _, rest = address.partition("://")
            host, _, port = rest.partition("/")[0].partition(":")
            found += [host] if port in ("", str(PORTS[scheme])) else []
            found += [f"{host}:{port or PORTS[scheme]}"]
        return found

    def mounts(self, work: Path) -> dict[PurePosixPath, Path]:
        """Write the header into a file below ``work`` that only this user can read; return what Bazel is to see.

        Bazel asks its helper for every server, those of its downloads, too: the helper knows which ones get the header.
        """
        if not self.header or not self.authorities:
            return {}
        for name, text in (("header", self.header), ("remotes", "".join(f"{one}\n" for one in self.authorities))):
            with writing(work / name, mode=0o600) as stream:
                stream.write(text.encode())
        return {HELPER_INSIDE: HELPER, HEADER_INSIDE: work / "header", REMOTES_INSIDE: work / "remotes"}


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
    def folder(self) -> Path:
        """The folder of a tree that is not a commit."""
        return (self.settings / str(self.entry.path)).resolve()

    @cached_property
    def tree_identity(self) -> dict[str, str]:
        """What decides the bytes of its tree, as it was when it was asked for first."""
        return eras.identity(self.entry, self.settings)

    @property
    def options(self) -> tuple[Option, ...]:
        """The options of Bazel that decide the bytes."""
        return command.options(self.era, self.target)

    @property
    def fixes(self) -> Sequence[FixEntry]:
        """What its CUDA version is known to need changed in the tree."""
        return eras.fixes_of(self.era, self.target.line)

    @property
    def and_cuda(self) -> Sequence[str]:
        """What the extra ``and-cuda`` of its wheel asks for, unless it is what the tree says."""
        toolkit = eras.toolkit_of(self.era, self.target.line)
        return toolkit.and_cuda if toolkit else []

    @property
    def patches(self) -> Sequence[Path]:
        """The patches of the tree, in order."""
        return patches.patches_of(self.settings / self.entry.patches) if self.entry.patches else []

    @property
    def image(self) -> str:
        """The name of its build image; another Dockerfile is another image."""
        return BuildImage(dockerfile=DOCKERFILE).image

    def bazel(
        self,
        tree: Path,
        *,
        jobs: int | None = None,
        remote: Remote | None = None,
        mounts: Mapping[PurePosixPath, Path] | None = None,
    ) -> BazelBuild:
        """Return Bazel's part of it, for a tree that was brought; ``mounts`` are those of the remote."""
        helper = [f"--credential_helper={HELPER_INSIDE}"] if mounts else []
        return BazelBuild(
            name=f"{VOLUMES}-{self.target.id.replace('.', '-')}",
            shared=VOLUMES,
            tree=tree,
            targets=[self.era.target],
            options=[*(option.flag for option in self.options), *(remote.options() if remote else []), *helper],
            jobs=jobs,
            mounts=mounts or {},
        )
