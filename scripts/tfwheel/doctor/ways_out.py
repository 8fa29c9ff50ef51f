"""What to do where no wheel of an index fits: the official wheel, another runtime or Python, or the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfwheel.doctor.choice import OFFICIAL, Choice, Place
from tfwheel.doctor.gpu_rules import serves
from tfwheel.doctor.wheel_rules import (
    RULES,
    against,
    best_of,
    glibc_of,
    no_gpu_code,
    numbers,
    oldest_driver,
    other_machine,
    wish_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfwheel.doctor.wheel_rules import Wheel, Wish

# The official wheel that has native code for GPUs older than those of this index, read from the file.
OFFICIAL_WHEEL = {"project": "tensorflow", "version": OFFICIAL}
OFFICIAL_PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
OFFICIAL_CODE = {
    "fatbin": ("sm_60", "sm_70", "sm_80", "sm_89", "sm_90", "compute_90"),
    "generated": ("sm_60", "sm_70", "sm_80", "sm_89", "compute_90a"),
}


def nothing_fits(
    environment: Mapping[str, Any],
    listing: Mapping[str, Any],
    wish: Wish,
    where: Place,
    rejected: list[tuple[str, str]],
) -> Choice:
    """Return what to do instead: the official wheel, another runtime or Python, or the CPU."""
    alternatives = _on_the_cpu(environment, listing, wish, where)
    if _unserved(listing, wish) and serves(OFFICIAL_CODE, wish.gpu or (0, 0)):
        kept = wish.anchor and where.colab
        fits = wish.python in OFFICIAL_PYTHONS
        advice = (
            f"Take the official TensorFlow {OFFICIAL}: it has native code for {wish.gpu_name}, and no wheel here has."
        )
        if kept:
            advice = f"Keep the runtime's own TensorFlow {wish.anchor}: no wheel here has code for {wish.gpu_name}."
        elif not fits:
            advice += f" It is there for Python {OFFICIAL_PYTHONS[0]} to {OFFICIAL_PYTHONS[-1]}, not {wish.python}."
        command = where.official() if fits and not kept else None
        return Choice(
            command=command,
            rejected=rejected,
            alternatives=alternatives,
            restart=command is not None and where.cell and not where.has(OFFICIAL_WHEEL),
            advice=advice,
            official=True,
        )
    advice = _advice(environment, listing, wish)
    return Choice(rejected=rejected, alternatives=alternatives, advice=advice)


def _unserved(listing: Mapping[str, Any], wish: Wish) -> bool:
    """Return whether there is a GPU here that no wheel of the project serves, whatever the Python."""
    mine = [wheel for wheel in listing["wheels"] if wheel["project"] == wish.project]
    linux = any(other_machine(wheel, wish) is None for wheel in mine)
    return wish.gpu is not None and bool(mine) and linux and all(no_gpu_code(wheel, wish) for wheel in mine)


def _on_the_cpu(
    environment: Mapping[str, Any], listing: Mapping[str, Any], wish: Wish, where: Place
) -> list[dict[str, Any]]:
    """Return the wheel that would run on this machine's CPU, where only its GPU or driver is in the way."""
    best = best_of({**environment, "gpu": None}, listing, wish.project) if wish.gpu else None
    if best is None:
        return []
    command = Place({**environment, "gpu": None}, where.base, where.installer, where.lines).command(best)
    return [{"wheel": best, "command": command, "why": "runs on the CPU"}]


def _advice(environment: Mapping[str, Any], listing: Mapping[str, Any], wish: Wish) -> str:
    mine = [wheel for wheel in listing["wheels"] if wheel["project"] == wish.project]
    if not mine:
        none = f"This index has no wheel of {wish.project}: check its URL, or ask its owner."
        official = " PyPI may have an official wheel: `pip install tensorflow`."
        return none + (official if wish.project == "tensorflow" else "")
    if all(other_machine(wheel, wish) for wheel in mine):
        windows = " On Windows use WSL2." if "windows" in wish.machine.lower() else ""
        return f"These wheels are for x86_64 Linux.{windows} PyPI may have an official wheel: `pip install tensorflow`."
    if _unserved(listing, wish):
        return f"No TensorFlow from 2.18 on has code for {wish.gpu_name}: it runs on the CPU of this machine."
    name = _other_runtime(environment, listing, wish) if environment.get("colab") else None
    if name:
        return f'Use runtime {name}: in the command palette of Colab, "Change runtime version".'
    return _one_change(environment, listing, wish) or _nearest(listing, wish)


def _other_runtime(environment: Mapping[str, Any], listing: Mapping[str, Any], wish: Wish) -> str | None:
    """Return the newest known runtime in which a wheel fits, None if there is none."""
    for runtime in listing["runtimes"]:
        python = ".".join(runtime["python"].split(".")[:2])
        other = {**environment, "python": python, "glibc": runtime["glibc"], "runtime": runtime["name"], "venv": False}
        if runtime["name"] != environment.get("runtime") and best_of(other, listing, wish.project):
            return str(runtime["name"])
    return None


def _one_change(environment: Mapping[str, Any], listing: Mapping[str, Any], wish: Wish) -> str | None:
    """Return the one thing to change so that a wheel fits, None if one is not enough."""
    pythons = {python for wheel in listing["wheels"] for python in wheel["python"]}
    for python in sorted(pythons, key=numbers, reverse=True):
        if best_of({**environment, "python": python}, listing, wish.project):
            return (
                f"No wheel here is for Python {wish.python}. Make an environment with Python {python} "
                f"(`uv venv --seed --python {python}`), and ask again in it."
            )
    wheel = best_of({**environment, "driver": None}, listing, wish.project)
    if wheel:
        if environment.get("colab"):
            return (
                f"The driver {wish.driver} of this machine is too old, and it comes with Colab: connect to another one."
            )
        return f"Update the NVIDIA driver to {oldest_driver(wheel, wish)[0]} or newer; this machine has {wish.driver}."
    anywhere = wish_of({**environment, "glibc": None}, listing, wish.project)
    fitting = [wheel for wheel in listing["wheels"] if against(wheel, anywhere) is None]
    if fitting:
        needed = min(glibc_of(wheel) or (0, 0) for wheel in fitting)
        newer = f"Use a Linux with glibc {needed[0]}.{needed[1]} or newer, for example in a container"
        return f"{newer}; this machine has {wish.glibc}."
    if wish.runtime and best_of({**environment, "venv": True}, listing, wish.project):
        return "Make a virtual environment (`!uv venv --seed`): there it changes no package of the runtime."
    return None


def _nearest(listing: Mapping[str, Any], wish: Wish) -> str:
    """Return what is against the wheel that passes most rules."""

    def passed(wheel: Wheel) -> int:
        return next((place for place, rule in enumerate(RULES) if rule(wheel, wish)), len(RULES))

    mine = [wheel for wheel in listing["wheels"] if wheel["project"] == wish.project]
    nearest = max(mine, key=passed)
    return f"Nothing in this index fits. The nearest is {nearest['version']}: {against(nearest, wish)}."
