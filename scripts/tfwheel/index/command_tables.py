"""The command for each runtime, Python and GPU as tables, for readers without a script; pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from packaging.version import Version

from tfwheel.doctor.selector import select

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tfwheel.config.gpu_support import Gpu

    Listing = Mapping[str, Any]

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")  # answered, whether or not there is a wheel for them
BASE = "\0"  # stands for the address of the site in a command
NO_GPU = "no GPU"


def pythons(listing: Listing) -> list[str]:
    """Return the Pythons that users are asked for: the usual ones, and every other one that has a wheel."""
    found = {python for wheel in listing["wheels"] for python in wheel["python"]}
    return sorted({*PYTHONS, *found}, key=Version)


def tables(listing: Listing, gpus: Sequence[Gpu]) -> list[dict[str, Any]]:
    """Return a table per runtime and per Python of one's own machine: title, about, constraints (a path or ""), rows.

    A row says for which GPUs it is, and has a command in parts (see ``parts``), or what to do instead, or both. Without
    wheels there is no table.
    """
    if not listing["wheels"]:
        return []
    listing = {**listing, "wheels": newest_builds(listing["wheels"])}
    of_colab = [gpu for gpu in gpus if gpu.colab]
    own = [gpu for gpu in gpus if gpu.machine == "x86_64"]
    found = []
    for runtime in listing["runtimes"]:
        python = runtime["python"].rpartition(".")[0]
        about = f"Python {python}, TensorFlow {runtime['tensorflow']}" + (", newest known" if runtime["newest"] else "")
        rows = list(_rows(listing, in_colab(runtime), of_colab))
        title = f"Colab {runtime['name']}"
        found.append({"title": title, "about": about, "constraints": runtime["constraints"], "rows": rows})
    for python in pythons(listing):
        about = "Your own x86_64 machine, in a virtual environment"
        rows = list(_rows(listing, on_linux(python), own))
        found.append({"title": f"Linux, Python {python}", "about": about, "constraints": "", "rows": rows})
    return found


def in_colab(runtime: Mapping[str, Any]) -> dict[str, Any]:
    """Return a notebook in a runtime of the listing as an environment of the selector, without a GPU."""
    return {
        "python": runtime["python"].rpartition(".")[0],
        "glibc": runtime["glibc"],
        "driver": runtime["driver"],
        "gpu": None,
        "runtime": runtime["name"],
        "colab": True,
        "cuda": True,
        "installed": None,
        "machine": "x86_64",
        "venv": False,
        "notebook": True,
    }


def on_linux(python: str) -> dict[str, Any]:
    """Return a shell on one's own machine, of which no more than the Python is known, without a GPU."""
    unknown = dict.fromkeys(("glibc", "driver", "gpu", "runtime", "installed"))
    places = dict.fromkeys(("colab", "cuda", "notebook"), False)
    return {"python": python, "machine": "x86_64", "venv": True, **places, **unknown}


def newest_builds(wheels: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return wheels without those that differ from a newer one by the build alone, which are never the answer."""
    same = ("project", "line", "python", "platforms", "gpu_code", "fit")
    found: dict[str, Mapping[str, Any]] = {}
    for wheel in sorted(wheels, key=lambda wheel: Version(wheel["version"])):
        if wheel["yanked"] is None:
            release = Version(wheel["version"]).public
            found[json.dumps([release, *(wheel[key] for key in same)], sort_keys=True)] = wheel
    return list(found.values())


def parts(command: str) -> dict[str, str]:
    """Return a command made with BASE as the text before the address, the line that ends the address, and the rest.

    The line is empty where the command names no index of this site.
    """
    before, _, rest = command.partition(BASE)
    line, _, after = rest.partition("/")
    return {"before": before, "line": line, "after": after}


def _rows(listing: Listing, environment: dict[str, Any], gpus: Sequence[Gpu]) -> Iterator[dict[str, Any]]:
    """Yield a row per answer: GPUs with the same one share it, and a smaller wheel for some has a row of its own."""
    named = [*((gpu.name, "{}.{}".format(*gpu.capability)) for gpu in gpus), (NO_GPU, None)]
    answers = {
        one: select({**environment, "gpu": one}, listing, base=BASE) for one in dict.fromkeys(dict(named).values())
    }
    shared: dict[tuple[str | None, str], list[str]] = {}
    for name, capability in named:
        choice = answers[capability]
        shared.setdefault((choice.command, choice.advice or ""), []).append(name)
        for other in choice.alternatives if choice.wheel else ():
            shared.setdefault((other["command"], f"{other['why']}."), []).append(name)
    for (command, said), names in shared.items():
        yield {"gpus": ", ".join(names), "install": parts(command) if command else None, "said": said}
