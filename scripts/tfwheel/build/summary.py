"""Summarizes a run in Markdown: a row for each wheel, and for each expected wheel that is missing."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfwheel.config import gpu_support, plan
from tfwheel.config.errors import SelectionError
from tfwheel.errors import BadWheelError, UsageError
from tfwheel.system import files
from tfwheel.wheel import records

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tfwheel.config.build_config import Config
    from tfwheel.config.gpu_support import Gpu
    from tfwheel.config.paths import Paths
    from tfwheel.wheel.records import Record

FROM_TESTS = ("smoke-", "gpu-")  # prefixes of the artifacts that smoke-test jobs upload
SHORT = 12  # hexadecimal digits of a digest, enough to compare by eye
COLUMNS = ("result", "target", "wheel", "size", "sha256", "seconds", "from a cache", "gates", "smoke test", "on a GPU")
NOTHING_CAME = "no wheel came of it; the log of its job says why"


@dataclass(frozen=True, kw_only=True)
class SummaryRow:
    """A wheel with its record, or with the reason (``fault``) why a valid record is missing."""

    target: str
    record: Record | None = None
    fault: str = ""

    @property
    def result(self) -> str:
        """The result in one or two words."""
        if self.record is None or self.fault:
            return "missing" if self.fault == NOTHING_CAME else "WRONG"
        if self.record.companions and not self.record.passed_companions:
            return "FAILED"
        if self.record.smoke is None:
            return "not tested"
        failed = not self.record.passed_smoke or (self.record.gpu_smoke and not self.record.passed_gpu_smoke)
        return "FAILED" if failed else "passed"


def refresh(paths: Paths, *, source: Path | None = None, expected: Iterable[str] = ()) -> str:
    """Write ``dist/reports/summary.md`` about the records below ``source`` (default: dist/wheels); returns its text.

    ``source`` may hold the artifacts of a CI run, each in a folder of its own: the records of builds and smoke
    tests are joined. ``expected`` are the folders that must exist (see ``expected``). Raises UsageError if ``source``
    is not a folder.
    """
    if source and not source.is_dir():
        message = f"there is no folder {source}"
        raise UsageError(message)
    gpus = gpu_support.load(paths.settings) if (paths.settings / "gpus.toml").is_file() else ()
    text = render(rows(source or paths.wheels, expected=expected), gpu_support.of_colab(gpus))
    files.write_atomically(paths.dist / "reports" / "summary.md", text.encode())
    return text


def expected(config: Config, words: Iterable[str]) -> list[str]:
    """Return the folders of dist/wheels that targets fill, ops wheels included.

    A word is a target id or a whole CI matrix as JSON; SelectionError for a word that is neither.
    """
    known, found = plan.targets(config), set()
    for word in words:
        for name in _ids_of(word):
            target = plan.find(known, name)
            found |= {target.ops_id} if target.builder == "ops" else {target.id, target.ops_id}
    return sorted(found)


def rows(folder: Path, *, expected: Iterable[str] = ()) -> list[SummaryRow]:
    """Return a row for each record, each fault, and each expected folder without either; sorted by target."""
    built: dict[str, list[Record]] = {}
    tested: dict[str, list[Record]] = {}
    found = []
    for path in sorted(folder.rglob(f"*{records.SUFFIX}")):
        from_test = path.relative_to(folder).parts[0].startswith(FROM_TESTS)
        try:
            record = records.load(path)
        except BadWheelError as error:
            found.append(SummaryRow(target=path.parent.name, fault=error.message))
        else:
            (tested if from_test else built).setdefault(record.target, []).append(record)
    for target in {*built, *tested}:
        found += _rows_of(target, built.get(target, []), tested.get(target, []))
    absent = set(expected) - {row.target for row in found}
    found += [SummaryRow(target=target, fault=NOTHING_CAME) for target in absent]
    return sorted(found, key=lambda row: (row.target, row.fault))


def render(rows: Sequence[SummaryRow], gpus: Sequence[Gpu] = ()) -> str:
    """Render the rows as GitHub-flavoured Markdown; below the table what GPUs run, by the code found, and digests."""
    results = [row.result for row in rows]
    counts = [f"{results.count(word)} {word}" for word in dict.fromkeys(results)]
    ran = sum(bool(row.record and row.record.passed_gpu_smoke) for row in rows)
    lines = ["# Wheels", "", f"{len(rows)} in all: {', '.join(counts) or 'none'}. {ran} passed on a GPU.", ""]
    if rows:
        lines += ["| " + " | ".join(cells) + " |" for cells in (COLUMNS, ["---"] * len(COLUMNS), *map(_cells, rows))]
        lines += ["", *_gpu_table(rows, gpus), *_companions_table(rows)]
        lines += ["<details><summary>In full: digests, sources</summary>", ""]
        lines += [_in_full(row.record) for row in rows if row.record]
        lines += ["", "</details>"]
    return "\n".join([*lines, ""])


# --- from records to rows --------------------------------------------------------------------------------


def _ids_of(word: str) -> list[str]:
    """Return the target ids in a word: one, or those of a matrix (JSON)."""
    if not word.lstrip().startswith("{"):
        return [word.strip()] if word.strip() else []
    try:
        return [row["id"] for row in json.loads(word)["include"]]
    except (ValueError, KeyError, TypeError) as error:
        message = f"not a matrix: {type(error).__name__}: {error}"
        remedy = 'Give target ids, or the output of `nox -s plan -- --event EVENT`: {"include": [{"id": ...}]}.'
        raise SelectionError(message, remedy=remedy) from error


def _rows_of(target: str, built: Sequence[Record], tested: Sequence[Record]) -> list[SummaryRow]:
    """Return one row if all jobs report the same bytes: every Python's job builds the same ops wheel."""
    if not built:
        return [SummaryRow(target=target, fault="a job tested it, and no job built it")]
    worst = min(built, key=lambda record: record.passed_smoke)
    others = sorted({record.sha256 for record in built} - {worst.sha256})
    if others:
        made = ", ".join(digest[:SHORT] for digest in others)
        return [SummaryRow(target=target, record=worst, fault=f"another job made other bytes of it: sha256 {made}")]
    try:
        for record in tested:
            worst = records.joined(worst, record)
    except BadWheelError as error:
        return [SummaryRow(target=target, record=worst, fault=error.message)]
    return [SummaryRow(target=target, record=worst)]


# --- Markdown --------------------------------------------------------------------------------------------


def _cells(row: SummaryRow) -> list[str]:
    record = row.record
    cells = [_text(row.result), _code(row.target)]
    if record is None:
        return [*cells, _text(row.fault), *[""] * (len(COLUMNS) - 3)]
    times = record.times | (record.smoke or {}).get("times", {})
    return [
        *cells,
        _code(record.file) + (f"<br>{_text(row.fault)}" if row.fault else ""),
        f"{record.size / 1e6:,.1f} MB",
        _code(record.sha256[:SHORT]),
        "<br>".join(f"{_text(name)}: {seconds:.1f}" for name, seconds in times.items()),
        _text(", ".join(record.cached) or "nothing"),
        _text(", ".join(record.gates) or "none"),
        _text(_on_cpu(record)),
        _text(_on_gpu(record)),
    ]


def _gpu_table(rows: Sequence[SummaryRow], gpus: Sequence[Gpu]) -> list[str]:
    """Return the table of what GPUs run of the wheels with GPU code; nothing without any."""
    found = [row.record for row in rows if row.record and row.record.gpu_code]
    cells = [
        [_code(record.target), *gpu_support.row(gpu, record.gpu_code, tensorflow="", wheel="", xla=None)[2:-1]]
        for record in found
        for gpu in gpus
    ]
    columns = ("target", *gpu_support.COLUMNS[2:-1])
    table = ["| " + " | ".join(row) + " |" for row in (columns, ["---"] * len(columns), *cells)]
    return ["What each GPU runs of the code that was found in the wheels:", "", *table, ""] if cells else []


def _companions_table(rows: Sequence[SummaryRow]) -> list[str]:
    """Return the table of what was tried beside the wheels; nothing where nothing was."""
    found = [(row.record, row.record.companions) for row in rows if row.record and row.record.companions]
    cells = [
        [
            _code(record.target),
            _text(name),
            _text(one.get("version", "")),
            _text(_of_these_bytes(report, record.sha256, one.get("result", ""))),
            _text(one.get("official", "")),
        ]
        for record, report in found
        for name, one in report.get("projects", {}).items()
    ]
    columns = ("target", "project", "version", "beside the wheel", "beside the official wheel")
    table = ["| " + " | ".join(row) + " |" for row in (columns, ["---"] * len(columns), *cells)]
    return ["Projects that build on TensorFlow, installed beside the wheels:", "", *table, ""] if cells else []


def _in_full(record: Record) -> str:
    """Return one item of the list below the table."""
    facts = [f"sha256 {_code(record.sha256)}"]
    facts += [f"from {_code(record.base['file'])}, sha256 {_code(record.base['sha256'])}"] if record.base else []
    facts += [f"commit {_code(record.source_commit)}"] if record.source_commit else []
    return f"- {_code(record.file)}: {'; '.join(facts)}"


def _on_cpu(record: Record) -> str:
    if record.smoke is None:
        return "not run"
    return _verdict(record.smoke, record.sha256, f"passed with {record.smoke.get('client', 'pip')}")


def _on_gpu(record: Record) -> str:
    if record.gpu_smoke is None:
        return "not run on a GPU"
    gpu = record.gpu_smoke.get("gpu")
    facts = gpu if isinstance(gpu, dict) else {}
    of = [f"driver {facts['driver']}"] if facts.get("driver") else []
    return _verdict(record.gpu_smoke, record.sha256, ", ".join([f"passed on {facts.get('name')}", *of]))


def _verdict(report: dict[str, Any], sha256: str, passed: str) -> str:
    result = passed if report.get("passed") is True else f"failed: {report.get('reason')}"
    return _of_these_bytes(report, sha256, result)


def _of_these_bytes(report: dict[str, Any], sha256: str, result: str) -> str:
    return result if report.get("wheel_sha256") == sha256 else "its report is about other bytes"


def _text(words: str) -> str:
    """Escape words for one line of Markdown: nothing in them is markup."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&$@])", r"\\\1", " ".join(words.split()))


def _code(words: str) -> str:
    """Format a name as code; a bar would end the cell even there, and a backtick the code."""
    return "`" + " ".join(words.split()).replace("`", "'").replace("|", "/") + "`"
