"""What is against a wheel of an index for a machine, and which of those that fit is best.

A rule is a function that says in a sentence what is against a wheel; the first one counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfwheel.doctor.gpu_rules import JIT, KINDS, NOTHING, runs, serves

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Wheel = dict[str, Any]  # one of the listing's `wheels`
# The oldest driver for programs of a CUDA major (NVIDIA, CUDA Toolkit release notes, "minor version compatibility").
OLDEST_DRIVER = {"12": "525.60.13", "13": "580.65.06"}
STAGES = ("a", "b", "rc")  # of a pre-release, in the order of PEP 440
OLD_NAMES = {"manylinux2014": (2, 17), "manylinux2010": (2, 12), "manylinux1": (2, 5)}  # PEP 600


@dataclass(frozen=True)
class Wish:
    """An environment, read once: ``gpu`` is (major, minor) or None, ``anchor`` the TensorFlow to stay near to.

    ``name`` is the GPU's, None if only its compute capability is known.

    ``runtime`` is the entry of the listing whose packages the command would meet; None in a virtual environment.
    """

    project: str
    python: str
    glibc: str | None
    driver: str | None
    gpu: tuple[int, int] | None
    name: str | None
    runtime: Any
    anchor: str | None
    machine: str
    lines: Any
    gpus: Any

    @property
    def gpu_name(self) -> str:
        """The GPU for users: "T4 (compute capability 7.5)"."""
        capability = "{}.{}".format(*(self.gpu or (0, 0)))
        names = [self.name] if self.name else [one["name"] for one in self.gpus if one["capability"] == capability]
        return f"{names[0]} (compute capability {capability})" if names else f"compute capability {capability}"


# --- rules: what is against a wheel ----------------------------------------------------------------------


def against(wheel: Wheel, wish: Wish) -> str | None:
    """Return the first reason why a wheel does not fit a wish, None if it does."""
    return next(filter(None, (rule(wheel, wish) for rule in RULES)), None)


def _other_project(wheel: Wheel, wish: Wish) -> str | None:
    return None if wheel["project"] == wish.project else f"another package: {wheel['project']}"


def other_machine(wheel: Wheel, wish: Wish) -> str | None:
    """Return whether a wheel is for another kind of machine, in words."""
    platforms = wheel["platforms"]
    if not platforms or any(one == "any" or one.endswith(f"_{wish.machine}") for one in platforms):
        return None
    return f"for x86_64 Linux, and this machine is {wish.machine}"


def _other_python(wheel: Wheel, wish: Wish) -> str | None:
    if not wheel["python"] or wish.python in wheel["python"]:
        return None
    return f"for Python {', '.join(wheel['python'])}, not {wish.python}"


def _old_glibc(wheel: Wheel, wish: Wish) -> str | None:
    needed = glibc_of(wheel)
    if not (needed and wish.glibc) or numbers(wish.glibc)[:2] >= needed:
        return None
    return f"needs glibc {needed[0]}.{needed[1]}, and this machine has {wish.glibc}"


def _yanked(wheel: Wheel, _: Wish) -> str | None:
    if wheel["yanked"] is None:
        return None
    return f"yanked: {wheel['yanked']}" if wheel["yanked"] else "yanked"


def _breaks(wheel: Wheel, wish: Wish) -> str | None:
    found = wheel["fit"].get(wish.runtime["name"]) if wish.runtime else None
    if not found or found["verdict"] != "breaks":
        return None
    reason = found["reasons"][0] if found["reasons"] else "other packages would stop working"
    return f"breaks runtime {wish.runtime['name']}: {reason}"


def no_gpu_code(wheel: Wheel, wish: Wish) -> str | None:
    """Return which code a wheel lacks for the GPU, in words."""
    if wish.gpu is None:
        return None
    answers = runs(wheel["gpu_code"], wish.gpu)
    missing = [KINDS[kind] for kind, answer in answers.items() if answer == NOTHING]
    if missing:
        return f"no code for {wish.gpu_name}: {', '.join(missing)}"
    if serves(wheel["gpu_code"], wish.gpu):
        return None
    return "no GPU code: it would run on the CPU"


def _old_driver(wheel: Wheel, wish: Wish) -> str | None:
    needed, major = oldest_driver(wheel, wish)
    if wish.gpu is None or wish.driver is None or not needed or numbers(wish.driver) >= numbers(needed):
        return None
    return f"CUDA {major} needs driver {needed} or newer, and this machine has {wish.driver}"


RULES: tuple[Callable[[Wheel, Wish], str | None], ...] = (
    _other_project,
    other_machine,
    _other_python,
    _old_glibc,
    _yanked,
    _breaks,
    no_gpu_code,
    _old_driver,
)


# --- order: which of those that fit ----------------------------------------------------------------------


def rank(wheel: Wheel, wish: Wish) -> tuple[Any, ...]:
    """Return the sort key of a wheel that fits, the best first.

    In this order: near to the TensorFlow that is there; no pre-release, as pip chooses; nothing left to compile, or
    without a GPU, no GPU code; a high release; code for many GPUs; a high build.
    """
    public, _, local = wheel["version"].partition("+")
    staged = re.sub("a|b|rc", lambda kind: f".{STAGES.index(kind[0])}.", public)
    release = tuple(-number for number in numbers(staged))
    early = 1 if staged != public else 0
    served = len(served_by(wheel, wish)) if wish.gpu else 0
    build = tuple(-number for number in numbers(local))
    return distance(wheel, wish), early, left_to_do(wheel, wish), release, -served, build, wheel["file"]


def distance(wheel: Wheel, wish: Wish) -> int:
    """Return how many minor versions a wheel is away from the TensorFlow that other packages were installed for."""
    one, other = numbers(wheel["version"]), numbers(wish.anchor or "")
    if len(other) < 2:  # noqa: PLR2004 -- "nightly", or none
        return 0
    return abs(one[0] - other[0]) * 100 + abs(one[1] - other[1])


def left_to_do(wheel: Wheel, wish: Wish) -> int:
    """Return 1 if the driver has PTX to compile, or without a GPU, if there is GPU code; else 0."""
    if wish.gpu is None:
        return 1 if wheel["gpu_code"] else 0
    return 1 if JIT in runs(wheel["gpu_code"], wish.gpu).values() else 0


def served_by(wheel: Wheel, wish: Wish) -> list[str]:
    """Return the names of the GPUs of the listing that a wheel serves."""
    return [one["name"] for one in wish.gpus if serves(wheel["gpu_code"], capability_of(one["capability"]) or (0, 0))]


def worse(wheel: Wheel, best: Wheel, wish: Wish) -> str:
    """Return why a wheel that fits is not the best one: by the first part of ``rank`` that differs."""
    jit = f"the driver would have to compile its PTX, and {best['version']} is native"
    reasons = (
        f"further from TensorFlow {wish.anchor}, which the other packages here are built for",
        f"no final release, unlike {best['version']}",
        jit if wish.gpu else "its GPU code is of no use here, and makes it larger",
        f"older than {best['version']}",
        f"for fewer GPUs than {best['version']}",
        f"older than {best['version']}",
        f"the same as {best['file']}",
    )
    return next(reason for reason, one, two in zip(reasons, rank(wheel, wish), rank(best, wish)) if one != two)


def best_of(environment: Mapping[str, Any], listing: Mapping[str, Any], project: str) -> Any:  # noqa: ANN401 -- as JSON
    """Return the best wheel for an environment, None if none fits."""
    wish = wish_of(environment, listing, project)
    fitting = [wheel for wheel in listing["wheels"] if against(wheel, wish) is None]
    return min(fitting, key=lambda wheel: rank(wheel, wish)) if fitting else None


# --- facts of wheels and versions ------------------------------------------------------------------------


def wish_of(environment: Mapping[str, Any], listing: Mapping[str, Any], project: str) -> Wish:
    """Read an environment, as ``select`` takes it."""
    runtimes = {one["name"]: one for one in listing["runtimes"]}
    inner = bool(environment.get("venv"))
    runtime = None if inner else runtimes.get(environment.get("runtime") or "")
    installed = environment.get("installed") or {}
    known = installed.get("tensorflow") if environment.get("colab") and not inner else None
    return Wish(
        project=project,
        python=environment["python"],
        glibc=environment.get("glibc"),
        driver=environment.get("driver"),
        gpu=capability_of(environment.get("gpu")),
        name=environment.get("gpu_name"),
        runtime=runtime,
        anchor=runtime["tensorflow"] if runtime else known,
        machine=environment.get("machine") or "x86_64",
        lines={line["name"]: line["cuda"] for line in listing["lines"]},
        gpus=listing["gpus"],
    )


def oldest_driver(wheel: Wheel, wish: Wish) -> tuple[str | None, str]:
    """Return the oldest driver for a wheel's CUDA, None without GPU code or if it is unknown, and CUDA's major."""
    cuda = (wish.lines.get(wheel["line"]) or "") if wheel["gpu_code"] else ""
    major = cuda.partition(".")[0]
    return OLDEST_DRIVER.get(major), major


def glibc_of(wheel: Wheel) -> tuple[int, ...] | None:
    """Return the oldest glibc that one of the platforms of a wheel asks for, None if none asks for any."""
    found = []
    for platform in wheel["platforms"]:
        match = re.match(r"manylinux_(\d+)_(\d+)_", platform)
        old = OLD_NAMES.get(platform.partition("_")[0])
        if not match and not old:
            return None
        found.append((int(match[1]), int(match[2])) if match else old or (0, 0))
    return min(found, default=None)


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers in a version, so that "2.20" sorts after "2.9"."""
    return tuple(int(number) for number in re.findall(r"\d{1,9}", version))


def capability_of(text: str | None) -> tuple[int, int] | None:
    """Return a compute capability ("12.0") as numbers, None for none."""
    major, _, minor = (text or "").partition(".")
    return (int(major), int(minor)) if major.isdigit() and minor.isdigit() else None
