"""What an installer would change in a runtime: pip's own algorithm, on the data of this repository.

Like ``pip install`` without ``--upgrade``, and like ``uv pip install``: what is installed stays where it satisfies what
is asked for, else the newest version that does takes its place; a distribution that nothing asked for is not looked at.
The order in which names are decided is that of pip 24.1.2 (``PipProvider.get_preference``), which Colab has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from resolvelib import AbstractProvider, BaseReporter, ResolutionError, ResolutionImpossible, Resolver

from tfwheel.colab import snapshots
from tfwheel.colab.requirements import applicable, satisfies

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tfwheel.colab.distributions import Distributions
    from tfwheel.colab.runtimes import Runtime

ROUNDS = 2000  # the real wheels in the real runtimes take 40; more would take minutes where versions are many
HIDDEN = ("pip", "setuptools", "wheel", "distribute")  # `pip freeze` leaves them out, though they are there


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A version that may be installed, with the extras that are asked of it."""

    name: str
    version: str
    extras: frozenset[str] = frozenset()
    requires: tuple[str, ...] = ()

    @property
    def identifier(self) -> str:
        """The name with its extras."""
        return _identifier(self.name, self.extras)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What an installer would do.

    ``chosen`` are the versions that it would leave installed of what it looked at, by normalized name; None if no set
    of versions satisfies everything, and then ``conflict`` says what contradicts what. ``unread`` are versions whose
    requirements are not in the data; ``unknown`` are projects whose versions for this Python are not, and what is
    required of them is left out. ``answered`` is False where nobody can say in a reasonable time.
    """

    chosen: dict[str, str] | None
    answered: bool = True
    conflict: str = ""
    unread: tuple[tuple[str, str], ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class World:
    """What an installer can see: a runtime, the index, and the wheel that is asked for."""

    runtime: Runtime
    known: Distributions
    wheel: Candidate
    unread: set[tuple[str, str]] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)

    def requires_of(self, name: str, version: str) -> tuple[str, ...]:
        """Return the Requires-Dist of a version, empty and noted if it is not known."""
        found = requires_of(self.runtime, self.known, name, version)
        if found is None:
            self.unread.add((name, version))
        return found or ()

    def versions_of(self, name: str) -> Iterator[str]:
        """Yield what is there of a project in the order of preference: what is installed, then the newest first."""
        if name == self.wheel.name:
            yield self.wheel.version
            return
        installed = self.runtime.installed.get(name)
        if installed is not None:
            yield installed
        offered = self.known.offered(name, self.runtime.python_minor)
        yield from (version for version in offered or () if version != installed)

    def is_known(self, requirement: Requirement) -> bool:
        """Return whether it can be told what satisfies a requirement; what cannot is noted."""
        name = canonicalize_name(requirement.name)
        installed = self.runtime.installed.get(name, "")
        stays = bool(installed) and satisfies(str(requirement.specifier), installed)
        if stays or name == self.wheel.name or self.known.offered(name, self.runtime.python_minor) is not None:
            return True
        self.unknown.add(name)
        return False


def requires_of(runtime: Runtime, known: Distributions, name: str, version: str) -> tuple[str, ...] | None:
    """Return the Requires-Dist of a version: of an installed one as a snapshot has it, else as the data has it."""
    if name in runtime.requires and runtime.installed.get(name) == version:
        return runtime.requires[name]
    return known.requires_of(name, version)


def resolve(wheel: Candidate, runtime: Runtime, known: Distributions) -> Outcome:
    """Return what an installer would do if a runtime's user asked it for exactly this wheel."""
    world = World(runtime=runtime, known=known, wheel=wheel)
    resolver = Resolver(_Provider(world), _Reporter())
    chosen, conflict, answered = None, "", True
    try:
        asked = Requirement(_identifier(wheel.name, wheel.extras) + f"=={wheel.version}")
        found = resolver.resolve([asked], max_rounds=ROUNDS)
        chosen = {candidate.name: candidate.version for candidate in found.mapping.values()}
    except ResolutionImpossible as error:
        conflict = _conflict(error.causes)
    except ResolutionError:  # too many rounds
        conflict, answered = f"pip's algorithm has no answer after {ROUNDS} rounds", False
    return Outcome(
        chosen=chosen,
        answered=answered,
        conflict=conflict,
        unread=tuple(sorted(world.unread)),
        unknown=tuple(sorted(world.unknown)),
    )


def _identifier(name: str, extras: Iterable[str]) -> str:
    return f"{name}[{','.join(sorted(extras))}]" if extras else name


class _Reporter(BaseReporter[Requirement, Candidate, str]):
    """Reports nothing."""


class _Provider(AbstractProvider[Requirement, Candidate, str]):
    """pip's choices, for resolvelib."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._depths: dict[str, float] = {}

    def identify(self, requirement_or_candidate: Requirement | Candidate) -> str:
        if isinstance(requirement_or_candidate, Candidate):
            return requirement_or_candidate.identifier
        return _identifier(canonicalize_name(requirement_or_candidate.name), requirement_or_candidate.extras)

    def get_preference(
        self,
        identifier: str,
        resolutions: Mapping[str, Candidate],  # noqa: ARG002 -- resolvelib's
        candidates: Mapping[str, Iterator[Candidate]],  # noqa: ARG002 -- resolvelib's
        information: Mapping[str, Iterator[Any]],
        backtrack_causes: Sequence[Any],
    ) -> Any:  # noqa: ANN401 -- resolvelib's
        known = list(information[identifier])
        operators = [spec.operator for one in known for spec in one.requirement.specifier]
        depth = min((self._depths.get(one.parent.identifier, math.inf) if one.parent else 0.0) for one in known) + 1.0
        self._depths[identifier] = depth
        return (
            not any(operator.startswith("==") for operator in operators),
            not self._is_cause(identifier, backtrack_causes),
            depth,
            not operators,
            identifier,
        )

    def _is_cause(self, identifier: str, causes: Sequence[Any]) -> bool:
        return any(
            identifier in (self.identify(cause.requirement), cause.parent.identifier if cause.parent else None)
            for cause in causes
        )

    def find_matches(
        self,
        identifier: str,
        requirements: Mapping[str, Iterator[Requirement]],
        incompatibilities: Mapping[str, Iterator[Candidate]],
    ) -> Iterable[Candidate]:
        asked = list(requirements[identifier])
        base = identifier.partition("[")[0]
        if base != identifier:
            asked += requirements.get(base, ())
        refused = {candidate.version for candidate in incompatibilities[identifier]}
        extras = frozenset(extra for one in asked for extra in one.extras) if base != identifier else frozenset()
        return lambda: self._matches(base, extras, asked, refused)  # type: ignore[return-value]  # resolvelib's: lazily

    def _matches(
        self, name: str, extras: frozenset[str], asked: list[Requirement], refused: set[str]
    ) -> Iterator[Candidate]:
        for version in self._world.versions_of(name):
            if version not in refused and all(satisfies(str(one.specifier), version) for one in asked):
                yield self._candidate(name, version, extras)

    def _candidate(self, name: str, version: str, extras: frozenset[str]) -> Candidate:
        wheel = self._world.wheel
        requires = wheel.requires if name == wheel.name else self._world.requires_of(name, version)
        return Candidate(name=name, version=version, extras=extras, requires=requires)

    def is_satisfied_by(self, requirement: Requirement, candidate: Candidate) -> bool:
        return satisfies(str(requirement.specifier), candidate.version)

    def get_dependencies(self, candidate: Candidate) -> Iterable[Requirement]:
        runtime = self._world.runtime
        found = applicable(candidate.requires, runtime.python, candidate.extras)
        if candidate.extras:
            found.append(Requirement(f"{candidate.name}=={candidate.version}"))
        hidden = [name for name in HIDDEN if name not in runtime.installed]
        return [one for one in found if canonicalize_name(one.name) not in hidden and self._world.is_known(one)]


def _conflict(causes: Iterable[Any]) -> str:
    """Say what contradicts what: each requirement once, with who has it."""
    words = [
        f"{cause.parent.name} {cause.parent.version} requires {cause.requirement}"
        if cause.parent
        else f"{cause.requirement} is asked for"
        for cause in causes
    ]
    return "; ".join(dict.fromkeys(words))


def changed(before: Mapping[str, str], chosen: Mapping[str, str]) -> dict[str, str]:
    """Return those versions of ``chosen`` that are not installed, by name."""
    return {name: new for name, new in sorted(chosen.items()) if not _same(before.get(name), new)}


def _same(one: str | None, other: str) -> bool:
    return one is not None and (one == other or (snapshots.version(one) or one) == (snapshots.version(other) or other))
