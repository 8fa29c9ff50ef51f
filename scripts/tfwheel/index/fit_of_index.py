"""The facts by which wheels that are built or published are judged in Colab's runtimes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from tfwheel.colab import distributions, wheel_facts
from tfwheel.colab.wheel_facts import PROJECT, WheelFacts
from tfwheel.config.errors import SelectionError
from tfwheel.config.toml_files import nearest
from tfwheel.index import ledger
from tfwheel.wheel import records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tfwheel.colab.distributions import Distributions
    from tfwheel.colab.fit_table import Judge
    from tfwheel.config.build_config import Config
    from tfwheel.config.paths import Paths
    from tfwheel.config.targets import Line
    from tfwheel.index.ledger_entry import LedgerEntry


def of_entry(entry: LedgerEntry, known: Distributions, lines: Mapping[str, Line]) -> WheelFacts:
    """Return the facts of a published wheel; an old line, which does not say them, has those of the official wheel."""
    project, version, pythons, platforms = wheel_facts.named(entry.file)
    public = version.partition("+")[0]
    official = canonicalize_name(project) == PROJECT
    said = known.requires_of(PROJECT, public) if official and entry.requires is None else entry.requires
    return WheelFacts(
        project=project,
        version=version,
        pythons=pythons,
        platforms=platforms,
        requires_python=entry.requires_python,
        requires=said or (),
        gencode=known.gencode_of(PROJECT, public) if official and entry.gencode is None else entry.gencode,
        gpu_code=entry.gpu_code,
        cuda=_cuda(project, lines.get(entry.line), entry.gpu_code),
    )


def fits(
    entries: Iterable[LedgerEntry], judge: Judge, lines: Mapping[str, Line]
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the judgement about each of these wheels for JSON: by file name, and by the runtime's name."""
    return {
        entry.file: {name: one.plain() for name, one in judge.of(of_entry(entry, judge.known, lines)).items()}
        for entry in entries
    }


def published(paths: Paths, config: Config, *, line: str | None = None) -> Iterator[tuple[str, WheelFacts]]:
    """Yield each wheel that the published index shows, by its file name; the errors of reading a ledger.

    Raises SelectionError for a line that neither the configuration nor the index has.
    """
    known = distributions.load(config.directory / "colab")
    entries = ledger.read(paths.published).entries
    _check_line(line, [*config.lines, *(entry.line for entry in entries)])
    for entry in entries:
        if entry.removed is None and line in (None, entry.line):
            yield entry.file, of_entry(entry, known, config.lines)


def built(paths: Paths, config: Config, *, line: str | None = None) -> Iterator[tuple[str, WheelFacts]]:
    """Yield each wheel of ``dist/wheels/``, by its file name; BadWheelError for one that cannot be read.

    Raises SelectionError for a line that neither the configuration nor a wheel there has.
    """
    found = [(wheel, records.beside(wheel)) for wheel in sorted(paths.wheels.glob("*/*.whl"))]
    _check_line(line, [*config.lines, *(record.line for _, record in found)])
    for wheel, record in found:
        if line in (None, record.line):
            cuda = _cuda(record.project, config.lines.get(record.line), record.gpu_code)
            yield wheel.name, wheel_facts.built(wheel, gpu_code=record.gpu_code, cuda=cuda)


def _check_line(line: str | None, lines: Iterable[str]) -> None:
    if line is not None and line not in (known := sorted(set(lines))):
        message = f"there is no line `{line}`; {nearest(line, known)}"
        raise SelectionError(message)


def _cuda(project: str, line: Line | None, gpu_code: Mapping[str, Any]) -> str | None:
    """Return the CUDA that a wheel is built with: TensorFlow's is that of its line, whatever its record says.

    Another project of the line has it only if there is GPU code in it.
    """
    return line.cuda if line and (gpu_code or canonicalize_name(project) == PROJECT) else None
