"""Renders the ledger as the landing page for users, one file with inline style, script and data; pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from packaging.version import Version

from tfwheel.index import command_tables, install_files, page_templates, wheel_groups

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from tfwheel.config.gpu_support import Gpu
    from tfwheel.index.ledger_entry import LedgerEntry

COMMON_ON_LINUX = "GeForce RTX "  # the GPUs that the page offers first to those with a machine of their own


def render(
    entries: Iterable[LedgerEntry],
    listing: Mapping[str, Any],
    *,
    gpus: Sequence[Gpu],
    material: Collection[str] = (),
    documents: bool = False,
    doctor: bool = False,
    repository: str = "",
) -> dict[str, bytes]:
    """Render the landing page as ``{"index.html": bytes}``; entries in any order give equal bytes.

    ``listing`` is what ``wheels.json`` has of these entries and GPUs; of more entries than it has, the page says how
    many. Without a ``base_url`` in it the page uses its own URL, and links to what a command needs if no script runs.
    ``material`` are the paths of the install files that exist; ``documents`` and ``doctor`` say whether the site has
    them; ``repository`` is "owner/name" on GitHub, empty if there is none.
    """
    every = [entry for entry in entries if entry.removed is None]
    wheels = {(wheel["line"], wheel["file"]): wheel for wheel in listing["wheels"]}
    shown = sorted((entry for entry in every if (entry.line, entry.file) in wheels), key=_reading_order, reverse=True)
    pairs = [(wheels[entry.line, entry.file], entry) for entry in shown]
    text = page_templates.template("page.html").render(
        groups=wheel_groups.groups(pairs, listing, gpus=gpus, material=frozenset(material)),
        count=len(shown),
        older=len(every) - len(shown),
        tables=command_tables.tables(listing, gpus),
        runtimes=[_question(runtime) for runtime in listing["runtimes"]],
        pythons=command_tables.pythons(listing),
        usual_python=_usual_python(listing),
        gpus=[_gpu(number, gpu) for number, gpu in enumerate(gpus)],
        capabilities=sorted({gpu["capability"] for gpu in listing["gpus"]}, key=Version),
        projects=list(dict.fromkeys(wheel["project"] for wheel, _ in pairs)),
        links=_links(documents=documents, doctor=doctor, repository=repository),
        doctor=doctor,
        documents=documents,
        base_url=listing["base_url"],
        data=_json(_inline(listing)),
        **page_templates.inlined("style", "page.css", "landing.css"),
        **page_templates.inlined("script", "selector.js", "snippets.js", "answer.js", "page.js"),
    )
    return {"index.html": text.encode()}


def _reading_order(entry: LedgerEntry) -> tuple[str, Version, str, tuple[int, ...], str]:
    """Sort key: project (TensorFlow before its ops, as the order is reversed), version, line, Python."""
    project = f"~{entry.project}" if entry.project == "tensorflow" else entry.project
    minors = tuple(int(python.removeprefix("3.")) for python in install_files.pythons(entry.file))
    return project, Version(entry.version), entry.line, minors, entry.file


def _inline(listing: Mapping[str, Any]) -> dict[str, Any]:
    """Return the listing without requirements, which the script does not read and which are most of it."""
    kept = [{key: value for key, value in wheel.items() if key != "requires"} for wheel in listing["wheels"]]
    return {**listing, "wheels": kept}


def _question(runtime: Mapping[str, Any]) -> dict[str, Any]:
    return {**runtime, "python": runtime["python"].rpartition(".")[0]}


def _usual_python(listing: Mapping[str, Any]) -> str:
    """Return the newest Python that has a wheel, which one's own machine is asked about first."""
    found = {python for wheel in listing["wheels"] for python in wheel["python"]} or command_tables.PYTHONS
    return max(found, key=Version)


def _gpu(number: int, gpu: Gpu) -> dict[str, Any]:
    """Return a GPU as the page offers it: ``place`` says where it is offered by a button of its own."""
    place = "colab" if gpu.colab else "linux" if gpu.name.startswith(COMMON_ON_LINUX) else ""
    card = f" ({gpu.card})" if gpu.card else ""
    capability = "{}.{}".format(*gpu.capability)
    return {
        "number": number,
        "place": place,
        "short": gpu.name.removeprefix("GeForce "),
        "label": f"{gpu.name}{card}, {capability}" + ("" if gpu.machine == "x86_64" else ", ARM"),
        "machine": gpu.machine,
    }


def _links(*, documents: bool, doctor: bool, repository: str) -> list[tuple[str, str]]:
    """Return text and target of the links of header and footer, to what the site has."""
    found = {
        "Documentation": "docs/index.html" if documents else "",
        "Install": "docs/install.html" if documents else "",
        "Doctor": "#doctor" if doctor else "",
        "Verify": "docs/security.html#verify-what-you-download" if documents else "",
        "Build your own": "docs/customise.html" if documents else "",
        "Source": f"https://github.com/{repository}" if repository else "",
    }
    return [(text, target) for text, target in found.items() if target]


def _json(data: Any) -> Markup:  # noqa: ANN401 -- whatever JSON takes
    """Encode JSON for a script element: no ``<`` can end it."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":")).replace("<", "\\u003c")
    return Markup(text)  # noqa: S704 -- escaped in the line above
