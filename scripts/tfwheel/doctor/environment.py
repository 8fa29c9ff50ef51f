"""Turns the facts of this machine into the environment that the selector asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfwheel.doctor.facts import has_cuda, normalize, python_words

if TYPE_CHECKING:
    from collections.abc import Mapping


def environment_of(
    facts: Mapping[str, Any], probe: Mapping[str, Any] | None, listing: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the environment for ``select``; ``probe`` is what ``probe_gpu`` found, None if it was not asked.

    Of several GPUs the least capable one counts: TensorFlow uses all of them.
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
        "cuda": has_cuda(facts["libraries"]),
        "installed": facts["distributions"],
        "machine": facts["machine"],
        "venv": facts["venv"],
        "notebook": facts["notebook"],
    }


def runtime_of(facts: Mapping[str, Any], listing: Mapping[str, Any]) -> str | None:
    """Return the name of the runtime that this is, by its Python and the packages built for its TensorFlow, or None.

    Runtimes that are alike in both are told apart by the day in Colab's release tag.
    """
    installed = facts["distributions"]
    alike = [
        runtime
        for runtime in listing["runtimes"]
        if runtime["python"].split(".")[:2] == facts["python"].split(".")[:2]
        and runtime["companions"]
        and all(installed.get(normalize(name)) == version for name, version in runtime["companions"].items())
    ]
    tag = "".join(sign for sign in facts.get("release_tag") or "" if sign.isdigit())[:8]
    if tag and len(alike) > 1:
        older = [one for one in alike if (one["date"] or "").replace("-", "") <= tag]
        alike = older or alike
    return alike[0]["name"] if alike else None
