"""Judge whether a wheel fits a runtime, in both directions: what it needs there, and what needs something of it.

Verdicts: ``fits`` (nothing but TensorFlow changes), ``changes`` (other distributions change, and nothing breaks),
``breaks`` (it cannot be installed, cannot be used, or something that worked before does not work after it). What is
wrong in a runtime without the wheel (``faults``) is never held against the wheel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from packaging.version import Version

from tfwheel.colab import abi, requirements, resolution, snapshots
from tfwheel.colab.resolution import Candidate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from packaging.requirements import Requirement

    from tfwheel.colab.distributions import Distributions
    from tfwheel.colab.runtimes import Runtime
    from tfwheel.colab.wheel_facts import WheelFacts
    from tfwheel.config.gpu_support import Gpu

FITS, CHANGES, BREAKS = "fits", "changes", "breaks"
TENSORFLOW = "tensorflow"
NOT_JUDGED = "Not judged"  # counts as broken: nobody has shown that it works


@dataclass(frozen=True, kw_only=True)
class Fit:
    """The judgement about one wheel in one runtime.

    ``broken`` says what would not work, the most telling reason first; ``changes`` lists each other distribution with
    its version before and after (None: not there); ``notes`` are facts that decide nothing, such as a GPU of Colab that
    runs nothing of the wheel; ``unread`` are versions whose requirements are not known. ``installable`` is False where
    an installer would refuse the wheel before it looks at requirements, ``satisfiable`` where no set of versions
    satisfies these.
    """

    broken: tuple[str, ...] = ()
    changes: tuple[tuple[str, str | None, str | None], ...] = ()
    notes: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    installable: bool = True
    satisfiable: bool = True

    @property
    def verdict(self) -> str:
        """``fits``, ``changes`` or ``breaks``."""
        return BREAKS if self.broken else CHANGES if self.changes else FITS

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is so, the first reason first; empty for a wheel that fits."""
        return (*self.broken, *self.changed)

    @property
    def changed(self) -> tuple[str, ...]:
        """The changes as sentences."""
        return tuple(_change(*one) for one in self.changes)

    @property
    def words(self) -> str:
        """The verdict with its number, for a cell of a table: "fits", "changes 2", "breaks 3"."""
        count = len(self.broken) or len(self.changes)
        return f"{self.verdict} {count}" if count else self.verdict

    def plain(self) -> dict[str, Any]:
        """Return it for JSON: verdict, reasons and changes, as on the site and in a record."""
        return {
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "changes": [list(change) for change in self.changes],
        }


def judge(wheel: WheelFacts, runtime: Runtime, known: Distributions, gpus: Sequence[Gpu] = ()) -> Fit:
    """Judge a wheel in a runtime, with the GPUs that Colab offers; changes nothing and asks nobody."""
    if refused := tuple(_refusals(wheel, runtime)):
        return Fit(broken=refused, installable=False)
    if len(wheel.requires) > snapshots.MOST_REQUIREMENTS:
        return Fit(broken=(f"{NOT_JUDGED}: it has more than {snapshots.MOST_REQUIREMENTS} requirements.",))
    name: str = canonicalize_name(wheel.project)
    asked = Candidate(name=name, version=wheel.version, requires=wheel.requires)
    outcome = resolution.resolve(asked, runtime, known)
    unread = tuple(f"{project} {version}" for project, version in outcome.unread)
    lacking = (f"Nothing is known of {one} for Python {runtime.python_minor}." for one in outcome.unknown)
    unclear = (f"Nobody can evaluate `{one}`." for one in wheel.requires if not requirements.parsed(one))
    notes = (*abi.notes(wheel, gpus), *lacking, *unclear)
    if outcome.chosen is None:
        words = "No set of versions satisfies it" if outcome.answered else NOT_JUDGED
        broken = (f"{words}: {outcome.conflict}.", *abi.unusable(wheel, runtime, gpus))
        return Fit(broken=broken, notes=notes, unread=unread, satisfiable=not outcome.answered)
    before = runtime.installed
    new = resolution.changed(before, outcome.chosen)
    after = before | new
    requires = {name: tuple(one for one in wheel.requires if _name(one) not in outcome.unknown)}
    broken = (
        *_conflicts(before, after, runtime, known, requires),
        *abi.gencode_faults(wheel, before, after, runtime, known),
        *abi.unusable(wheel, runtime, gpus),
        *abi.numpy_faults(wheel, after),
        *_other_owners(name, before),
    )
    changes = tuple((project, before.get(project), version) for project, version in new.items() if project != name)
    return Fit(broken=broken, changes=changes, notes=notes, unread=unread)


def faults(runtime: Runtime, known: Distributions) -> tuple[str, ...]:
    """Return what is wrong in a runtime as it is, without any wheel of ours, as sentences."""
    there = runtime.installed
    return (*_sentences(_unsatisfied(there, runtime, known, {})), *abi.refusing(there, runtime, known, {}))


def unknown(runtime: Runtime, known: Distributions) -> tuple[str, ...]:
    """Return the installed companions whose requirements the data lacks, with their versions: nobody judges those."""
    return tuple(
        f"{name} {version}"
        for name, version in sorted(runtime.installed.items())
        if name in known.requires and resolution.requires_of(runtime, known, name, version) is None
    )


def companions(runtime: Runtime, known: Distributions) -> dict[str, str]:
    """Return the installed distributions that require TensorFlow, with their versions, by normalized name."""
    return {
        name: version
        for name, version in sorted(runtime.installed.items())
        for one in requirements.applicable(resolution.requires_of(runtime, known, name, version) or (), runtime.python)
        if canonicalize_name(one.name) == TENSORFLOW
    }


# --- what an installer refuses ---------------------------------------------------------------------------


def _refusals(wheel: WheelFacts, runtime: Runtime) -> Iterator[str]:
    """Yield why no installer of the runtime takes the file, whatever is installed there."""
    if wheel.pythons and runtime.python_minor not in wheel.pythons:
        yield f"It is for Python {' and '.join(wheel.pythons)}, and this runtime has {runtime.python_minor}."
        return
    if not requirements.satisfies(wheel.requires_python, runtime.python):
        yield f"It requires Python {wheel.requires_python}, and this runtime has {runtime.python}."
    oldest = glibc_of(wheel.platforms)
    if oldest and runtime.glibc and Version(runtime.glibc) < Version(oldest):
        yield f"It is for glibc {oldest} or newer, and this runtime has {runtime.glibc}."
    if wheel.platforms and not any(one == "any" or one.endswith("_x86_64") for one in wheel.platforms):
        yield f"It is for {', '.join(wheel.platforms)}, and Colab is x86_64 Linux."


def glibc_of(platforms: Sequence[str]) -> str | None:
    """Return the oldest glibc that one of these platform tags allows; None if one asks for none, or there are none."""
    legacy = {"manylinux1": "2.5", "manylinux2010": "2.12", "manylinux2014": "2.17"}
    found = []
    for platform in platforms:
        if match := re.fullmatch(r"manylinux_(\d+)_(\d+)_\w+", platform):
            found.append(f"{match[1]}.{match[2]}")
        elif (start := platform.partition("_")[0]) in legacy:
            found.append(legacy[start])
    return min(found, key=Version) if found and len(found) == len(platforms) else None


# --- requirements in both directions ---------------------------------------------------------------------


def _unsatisfied(
    there: Mapping[str, str], runtime: Runtime, known: Distributions, requires: Mapping[str, tuple[str, ...]]
) -> dict[tuple[str, str], str]:
    """Return what ``pip check`` would find: (who, what it requires) and the version that is there, empty for none.

    ``requires`` are the requirements of what is not installed yet. Versions are said without their local label: the
    judgement about a wheel is that about its rebuilds.
    """
    found = {}
    for name, version in there.items():
        who, texts = f"{name} {version.partition('+')[0]}", requires.get(name)
        if texts is None:
            texts = resolution.requires_of(runtime, known, name, version) or ()
        for one in requirements.applicable(texts, runtime.python):
            needed = canonicalize_name(one.name)
            has = there.get(needed, "")
            absent = not has and needed not in resolution.HIDDEN and needed not in _unversioned(runtime)
            if absent or (has and not requirements.satisfies(str(one.specifier), has)):
                found[who, _short(one)] = f"{needed} {has.partition('+')[0]}" if has else ""
    return found


def _name(text: str) -> str:
    """Return the normalized name in a Requires-Dist, empty for one that no installer reads."""
    found = requirements.parsed(text)
    return canonicalize_name(found.name) if found else ""


def _short(requirement: Requirement) -> str:
    """Return a requirement without the single versions that it excludes, where it says more than those."""
    kept = [spec for spec in requirement.specifier if spec.operator != "!="]
    return f"{requirement.name}{','.join(sorted(map(str, kept))) if kept else requirement.specifier}"


def _unversioned(runtime: Runtime) -> set[str]:
    """Return the names that are installed from where no version can be told."""
    return {str(canonicalize_name(name)) for name in runtime.direct} - runtime.installed.keys()


def _conflicts(
    before: Mapping[str, str],
    after: Mapping[str, str],
    runtime: Runtime,
    known: Distributions,
    requires: Mapping[str, tuple[str, ...]],
) -> list[str]:
    """Return the requirements that hold before and not after, those on TensorFlow first."""
    old = _unsatisfied(before, runtime, known, {})
    new = {pair: has for pair, has in _unsatisfied(after, runtime, known, requires).items() if pair not in old}
    ordered = sorted(new, key=lambda pair: (not new[pair].startswith(f"{TENSORFLOW} "), pair))
    return _sentences({pair: new[pair] for pair in ordered})


def _sentences(found: Mapping[tuple[str, str], str]) -> list[str]:
    ends = {pair: f"gets {has}" if has else "it is not there" for pair, has in found.items()}
    return [f"{who} requires {what}, and {end}." for (who, what), end in ends.items()]


def _change(name: str, old: str | None, new: str | None) -> str:
    if old is None:
        return f"{name} {new} is added."
    return f"{name} {old} becomes {new}." if new else f"{name} {old} is removed."


def _other_owners(name: str, before: Mapping[str, str]) -> Iterator[str]:
    """Yield which other distribution is there whose files it would overwrite."""
    for other in sorted(abi.OWNERS.intersection(before) - {name}) if name in abi.OWNERS else ():
        yield f"{other} {before[other]} is there, too, and both own the folder tensorflow/."
