"""Which wheel of an index a machine should install, by which command, and why not the others.

The page, the doctor and the table of what fits all answer with this one function, or (the page, in JavaScript) are held
to the same table of cases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfwheel.doctor.choice import JIT_TIME, Choice, Place
from tfwheel.doctor.gpu_rules import JIT, KINDS, NONE, runs
from tfwheel.doctor.ways_out import nothing_fits
from tfwheel.doctor.wheel_rules import against, distance, left_to_do, rank, served_by, wish_of, worse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfwheel.doctor.wheel_rules import Wheel, Wish

FEW_GPUS = 2  # up to so many are named


def select(
    environment: Mapping[str, Any],
    listing: Mapping[str, Any],
    *,
    project: str = "tensorflow",
    base: str | None = None,
    installer: str = "pip",
) -> Choice:
    """Choose a wheel of ``listing`` (a wheels.json) for ``environment``, and the command that installs it.

    ``environment`` has "python" ("3.12"), "machine" ("x86_64"; other words for what is not Linux), "glibc", "driver",
    "gpu" (compute capability), "gpu_name", "runtime" (a name of the listing), "installed" (normalized name -> version),
    each None if unknown or absent, and "colab", "venv", "notebook", which are true or false. "cuda" is whether CUDA's
    libraries are there, or a list of those CUDAs whose are (["12"]). ``base`` is the URL of the site with a slash at
    its end, by default the listing's; ``installer`` is "pip" or "uv".
    """
    wish = wish_of(environment, listing, project)
    where = Place(environment, base if base is not None else listing["base_url"], installer, wish.lines)
    faults = [(wheel, against(wheel, wish)) for wheel in listing["wheels"]]
    accepted = sorted((wheel for wheel, fault in faults if fault is None), key=lambda wheel: rank(wheel, wish))
    if not accepted:
        rejected = [(wheel["file"], fault or "") for wheel, fault in faults]
        return nothing_fits(environment, listing, wish, where, rejected)
    best = accepted[0]
    rejected = [(one["file"], fault or worse(one, best, wish)) for one, fault in faults if one is not best]
    return Choice(
        wheel=best,
        command=where.command(best),
        notes=_notes(best, wish, where),
        rejected=rejected,
        alternatives=_smaller(best, accepted, wish, where),
        restart=where.cell and not where.has(best),
    )


def _notes(wheel: Wheel, wish: Wish, where: Place) -> list[str]:
    """Return what to know of the chosen wheel before installing it, a sentence each."""
    notes = []
    if where.has(wheel):
        notes.append(f"{wheel['project']} {wheel['version']} is installed already.")
    if wish.gpu is not None:
        answers = {KINDS[kind]: answer for kind, answer in runs(wheel["gpu_code"], wish.gpu).items() if answer != NONE}
        notes.append(
            f"{wish.gpu_name} runs " + ", ".join(f"{kind}: {answer}" for kind, answer in answers.items()) + "."
        )
        compiled = [kind for kind, answer in answers.items() if answer == JIT]
        if compiled:
            notes.append(f"The driver compiles the PTX ({', '.join(compiled)}) on first use. {JIT_TIME}")
    notes += _fit_notes(wheel, wish)
    if where.brings_cuda(wheel):
        notes.append("[and-cuda] also installs CUDA's libraries, about 2 GB.")
    if where.inner:
        notes.append("Use the pip of that environment: %pip installs beside it, into the runtime.")
    if where.cell and not where.has(wheel):
        notes.append("Restart the session after installing, so that the new version is loaded.")
    return notes


def _fit_notes(wheel: Wheel, wish: Wish) -> list[str]:
    if wish.runtime is None:
        return []
    name, found, notes = wish.runtime["name"], wheel["fit"].get(wish.runtime["name"]), []
    if found is None:
        notes.append(f"Not checked against runtime {name}.")
    elif found["verdict"] == "fits":
        notes.append(f"Fits runtime {name}: no other package changes.")
    else:
        changes = ", ".join(f"{project} {old or 'none'} -> {new or 'none'}" for project, old, new in found["changes"])
        notes.append(f"Changes other packages of runtime {name}: {changes}.")
    if distance(wheel, wish):
        names = ", ".join(f"{name} {version}" for name, version in wish.runtime["companions"].items())
        notes.append(
            f"The runtime has TensorFlow {wish.anchor}; packages built for it may stop working: {names or 'unknown'}."
        )
    return notes


def _smaller(best: Wheel, accepted: Sequence[Wheel], wish: Wish, where: Place) -> list[dict[str, Any]]:
    """Return the smaller wheels of the same release and another line that this GPU runs without compiling."""
    found: list[dict[str, Any]] = []
    for wheel in accepted:
        same = public(wheel) == public(best) and wheel["line"] not in [best["line"], *(one["line"] for one in found)]
        if wish.gpu is None or not same or wheel["size"] >= best["size"] or left_to_do(wheel, wish):
            continue
        why = f"{_only_for(wheel, wish, where)}, {megabytes(wheel)} instead of {megabytes(best)}"
        found.append({"wheel": wheel, "command": where.command(wheel), "why": why, "line": wheel["line"]})
    return [{key: one[key] for key in ("wheel", "command", "why")} for one in found]


def _only_for(wheel: Wheel, wish: Wish, where: Place) -> str:
    """Return for what alone a wheel is: the GPUs of Colab there, elsewhere the compute capabilities; else "smaller"."""
    names = served_by(wheel, wish)
    gpus = [one for one in wish.gpus if one["name"] in names and (one["colab"] or not where.colab)]
    words = list(dict.fromkeys(one["name" if where.colab else "capability"] for one in gpus))
    if not 0 < len(words) <= FEW_GPUS:
        return "smaller"
    return f"{'' if where.colab else 'compute capability '}{', '.join(words)} only"


def public(wheel: Wheel) -> str:
    """Return the version of a wheel without its local label."""
    return str(wheel["version"]).partition("+")[0]


def megabytes(wheel: Wheel) -> str:
    """Return the size of a wheel for users."""
    return f"{wheel['size'] / 1e6:.0f} MB"
