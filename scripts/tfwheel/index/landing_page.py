"""Renders the ledger as the landing page for users, one file with inline style, script and data; pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from tfwheel.index import command_tables, install_files, page_templates, wheel_groups

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from tfwheel.config.colab_runtimes import Runtime
    from tfwheel.config.gpu_support import Gpu
    from tfwheel.config.targets import Line
    from tfwheel.index.ledger_entry import LedgerEntry

MOST_ROWS = 1000  # the newest ones: a page of 100,000 rows would be 150 MB
COMMON_ON_LINUX = "GeForce RTX "  # the GPUs that the page offers first to those with a machine of their own
# Packages of Colab that require the TensorFlow version they were built for.
COMPANIONS = ("tf_keras", "tensorflow-text", "tensorflow-hub", "ydf_tf", "tensorflow_decision_forests")


def render(
    entries: Iterable[LedgerEntry],
    *,
    lines: Mapping[str, Line],
    runtimes: Sequence[Runtime],
    gpus: Sequence[Gpu],
    base_url: str,
    material: Collection[str] = (),
    documents: bool = False,
    doctor: bool = False,
    repository: str = "",
    fits: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, bytes]:
    """Render the landing page as ``{"index.html": bytes}``; entries in any order give equal bytes.

    ``base_url`` is the URL of the site ending with a slash, or empty: then the page uses its own URL, and links to what
    a command needs if no script runs. ``material`` are the paths of the install files that exist; ``documents`` and
    ``doctor`` say whether the site has them; ``repository`` is "owner/name" on GitHub, empty if there is none. ``fits``
    has for each file what it would change in each runtime, as in ``wheels.json``.
    """
    every = sorted(
        (entry for entry in entries if entry.removed is None),
        key=lambda entry: (entry.uploaded, entry.file, entry.line),
    )
    newest = sorted(every[-MOST_ROWS:], key=_reading_order, reverse=True)
    listing = _listing(newest, lines, runtimes, gpus, base_url=base_url, fits=fits or {})
    text = page_templates.template("page.html").render(
        groups=wheel_groups.groups(listing, newest, frozenset(material)),
        count=len(newest),
        older=len(every) - len(newest),
        tables=command_tables.tables(listing),
        runtimes=[_question(runtime) for runtime in listing["runtimes"]],
        pythons=command_tables.pythons(listing),
        usual_python=_usual_python(listing),
        gpus=[_gpu(number, gpu) for number, gpu in enumerate(listing["gpus"])],
        capabilities=sorted({gpu["capability"] for gpu in listing["gpus"]}, key=Version),
        projects=list(dict.fromkeys(wheel["project"] for wheel in listing["wheels"])),
        links=_links(documents=documents, doctor=doctor, repository=repository),
        doctor=doctor,
        base_url=base_url,
        data=_json(listing),
        **page_templates.inlined("style", "page.css", "landing.css"),
        **page_templates.inlined("script", "selector.js", "snippets.js", "page.js"),
    )
    return {"index.html": text.encode()}


def _reading_order(entry: LedgerEntry) -> tuple[str, Version, str, tuple[int, ...], str]:
    """Sort key: project (TensorFlow before its ops, as the order is reversed), version, line, Python."""
    project = f"~{entry.project}" if entry.project == "tensorflow" else entry.project
    minors = tuple(int(python.removeprefix("3.")) for python in install_files.pythons(entry.file))
    return project, Version(entry.version), entry.line, minors, entry.file


def _listing(
    entries: Sequence[LedgerEntry],
    lines: Mapping[str, Line],
    runtimes: Sequence[Runtime],
    gpus: Sequence[Gpu],
    *,
    base_url: str,
    fits: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return what the script and the tables choose from: the same object as ``wheels.json``."""
    present = {entry.line for entry in entries}
    return {
        "meta": {"version": 1},
        "base_url": base_url,
        "gpus": [
            {
                "name": gpu.name,
                "card": gpu.card,
                "capability": "{}.{}".format(*gpu.capability),
                "colab": gpu.colab,
                "machine": gpu.machine,
            }
            for gpu in gpus
        ],
        "lines": [
            {"name": name, "cuda": lines[name].cuda or None if name in lines else None}
            for name in [*(name for name in lines if name in present), *sorted(present - set(lines))]
        ],
        "runtimes": [
            {
                "name": runtime.name,
                "python": runtime.python,
                "glibc": None,
                "driver": None,
                "tensorflow": runtime.tensorflow,
                "newest": number == 0,
                "companions": {name: runtime.version_of(name) for name in COMPANIONS if runtime.version_of(name)},
                "constraints": f"install/{install_files.constraints_name(runtime)}",
            }
            for number, runtime in enumerate(runtimes)
            if runtime.tensorflow
        ],
        "wheels": [
            {
                "project": canonicalize_name(entry.project),
                "version": entry.version,
                "file": entry.file,
                "line": entry.line,
                "href": entry.url or quote(f"{entry.folder}/{entry.file}"),
                "sha256": entry.sha256,
                "size": entry.size,
                "python": list(install_files.pythons(entry.file)),
                "platforms": sorted({tag.platform for tag in parse_wheel_filename(entry.file)[3]}),
                "gpu_code": {kind: list(images) for kind, images in entry.gpu_code.items()},
                "yanked": entry.yanked,
                "uploaded": entry.uploaded,
                "fit": fits.get(entry.file, {}),
            }
            for entry in entries
        ],
    }


def _question(runtime: Mapping[str, Any]) -> dict[str, Any]:
    return {**runtime, "python": runtime["python"].rpartition(".")[0]}


def _usual_python(listing: Mapping[str, Any]) -> str:
    """Return the newest Python that has a wheel, which one's own machine is asked about first."""
    found = {python for wheel in listing["wheels"] for python in wheel["python"]} or command_tables.PYTHONS
    return max(found, key=Version)


def _gpu(number: int, gpu: Mapping[str, Any]) -> dict[str, Any]:
    """Return a GPU as the page offers it: ``place`` says where it is offered by a button of its own."""
    place = "colab" if gpu["colab"] else "linux" if gpu["name"].startswith(COMMON_ON_LINUX) else ""
    card = f" ({gpu['card']})" if gpu["card"] else ""
    machine = "" if gpu["machine"] == "x86_64" else ", ARM"
    return {
        "number": number,
        "place": place,
        "short": gpu["name"].removeprefix("GeForce "),
        "label": f"{gpu['name']}{card}, {gpu['capability']}{machine}",
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
