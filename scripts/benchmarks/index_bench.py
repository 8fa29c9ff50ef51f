"""Measures the index and dumb-pypi in the same run: a full tree, and one more release on top of it."""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import product
from typing import TYPE_CHECKING

from rich.table import Table

from benchmarks import build_bench
from tfwheel.config.paths import ROOT
from tfwheel.index import ledger
from tfwheel.index.ledger_entry import Evidence, LedgerEntry
from tfwheel.system import console
from tfwheel.system.files import write_atomically, writing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

PYTHONS = ("cp310", "cp311", "cp312", "cp313", "cp314")  # the wheels of one release
STEP = 500  # files: a hundred projects with one release each
ADDRESS = "https://example.org/wheels/"
# The work of publishing from a ledger to the tree: check every line, render the changes, swap the tree.
PROGRAM = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(ROOT / "scripts")!r})
from tfwheel.index import atomic_tree, ledger, simple_pages
known = ledger.read(Path(sys.argv[1]))
atomic_tree.update(Path(sys.argv[2], "site"), simple_pages.parts(known.entries))
"""
OURS = "this project"
WHO: dict[str, list[str]] = {OURS: [], "dumb-pypi, no per-release JSON": ["--no-per-release-json"], "dumb-pypi": []}
START = datetime(2026, 1, 1, tzinfo=UTC)
GPU_CODE = {
    "fatbin": ("sm_70", "sm_80", "sm_89", "sm_90", "sm_120", "compute_90"),
    "generated": ("sm_70", "sm_80", "sm_120", "compute_90"),
    "ops": ("sm_75", "sm_80", "sm_89", "sm_90", "compute_90"),
}
SMOKE: Evidence = {"passed": True, "python": "3.12.1", "date": "2026-11-21", "gpu": "absent", "client": "pip 24.1.2"}


@dataclass(frozen=True, kw_only=True)
class IndexMeasurement:
    """One measurement, the median of ``runs``: seconds, peak memory in bytes, and files and bytes written."""

    files: int
    projects: int
    what: str
    who: str
    runs: int
    seconds: float
    peak_bytes: int
    written_bytes: int
    written_files: int


def entries(files: int, projects: int, *, more: int = 0) -> list[LedgerEntry]:
    """Return synthetic entries like those of a CUDA index; ``more`` files are added to the first project."""
    per_project = files // projects
    made = [_entry(project, number) for project in range(projects) for number in range(per_project)]
    return made + [_entry(0, number) for number in range(per_project, per_project + more)]


def rows(folder: Path, *, sizes: Sequence[int], runs: int) -> list[IndexMeasurement]:
    """Measure every size with one project and with a hundred; ``folder`` is scratch and deleted afterwards."""
    found = []
    for files, projects in product(sizes, (1, 100)):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for number, more in enumerate((0, len(PYTHONS))):
            listed = entries(files, projects, more=more)
            ledger.write(folder / f"{number}.jsonl", listed)
            _write_package_list(folder / f"{number}.list", listed)
        for who in WHO:
            both = [_run(who, folder, files, projects) for _ in range(runs)]
            found += [_median(rows) for rows in zip(*both, strict=True)]
    shutil.rmtree(folder)
    return found


def report(rows: Sequence[IndexMeasurement], path: Path) -> None:
    """Print the rows as a table, with ratios to this project and growth rates, and write them as JSON."""
    ours = {(row.files, row.projects, row.what): row.seconds for row in rows if row.who == OURS}
    table = Table(
        "files", "projects", "what", "who", "runs", "seconds", "ratio", "peak MB", "written MB", "files written"
    )
    for row in rows:
        ratio = row.seconds / ours[row.files, row.projects, row.what]
        numbers = (
            f"{row.seconds:.2f}",
            f"{ratio:.1f}",
            f"{row.peak_bytes / 1e6:.0f}",
            f"{row.written_bytes / 1e6:.1f}",
        )
        table.add_row(
            f"{row.files:,}", f"{row.projects}", row.what, row.who, f"{row.runs}", *numbers, f"{row.written_files:,}"
        )
    console.show(table)
    growth = list(_growth(rows))
    for line in growth:
        console.say(f"growth, {line}")
    facts = {"cores": os.cpu_count(), "rows": [asdict(row) for row in rows], "growth": growth}
    write_atomically(path, (json.dumps(facts, indent=2) + "\n").encode())
    console.say(f"written to {path}")


def _growth(rows: Sequence[IndexMeasurement]) -> Iterable[str]:
    """Yield how time grows between the two largest sizes, as an exponent of the number of files."""
    sizes = sorted({row.files for row in rows})[-2:]
    kinds = dict.fromkeys((row.who, row.projects, row.what) for row in rows)
    for who, projects, what in kinds if len(sizes) == 2 else ():  # noqa: PLR2004 -- a line needs two points
        small, large = (
            next(
                row.seconds
                for row in rows
                if (row.files, row.who, row.projects, row.what) == (size, who, projects, what)
            )
            for size in sizes
        )
        exponent = math.log(large / small) / math.log(sizes[1] / sizes[0])
        yield f"{who}, {projects} projects, {what}: {sizes[0]:,} to {sizes[1]:,} files: n^{exponent:.2f}"


def _run(who: str, folder: Path, files: int, projects: int) -> list[IndexMeasurement]:
    """Make the full tree, then update it to the list with one more release."""
    found, out = [], folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    for number, what in enumerate(("full", "one release on top")):
        before, argv = _stamps(out), _command(who, folder, number)
        timed = build_bench.measure(work=f"{files:,} files in {projects}, {what}", who=who, steps=[argv], runs=1)
        written = [size for path, (stamp, size) in _stamps(out).items() if before.get(path, (None, 0))[0] != stamp]
        found.append(
            IndexMeasurement(
                files=files,
                projects=projects,
                what=what,
                who=who,
                runs=1,
                seconds=timed.seconds,
                peak_bytes=timed.peak_bytes,
                written_bytes=sum(written),
                written_files=len(written),
            )
        )
    return found


def _median(rows: Sequence[IndexMeasurement]) -> IndexMeasurement:
    """Return the row with the median time; all runs write the same files."""
    middle = sorted(rows, key=lambda row: row.seconds)[(len(rows) - 1) // 2]
    return replace(middle, runs=len(rows))


def _command(who: str, folder: Path, number: int) -> list[str | Path]:
    """Return the command line that makes tree ``number``, or updates the previous tree to it."""
    if who == OURS:
        return [sys.executable, "-c", PROGRAM, folder / f"{number}.jsonl", folder / "out"]
    words: list[str | Path] = [sys.executable, "-m", "dumb_pypi.main", *WHO[who], "--output-dir", folder / "out"]
    words += ["--no-generate-timestamp", "--packages-url", ADDRESS, "--package-list-json", folder / f"{number}.list"]
    if number:
        words += ["--previous-package-list-json", folder / f"{number - 1}.list"]
    return words


def _stamps(folder: Path) -> dict[str, tuple[tuple[int, int], int]]:
    """Return identity (inode, time) and size in bytes of each file in the current tree."""
    root = folder / "site" if (folder / "site").is_symlink() else folder
    found = {path.relative_to(root).as_posix(): path.stat() for path in root.rglob("*") if path.is_file()}
    return {path: ((facts.st_ino, facts.st_mtime_ns), facts.st_size) for path, facts in found.items()}


def _entry(project: int, number: int) -> LedgerEntry:
    release, python = divmod(number, len(PYTHONS))
    name, version = f"demo_{project:03}", f"2.{release // 4}.{release % 4}+cu12{release % 3 + 5}.1"
    tag = PYTHONS[python]
    file = f"{name}-{version}-{tag}-{tag}-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl"
    digest = sha256(file.encode()).hexdigest()
    return LedgerEntry(
        project=name,
        version=version,
        file=file,
        line="cu12",
        url=f"https://example.org/releases/download/v{version.replace('+', '%2B')}/{file.replace('+', '%2B')}",
        sha256=digest,
        size=600_000_000 + number,
        uploaded=f"{START + timedelta(minutes=release):%Y-%m-%dT%H:%M:%SZ}",
        requires_python=">=3.9",
        metadata_sha256=digest,
        target=f"tf{version}-{tag}-cu12",
        gpu_code=GPU_CODE,
        smoke=SMOKE,
    )


def _write_package_list(path: Path, listed: Iterable[LedgerEntry]) -> None:
    """Write the entries in dumb-pypi's format; its timestamps are seconds."""
    with writing(path) as stream:
        for entry in listed:
            facts = {
                "filename": entry.file,
                "hash": f"sha256={entry.sha256}",
                "core_metadata": f"sha256={entry.metadata_sha256}",
                "requires_python": entry.requires_python,
                "upload_timestamp": int(datetime.fromisoformat(entry.uploaded).timestamp()),
            }
            stream.write(json.dumps(facts).encode() + b"\n")
