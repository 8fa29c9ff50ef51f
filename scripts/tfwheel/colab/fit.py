"""Judge whether a wheel fits a runtime, in both directions: what it needs there, and what needs something of it.

Verdicts: ``fits`` (nothing but TensorFlow changes), ``changes`` (other distributions change, and nothing breaks),
``breaks`` (it cannot be installed, cannot be used, or something that worked before does not work after it). What is
wrong in a runtime without the wheel (``faults``) is never held against the wheel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from tfwheel.colab import resolution, snapshots
from tfwheel.colab.resolution import Candidate
from tfwheel.config import gpu_support
from tfwheel.wheel.gencode import is_refused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from packaging.requirements import Requirement

    from tfwheel.colab.distributions import Distributions
    from tfwheel.colab.runtimes import Runtime
    from tfwheel.config.gpu_support import Gpu

FITS, CHANGES, BREAKS = "fits", "changes", "breaks"
PROTOBUF, NUMPY, TENSORFLOW = "protobuf", "numpy", "tensorflow"
# Distributions that install a folder `tensorflow/`: of two, the later one overwrites files of the other.
OWNERS = {
    *("intel-tensorflow", "tensorflow", "tensorflow-cpu", "tensorflow-cuda13", "tensorflow-gpu", "tensorflow-intel"),
    *("tensorflow-macos", "tensorflow-rocm", "tf-nightly", "tf-nightly-cpu"),
}
NUMPY_2_SINCE = Version("2.18")  # the first TensorFlow whose extensions load with numpy 2 (its release notes)
SEVERAL = 3  # of equal reasons, so many are written out


@dataclass(frozen=True, kw_only=True)
class WheelFacts:
    """What a judgement needs to know of a wheel, built or planned.

    ``pythons`` are minor versions ("3.12"), empty for any; ``platforms`` the platform tags. ``gencode`` is the newest
    protobuf that its modules were made with: empty if none says so, None if unknown. ``gpu_code`` maps a kind of GPU
    code to images, as in ``gpu_support``. ``cuda`` is the version of CUDA that it is built with, None without GPU code.
    """

    project: str
    version: str
    pythons: tuple[str, ...]
    platforms: tuple[str, ...]
    requires_python: str = ""
    requires: tuple[str, ...] = ()
    gencode: str | None = None
    gpu_code: Mapping[str, Sequence[str]] = field(default_factory=dict)
    cuda: str | None = None

    @property
    def public(self) -> str:
        """The version without its local label."""
        return self.version.partition("+")[0]


@dataclass(frozen=True, kw_only=True)
class Fit:
    """The judgement about one wheel in one runtime.

    ``broken`` says what would not work, the most telling reason first; ``changes`` lists each other distribution with
    its version before and after (None: not there); ``notes`` are facts that decide nothing, such as a GPU of Colab that
    runs nothing of the wheel; ``unread`` are versions whose requirements are not known. ``installable`` is False where
    an installer would refuse the wheel before it looks at requirements.
    """

    broken: tuple[str, ...] = ()
    changes: tuple[tuple[str, str | None, str | None], ...] = ()
    notes: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    installable: bool = True

    @property
    def verdict(self) -> str:
        """``fits``, ``changes`` or ``breaks``."""
        return BREAKS if self.broken else CHANGES if self.changes else FITS

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is so, the first reason first; empty for a wheel that fits."""
        return (*self.broken, *(_change(*one) for one in self.changes))

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


def of_name(file: str) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
    """Return project, version, Pythons and platforms that the file name of a wheel tells; ValueError if it is none."""
    project, version, _, tags = parse_wheel_filename(file)
    minors = {int(match[1]) for tag in tags if (match := re.fullmatch(r"cp3(\d+)", tag.interpreter))}
    pythons = tuple(f"3.{minor}" for minor in sorted(minors))
    return project, str(version), pythons, tuple(sorted({tag.platform for tag in tags}))


def judge(wheel: WheelFacts, runtime: Runtime, known: Distributions, gpus: Sequence[Gpu] = ()) -> Fit:
    """Judge a wheel in a runtime, with the GPUs that Colab offers; changes nothing and asks nobody."""
    if refused := tuple(_refusals(wheel, runtime)):
        return Fit(broken=refused, installable=False)
    name: str = canonicalize_name(wheel.project)
    asked = Candidate(name=name, version=wheel.version, requires=wheel.requires)
    outcome = resolution.resolve(asked, runtime, known)
    unread = tuple(f"{project} {version}" for project, version in outcome.unread)
    notes = tuple(_notes(wheel, gpus))
    if outcome.chosen is None:
        broken = (f"No set of versions satisfies it: {outcome.conflict}.", *_unusable(wheel, runtime, gpus))
        return Fit(broken=broken, notes=notes, unread=unread)
    before = runtime.installed
    new = resolution.changed(before, outcome.chosen)
    after = before | new
    requires = {name: wheel.requires}
    broken = (
        *_conflicts(before, after, runtime, known, requires),
        *_gencode_faults(wheel, before, after, runtime, known),
        *_unusable(wheel, runtime, gpus),
        *_numpy_faults(wheel, after),
        *_other_owners(name, before),
    )
    changes = tuple((project, before.get(project), version) for project, version in new.items() if project != name)
    return Fit(broken=broken, changes=changes, notes=notes, unread=unread)


def faults(runtime: Runtime, known: Distributions) -> tuple[str, ...]:
    """Return what is wrong in a runtime as it is, without any wheel of ours, as sentences."""
    there = runtime.installed
    return (*_sentences(_unsatisfied(there, runtime, known, {})), *_refusing(there, runtime, known, {}))


def companions(runtime: Runtime, known: Distributions) -> dict[str, str]:
    """Return the installed distributions that require TensorFlow, with their versions, by normalized name."""
    return {
        name: version
        for name, version in sorted(runtime.installed.items())
        for one in resolution.applicable(resolution.requires_of(runtime, known, name, version) or (), runtime)
        if canonicalize_name(one.name) == TENSORFLOW
    }


# --- what an installer refuses ---------------------------------------------------------------------------


def _refusals(wheel: WheelFacts, runtime: Runtime) -> Iterator[str]:
    """Yield why no installer of the runtime takes the file, whatever is installed there."""
    if wheel.pythons and runtime.python_minor not in wheel.pythons:
        yield f"It is for Python {' and '.join(wheel.pythons)}, and this runtime has {runtime.python_minor}."
        return
    if wheel.requires_python and not SpecifierSet(wheel.requires_python).contains(runtime.python, prereleases=True):
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

    ``requires`` are the requirements of what is not installed yet.
    """
    found = {}
    for name, version in there.items():
        texts = requires.get(name)
        if texts is None:
            texts = resolution.requires_of(runtime, known, name, version) or ()
        for one in resolution.applicable(texts, runtime):
            needed = canonicalize_name(one.name)
            has = there.get(needed, "")
            absent = not has and needed not in resolution.HIDDEN and needed not in _unversioned(runtime)
            if absent or (has and not resolution.satisfies(str(one.specifier), has)):
                found[f"{name} {version}", _short(one)] = f"{needed} {has.partition('+')[0]}" if has else ""
    return found


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


# --- protobuf, numpy, CUDA, GPUs -------------------------------------------------------------------------


def _refusing(
    there: Mapping[str, str], runtime: Runtime, known: Distributions, gencodes: Mapping[str, str]
) -> list[str]:
    """Return which distributions have generated modules that refuse the protobuf that is there."""
    protobuf = there.get(PROTOBUF, "")
    if not protobuf or snapshots.version(protobuf) is None:
        return []
    found = []
    for name, version in there.items():
        made = gencodes.get(name)
        if made is None:
            made = runtime.gencode.get(name) if runtime.installed.get(name) == version else None
        made = known.gencode_of(name, version) if made is None else made
        if made and is_refused(made, protobuf):
            words = f"has modules made for protobuf {made}: with protobuf {protobuf} they raise VersionError"
            found.append(f"{name} {version} {words}.")
    return found


def _gencode_faults(
    wheel: WheelFacts, before: Mapping[str, str], after: Mapping[str, str], runtime: Runtime, known: Distributions
) -> list[str]:
    """Return which modules refuse protobuf after the installation and did not before, those of the wheel first."""
    name: str = canonicalize_name(wheel.project)
    refuses = partial(_refusing, runtime=runtime, known=known)
    own = {} if wheel.gencode is None else {name: wheel.gencode}
    old = {line.partition(" has modules")[0] for line in refuses(before, gencodes={})}
    new = [line for line in refuses(after, gencodes=own) if line.partition(" has modules")[0] not in old]
    return sorted(new, key=lambda line: not line.startswith(f"{name} "))


def _numpy_faults(wheel: WheelFacts, after: Mapping[str, str]) -> Iterator[str]:
    """Yield that extensions for numpy 1 meet numpy 2."""
    numpy = snapshots.version(after.get(NUMPY, ""))
    if canonicalize_name(wheel.project) not in OWNERS or numpy is None:
        return
    if Version(wheel.public) < NUMPY_2_SINCE and numpy.major > 1:
        yield f"Its extensions are built for numpy 1, and numpy {numpy} is there."


def _unusable(wheel: WheelFacts, runtime: Runtime, gpus: Sequence[Gpu]) -> Iterator[str]:
    """Yield what keeps the GPU code of a wheel from running in a runtime, whatever is installed by pip."""
    if not wheel.cuda:
        return
    major = wheel.cuda.partition(".")[0]
    there = cuda_majors(runtime)
    if there and major not in there:
        has = " and ".join(sorted(there))
        yield f"It is built with CUDA {wheel.cuda}, and this runtime has the libraries of CUDA {has}."
    floor, loaded = cudnn_floor(wheel.requires), runtime.cudnn.get("pip") or runtime.cudnn.get("apt")
    if floor and loaded and not _is_cudnn_for(loaded, floor):
        yield f"It needs cuDNN {floor} or newer of the same major version, and this runtime loads {loaded}."
    if gpus and wheel.gpu_code and not any(gpu_support.serves(wheel.gpu_code, gpu.capability) for gpu in gpus):
        yield "No GPU of Colab runs its GPU code."


def cuda_majors(runtime: Runtime) -> set[str]:
    """Return the major versions of CUDA whose runtime library is there, from apt or from pip."""
    pip = {found[1] for name in runtime.installed if (found := re.fullmatch(r"nvidia-cuda-runtime-cu(\d+)", name))}
    return pip | ({runtime.cuda.partition(".")[0]} if runtime.cuda else set())


def cudnn_floor(requires: Sequence[str]) -> str | None:
    """Return the cuDNN that a wheel is built with, as its extra ``and-cuda`` says: "9.3.0"; None if it says none."""
    for one in filter(None, map(resolution.parsed, requires)):
        if one.name.startswith("nvidia-cudnn-cu"):
            found = [spec.version for spec in one.specifier if spec.operator in ("==", ">=", "~=")]
            return ".".join(found[0].split(".")[:3]) if found else None
    return None


def _is_cudnn_for(loaded: str, floor: str) -> bool:
    """Return whether a cuDNN serves what was built with ``floor``: same major, not older (TensorFlow's own rule)."""
    there, built = (Version(text) for text in (loaded, floor))
    return there.major == built.major and there.release[:3] >= built.release[:3]


def _notes(wheel: WheelFacts, gpus: Sequence[Gpu]) -> Iterator[str]:
    """Yield which GPUs of Colab run nothing of some kind of the wheel's GPU code."""
    for gpu in gpus if wheel.gpu_code else ():
        if not gpu_support.serves(wheel.gpu_code, gpu.capability):
            yield f"{gpu.label} runs nothing of some of its GPU code."


def _other_owners(name: str, before: Mapping[str, str]) -> Iterator[str]:
    """Yield which other distribution is there whose files it would overwrite."""
    for other in sorted(OWNERS.intersection(before) - {name}) if name in OWNERS else ():
        yield f"{other} {before[other]} is there, too, and both own the folder tensorflow/."
