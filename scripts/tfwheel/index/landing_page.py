"""Renders the ledger as the landing page for users, one file with inline style, script and data; pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from markupsafe import Markup
from packaging.version import Version

from tfwheel.config import gpu_support
from tfwheel.index import install_files, page_templates

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from tfwheel.colab.runtimes import Runtime
    from tfwheel.config.gpu_support import Gpu
    from tfwheel.config.targets import Line
    from tfwheel.index.ledger_entry import LedgerEntry

MOST_ROWS = 1000  # the newest ones: a page of 100,000 rows would be 150 MB
NEVER, NO_CODE = "never run on a GPU", "no GPU code"
LARGE_MB = 10  # from here on without decimals
# Packages of Colab that require the TensorFlow version they were built for.
COMPANIONS = ("tf_keras", "tensorflow-text", "tensorflow-hub", "ydf_tf", "tensorflow_decision_forests")
COLUMNS = (
    ("wheel", "Wheel"),
    ("python", "Python"),
    ("line", "Line"),
    ("codes", "GPUs"),
    ("size", "Size"),
    ("date", "Date"),
    ("tested", "Tested"),
    ("hash", "SHA-256"),
)


def render(
    entries: Iterable[LedgerEntry],
    *,
    lines: Mapping[str, Line],
    runtimes: Sequence[Runtime],
    gpus: Sequence[Gpu],
    base_url: str,
    material: Collection[str] = (),
    documents: bool = False,
) -> dict[str, bytes]:
    """Render the landing page as ``{"index.html": bytes}``; entries in any order give equal bytes.

    ``base_url`` is the URL of the site ending with a slash, or empty: then the page uses its own URL, or shows ADDRESS/
    if no script runs. ``material`` are the paths of the install files that exist, ``documents`` says whether the site
    has documents.
    """
    every = sorted(
        (entry for entry in entries if entry.removed is None),
        key=lambda entry: (entry.uploaded, entry.file, entry.line),
    )
    newest = every[-MOST_ROWS:]
    rows = [_row(entry, frozenset(material), gpus) for entry in sorted(newest, key=_reading_order, reverse=True)]
    order = {file: place for place, file in enumerate(reversed([row["key"] for row in rows]))}
    text = page_templates.template("page.html").render(
        rows=[row | {"order": order[row["key"]]} for row in rows],
        older=len(every) - len(newest),
        columns=COLUMNS,
        lines=[_line(name, lines.get(name), rows, gpus) for name in _line_names(rows, lines)],
        base=base_url or install_files.ADDRESS,
        base_url=base_url,
        data=_json(_data(rows, lines, runtimes, gpus, base_url)),
        documents=documents,
        **page_templates.inlined("style", "page.css"),
        **page_templates.inlined("script", "page.js"),
    )
    return {"index.html": text.encode()}


def _reading_order(entry: LedgerEntry) -> tuple[str, Version, tuple[int, ...], str, str]:
    """Sort key: project (TensorFlow before its ops, as the order is reversed), version, Python."""
    project = f"~{entry.project}" if entry.project == "tensorflow" else entry.project
    return project, Version(entry.version), _minors(entry), entry.line, entry.file


def _minors(entry: LedgerEntry) -> tuple[int, ...]:
    return tuple(int(python.removeprefix("3.")) for python in install_files.pythons(entry.file))


def _row(entry: LedgerEntry, material: frozenset[str], gpus: Sequence[Gpu]) -> dict[str, Any]:
    """Return all values of one wheel for the template and the script."""
    pythons = install_files.pythons(entry.file)
    return {
        "key": (entry.line, entry.file),
        "project": entry.project,
        "version": entry.version,
        "pin": entry.pin,
        "line": entry.line,
        "file": entry.file,
        "tag": _tag(entry.file),
        "href": entry.url or quote(f"{entry.folder}/{entry.file}"),
        "pythons": pythons,
        "python": ", ".join(pythons) or "any 3",
        "python_order": _minors(entry)[-1] if pythons else 0,
        "gpu_code": entry.gpu_code,
        "codes": _codes(entry.gpu_code),
        "gpus": [gpu.label for gpu in gpus if gpu_support.serves(entry.gpu_code, gpu.capability)],
        "size": entry.size,
        "megabytes": _megabytes(entry.size),
        "uploaded": entry.uploaded,
        "smoke": _smoke(entry.smoke),
        "gpu_smoke": _gpu_smoke(entry.gpu_smoke) if entry.gpu_code else NO_CODE,
        "sha256": entry.sha256,
        "yanked": entry.yanked,
        "material": _material(entry, pythons, material),
    }


def _tag(file: str) -> str:
    """Return the tags of a file name: Python, ABI and the first platform, without aliases of it (PEP 600)."""
    python, abi, platforms = file.removesuffix(".whl").split("-")[-3:]
    return f"{python}-{abi}-{platforms.split('.')[0]}"


def _megabytes(size: int) -> str:
    megabytes = size / 1e6
    return f"{megabytes:.0f}" if megabytes >= LARGE_MB else f"{megabytes:.2f}"


def _codes(gpu_code: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the images of each kind of GPU code that a wheel has, by the kind's name for users; PTX as "ptx_90"."""
    return {
        title: [image.replace("compute_", "ptx_") for image in gpu_code[kind]]
        for kind, title in gpu_support.KINDS.items()
        if gpu_code.get(kind)
    }


def _smoke(report: Mapping[str, Any] | None) -> str:
    """Summarize the CPU smoke test in a few words: with which Python and when, or that it did not pass."""
    if not report:
        return "never run"
    words = [f"Python {report['python']}" if report.get("python") else "", str(report.get("date", ""))[:10]]
    said = ", ".join(word for word in words if word) or "passed"
    return said if report.get("passed") is True else f"not passed, {said}"


def _gpu_smoke(report: Mapping[str, Any] | None) -> str:
    """Summarize the GPU smoke test in a few words: on which GPU and when, or that there was none."""
    gpu = (report or {}).get("gpu")
    name = gpu.get("name") if isinstance(gpu, dict) else gpu
    if not report or not name:
        return NEVER
    said = ", ".join(word for word in (f"GPU: {name}", str(report.get("date", ""))[:10]) if word)
    return said if report.get("passed") is True else f"not passed, {said}"


def _material(entry: LedgerEntry, pythons: Sequence[str], material: frozenset[str]) -> list[tuple[str, str]]:
    """Return file name and link of each existing install file of a wheel."""
    locks = [
        install_files.Lock(
            line=entry.line, project=entry.project, version=entry.version, python=python, requirements="", pylock=""
        )
        for python in pythons
    ]
    paths = [f"{lock.folder}/{name}" for lock in locks for name in (lock.requirements_name, lock.pylock_name)]
    return [(path.rpartition("/")[2], quote(path)) for path in paths if path in material]


def _line_names(rows: Iterable[Mapping[str, Any]], lines: Mapping[str, Line]) -> list[str]:
    """Return the lines that have a wheel, those with CUDA first, in the order of the configuration."""
    known = list(lines)
    present = {row["line"] for row in rows}

    def place(name: str) -> tuple[bool, int, str]:
        line = lines.get(name)
        return not (line and line.cuda), known.index(name) if line else len(known), name

    return sorted(present, key=place)


def _line(name: str, line: Line | None, rows: Iterable[Mapping[str, Any]], gpus: Sequence[Gpu]) -> dict[str, Any]:
    """Return the card of one line: the newest pin, not yanked, for each project, TensorFlow minor and Python.

    Beside each pin is the evidence of its wheels, and on top the GPUs that all of them serve.
    """
    pins: dict[str, list[Mapping[str, Any]]] = {}
    seen: set[tuple[str, tuple[int, ...], str]] = set()
    for row in rows:  # the newest come first
        if row["line"] != name or row["yanked"] is not None:
            continue
        for python in row["pythons"] or ("",):
            place = (row["project"], Version(row["version"]).release[:2], python)
            if place not in seen:
                seen.add(place)
                pins.setdefault(row["pin"], []).insert(0, {**row, "python": python})
    shown = [row for of_pin in pins.values() for row in of_pin]
    return {
        "name": name,
        "title": f"CUDA {line.cuda}" if line and line.cuda else "no CUDA",
        "pins": [
            {"pin": pin, "pythons": _pythons(of_pin), "evidence": _evidence(of_pin)} for pin, of_pin in pins.items()
        ],
        "gpus": [gpu.name for gpu in gpus if shown and all(gpu.label in row["gpus"] for row in shown)],
    }


def _pythons(rows: Iterable[Mapping[str, Any]]) -> str:
    pythons = [row["python"] for row in rows]
    return f"Python {', '.join(pythons)}" if all(pythons) else "any Python 3"


def _evidence(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return what was run of these wheels: each different report once."""
    on_cpu, on_gpu = ("; ".join(dict.fromkeys(row[name] for row in rows)) for name in ("smoke", "gpu_smoke"))
    return f"CPU smoke test: {on_cpu}" + ("" if on_gpu == NO_CODE else f". {on_gpu[0].upper()}{on_gpu[1:]}")


def _data(
    rows: Sequence[Mapping[str, Any]],
    lines: Mapping[str, Line],
    runtimes: Sequence[Runtime],
    gpus: Sequence[Gpu],
    base_url: str,
) -> dict[str, Any]:
    """Return the JSON data for the script of the page."""
    shown = ("project", "version", "line", "tag", "pythons", "yanked", "megabytes")
    codes = list({_code_key(row["gpu_code"]): row["gpu_code"] for row in rows}.values())
    numbers = {_code_key(code): number for number, code in enumerate(codes)}
    pythons = {python for row in rows for python in row["pythons"]}
    return {
        "base": base_url,
        "gpus": [{"name": gpu.label, "capability": "{}.{}".format(*gpu.capability)} for gpu in gpus],
        "lines": [
            {"name": name, "cuda": lines[name].cuda if name in lines else None} for name in _line_names(rows, lines)
        ],
        "projects": list(dict.fromkeys(row["project"] for row in rows)),
        "pythons": sorted(pythons, key=Version, reverse=True),
        "runtimes": [_runtime(runtime) for runtime in runtimes if runtime.tensorflow],
        "gpu_code": [[_answer(code, gpu) for gpu in gpus] for code in codes],
        "wheels": [
            {key: row[key] for key in shown}
            | {"gpu_code": numbers[_code_key(row["gpu_code"])], "evidence": _evidence([row])}
            for row in rows
        ],
    }


def _code_key(gpu_code: Mapping[str, Sequence[str]]) -> str:
    return json.dumps(gpu_code, sort_keys=True)


def _answer(gpu_code: Mapping[str, Sequence[str]], gpu: Gpu) -> dict[str, Any]:
    """Return what a GPU runs of some GPU code, for the script: it shows answers, and has no rule of its own."""
    runs = {kind: found for kind, found in gpu_support.runs(gpu_code, gpu.capability).items() if kind in gpu_code}
    return {
        "runs": [[gpu_support.KINDS[kind], found] for kind, found in runs.items()],
        "serves": gpu_support.serves(gpu_code, gpu.capability),
        "native": bool(runs) and all(found.startswith("SASS") for found in runs.values()),
        **{
            word: [gpu_support.KINDS[kind] for kind, found in runs.items() if found == answer]
            for word, answer in (("nothing", gpu_support.NOTHING), ("jit", gpu_support.JIT))
        },
    }


def _runtime(runtime: Runtime) -> dict[str, Any]:
    versions = {name: runtime.version_of(name) for name in COMPANIONS}
    return {
        "name": runtime.name,
        "python": runtime.python_minor,
        "tensorflow": runtime.tensorflow,
        "companions": [f"{name} {version}" for name, version in versions.items() if version],
        "constraints": f"install/{install_files.constraints_name(runtime)}",
    }


def _json(data: Any) -> Markup:  # noqa: ANN401 -- whatever JSON takes
    """Encode JSON for a script element: no ``<`` can end it."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":")).replace("<", "\\u003c")
    return Markup(text)  # noqa: S704 -- escaped in the line above
