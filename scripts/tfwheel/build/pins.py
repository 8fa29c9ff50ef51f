"""Locks official wheels: measures each base wheel of the targets and writes ``bases.toml``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import tomli_w
from packaging.version import Version

from tfwheel.build import base_facts, official_wheel
from tfwheel.config import plan, xla_data
from tfwheel.config.errors import ConfigError
from tfwheel.retarget import xla_finder
from tfwheel.system import console, pip, scratch
from tfwheel.system.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tfwheel.config.build_config import Config
    from tfwheel.config.targets import Base, Line, Target

HEADER = "# Machine-written by `nox -s update-pins`: the official wheels that are overlaid. To review, not to edit.\n\n"
XLA_HEADER = (
    "# Machine-written by `nox -s xla-ceiling` or `nox -s update-pins`, from the official library: to review.\n"
    "# Offsets are of the file. The build compares symbols and bytes with these before it writes.\n\n"
)
USUAL_PYTHON = "3.11"  # that every TensorFlow from 2.16 to 2.22 has a wheel for


def update(config: Config, targets: Sequence[Target], cache: Path, *, renew: bool = False) -> None:
    """Write ``bases.toml`` with an entry per official wheel that the targets start from, and missing files of ``xla/``.

    Existing entries are kept unless ``renew`` is set, and existing files of ``xla/`` always. Downloads missing wheels
    (about 600 MB each). Raises DownloadError, NoOfficialWheelError or XlaCeilingError; then nothing is written.
    """
    locked = {(base.project, base.version, base.python): base for base in config.bases}
    needed = sorted(
        {(target.line.base, target.tensorflow, target.python) for target in targets if target.builder != "source"},
        key=lambda name: (name[0], Version(name[1]), Version(name[2])),
    )
    entries = []
    for project, version, python in needed:
        known = locked.get((project, version, python))
        entries.append(known if known and not renew else _lock(project, version, python, cache))
    ceilings = _missing_ceilings(config, targets, entries, cache)
    text = HEADER + tomli_w.dumps({"base": [_plain(base) for base in entries]}, multiline_strings=False)
    for ceiling in ceilings:
        _write_ceiling(config.directory / "xla", ceiling)
    write_atomically(config.directory / "bases.toml", text.encode())
    console.say(f"locked {len(entries)} official wheels in {config.directory / 'bases.toml'}")


def update_ceiling(config: Config, version: str, cache: Path, *, python: str | None = None) -> None:
    """Write the file of ``xla/`` of a TensorFlow version, from its official wheel for a Python (None: a locked one).

    Raises ConfigError for a version or Python that cannot be, and where no line asks for a CUDA version, DownloadError,
    NoOfficialWheelError or XlaCeilingError.
    """
    line, wanted = _asking(config, version)
    locked = [base for base in config.bases if (base.project, base.version) == (line.base, version)]
    base = next((one for one in locked if python in (None, one.python)), None)
    with scratch.folder("xla", where=scratch.within(cache)) as work:
        wheel = (
            official_wheel.fetch(base, cache)
            if base
            else pip.download_wheel(project=line.base, version=version, python=python or USUAL_PYTHON, dest=work)
        )
        facts = xla_finder.find(wheel, tensorflow=version, cuda=wanted, work=work)
    _write_ceiling(config.directory / "xla", facts)


def _asking(config: Config, version: str) -> tuple[Line, str]:
    """Return a line of a TensorFlow version, or if there is none any line, that asks XLA for CUDA, and which."""
    lines = [config.lines[name] for one in config.releases if one.tensorflow == version for name in one.lines]
    every = (*lines, *config.lines.values())
    asked = [(line, line.retarget.xla) for line in every if line.retarget and line.retarget.xla]
    if not asked:
        message = "no line of lines.toml says to which CUDA version XLA is to be raised"
        raise ConfigError(message, remedy='Give the [retarget] of a line `xla = "12.8"`.')
    return asked[0]


def _write_ceiling(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write a file of ``xla/``, unless one says the same already, and say what is in it."""
    path = xla_data.path_of(folder, facts["tensorflow"])
    reason = facts.get("unneeded") or facts.get("unsupported") or f"raised to {facts['cuda']} in {facts['member']}"
    kept = path.exists() and _same(xla_data.read(folder, facts["tensorflow"]).model_dump(exclude_none=True), facts)
    if not kept:
        folder.mkdir(exist_ok=True)
        write_atomically(path, (XLA_HEADER + tomli_w.dumps(facts)).encode())
    console.say(f"XLA of TensorFlow {facts['tensorflow']}: {reason} ({path}{', as it was' if kept else ''})")


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two files of ``xla/`` have the build do the same; words in them do not count."""
    words = {"what", "found", "measured", "unneeded", "unsupported"}

    def bare(facts: Mapping[str, Any]) -> dict[str, Any]:
        kept = {key: value for key, value in facts.items() if key not in words and value not in ("", [])}
        edits = [{key: value for key, value in edit.items() if key not in words} for edit in facts.get("edit", ())]
        kinds = {key: bool(facts.get(key)) for key in ("unneeded", "unsupported")}
        return kept | kinds | ({"edit": edits} if edits else {})

    return bare(one) == bare(other)


def _missing_ceilings(
    config: Config, targets: Sequence[Target], entries: Sequence[Base], cache: Path
) -> list[dict[str, Any]]:
    """Return the contents of the files of ``xla/`` that the targets need and that are not there."""
    found: dict[str, dict[str, Any]] = {}
    for target in targets:
        wanted = target.line.retarget.xla if target.line.retarget else None
        if wanted and target.tensorflow not in found and not plan.knows_xla(config, target):
            name = (target.line.base, target.tensorflow, target.python)
            base = next(one for one in entries if (one.project, one.version, one.python) == name)
            wheel = official_wheel.fetch(base, cache)
            with scratch.folder("xla", where=scratch.within(cache)) as work:
                found[target.tensorflow] = xla_finder.find(wheel, tensorflow=target.tensorflow, cuda=wanted, work=work)
    return list(found.values())


def _lock(project: str, version: str, python: str, cache: Path) -> Base:
    """Download one official wheel, measure it, and keep it in the cache for the build."""
    with scratch.folder("download", where=scratch.within(cache)) as folder:
        wheel = pip.download_wheel(project=project, version=version, python=python, dest=folder)
        with console.step(f"measure {wheel.name}"):
            base = base_facts.measure(wheel, project=project, version=version, python=python, scratch=folder)
        kept = cache / "bases" / base.sha256 / base.file
        kept.parent.mkdir(parents=True, exist_ok=True)
        wheel.replace(kept)
    return base


def _plain(base: Base) -> dict[str, object]:
    """Return the entry for TOML: lists for tuples, empty tables left out."""
    entry = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(base).items()}
    entry["archs"] = {library: list(found) for library, found in base.archs.items()}
    entry["families"] = {family: list(found) for family, found in base.families.items()}
    return {key: value for key, value in entry.items() if value not in ({}, "")}
