"""Turns the facts of this machine into the environment that the selector asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfwheel.doctor.facts import cuda_majors, normalize, python_words

if TYPE_CHECKING:
    from collections.abc import Mapping


ENOUGH = 0.5  # of the companions of a runtime


def environment_of(
    facts: Mapping[str, Any], probe: Mapping[str, Any] | None, listing: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the environment for ``select``; ``probe`` is what ``probe_gpu`` found, None if it was not asked.

    Of several GPUs the least capable one counts: TensorFlow uses all of them. Where ``unknown_gpu`` has a reason, the
    environment is that of a machine without one.
    """
    found = probe or {}
    capabilities = [one["capability"] for one in found.get("gpus") or []]
    return {
        "python": python_words(),
        "glibc": facts["glibc"],
        "driver": found.get("driver") or facts["driver"],
        "gpu": min(capabilities, key=lambda text: [int(part) for part in text.split(".")], default=None),
        "runtime": runtime_of(facts, listing) if facts["colab"] else None,
        "colab": facts["colab"],
        "cuda": cuda_majors(facts["libraries"]),
        "installed": facts["distributions"],
        "machine": facts["machine"],
        "venv": facts["venv"],
        "notebook": facts["notebook"],
    }


def unknown_gpu(probe: Mapping[str, Any] | None) -> str | None:
    """Return why nobody knows whether there is a GPU, None if it is known or was not asked."""
    return None if probe is None or probe["gpus"] is not None else str(probe["error"] or "no answer")


def runtime_of(facts: Mapping[str, Any], listing: Mapping[str, Any]) -> str | None:
    """Return the name of the runtime that this is, by its Python and the packages built for its TensorFlow, or None.

    Users change some of those packages: at least half of them must be as in the runtime. Runtimes that are equally near
    are told apart by the day in Colab's release tag.
    """
    minor = facts["python"].split(".")[:2]
    near = [(_share(facts, one), one) for one in listing["runtimes"] if one["python"].split(".")[:2] == minor]
    best = max((share for share, _ in near), default=0.0)
    if best < ENOUGH:
        return None
    alike = [one for share, one in near if share == best]
    tag = "".join(sign for sign in facts.get("release_tag") or "" if sign.isdigit())[:8]
    older = [one for one in alike if tag and (one["date"] or "").replace("-", "") <= tag]
    return str((older or alike)[0]["name"])


def _share(facts: Mapping[str, Any], runtime: Mapping[str, Any]) -> float:
    """Return how many of a runtime's companions are installed in its version, from 0 to 1."""
    companions, installed = runtime["companions"], facts["distributions"]
    same = sum(installed.get(normalize(name)) == version for name, version in companions.items())
    return same / len(companions) if companions else 0.0
