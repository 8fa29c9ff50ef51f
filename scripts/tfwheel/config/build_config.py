"""Read ``build_config/`` into the project's types and check all of it before any work starts."""

from __future__ import annotations

import difflib
import tomllib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from tfwheel.config.errors import ConfigError
from tfwheel.config.paths import CONFIG_DIR
from tfwheel.config.schema import (
    BaseEntry,
    BasesFile,
    ExclusionEntry,
    IndexSettings,
    LineEntry,
    ReleaseEntry,
    RepairFile,
    Retarget,
    TargetsFile,
)
from tfwheel.config.targets import RESERVED, SESSIONS, Base, Line, RepairRules, is_line_name, session_of

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic_core import ErrorDetails

Parsed = TypeVar("Parsed")


@dataclass(frozen=True, kw_only=True)
class Config:
    """The checked contents of ``build_config/``."""

    directory: Path
    releases: tuple[ReleaseEntry, ...]
    exclusions: tuple[ExclusionEntry, ...]
    lines: dict[str, Line]
    bases: tuple[Base, ...]
    repair: RepairRules
    index: IndexSettings = field(default_factory=IndexSettings)


def load(directory: Path = CONFIG_DIR) -> Config:
    """Read and check every file of the folder; raise ConfigError with file, key and remedy of the first fault."""
    targets = read(directory / "targets.toml", TargetsFile)
    entries = read(directory / "lines.toml", dict[str, LineEntry])
    bases = read(directory / "bases.toml", BasesFile) if (directory / "bases.toml").exists() else BasesFile()
    repair = read(directory / "repair.toml", RepairFile)
    index = read(directory / "index.toml", IndexSettings) if (directory / "index.toml").exists() else IndexSettings()
    lines = {name: _line(name, entry, directory / "lines.toml") for name, entry in entries.items()}
    _check_labels(lines, directory / "lines.toml")
    _check_names(targets, lines, directory / "targets.toml")
    _check_patches(targets, directory / "patches")
    return Config(
        directory=directory,
        releases=tuple(targets.release),
        exclusions=tuple(targets.exclude),
        lines=lines,
        bases=tuple(_base(entry) for entry in bases.base),
        repair=RepairRules(ceiling=repair.ceiling, max_bytes=repair.max_bytes, exclude=tuple(repair.exclude)),
        index=index,
    )


def nearest(word: str, known: list[str]) -> str:
    """Return a hint for a misspelt word: the nearest known word, or all known words."""
    match = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean `{match[0]}`?" if match else f"known: {', '.join(sorted(known)) or 'none'}"


def read(path: Path, shape: type[Parsed]) -> Parsed:
    """Read a TOML file as the type ``shape``; raise ConfigError with the file and each of its faults."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        message = f"{path} is missing"
        raise ConfigError(message) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{path} is not TOML: {error}"
        raise ConfigError(message) from error
    try:
        return TypeAdapter(shape).validate_python(data)
    except ValidationError as error:
        message = "\n".join(f"{path}: {_explain(detail, shape)}" for detail in error.errors())
        raise ConfigError(message) from error


def _explain(detail: ErrorDetails, shape: Any) -> str:  # noqa: ANN401 -- any annotation pydantic takes
    place = ".".join(f"[{part}]" if isinstance(part, int) else str(part) for part in detail["loc"]).replace(".[", "[")
    if detail["type"] == "extra_forbidden":
        return f"unknown key `{place}`; {nearest(str(detail['loc'][-1]), _keys_near(detail['loc'], shape))}"
    if detail["type"] == "missing":
        return f"`{place}` is missing"
    if detail["type"] == "string_type" and type(detail["input"]) in (int, float):
        return f'`{place}` must be quoted: write "{detail["input"]}" (an unquoted 3.10 would be the number 3.1)'
    said = detail["msg"].removeprefix("Value error, ").replace("Tuple", "List")  # TOML has lists
    return f"`{place}`: {said[0].lower()}{said[1:]} (got {detail['input']!r})"


def _keys_near(place: tuple[int | str, ...], shape: Any) -> list[str]:  # noqa: ANN401 -- as above
    """Return the keys that the table at ``place`` may have, according to the JSON schema of the whole file."""
    schema = node = TypeAdapter(shape).json_schema()
    for part in place[:-1]:
        if isinstance(part, int):
            node = node["items"]
        else:
            node = node.get("properties", {}).get(part) or node["additionalProperties"]
        node = next((choice for choice in node.get("anyOf", ()) if "$ref" in choice), node)  # an optional table
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rpartition("/")[2]]
    return list(node["properties"])


def _line(name: str, entry: LineEntry, path: Path) -> Line:
    if name in RESERVED:
        message = f"{path}: `{name}` cannot name a line: the site has a folder of that name"
        raise ConfigError(message, remedy="Choose another name, such as `cu12slim`.")
    if not is_line_name(name):
        message = f"{path}: `{name}` cannot name a line (64 small letters and digits at most: it is part of a URL)"
        raise ConfigError(message)
    if entry.cuda and not (entry.archs or entry.ptx):
        message = f"{path}: `{name}` has a CUDA version but neither `archs` nor `ptx`, so no GPU could run it"
        raise ConfigError(message)
    if not entry.cuda and (entry.archs or entry.ptx or entry.toolkit):
        message = f"{path}: `{name}` has GPU code (`archs`, `ptx`, `toolkit`) but no CUDA version"
        raise ConfigError(message)
    if entry.retarget and not entry.cuda:
        message = f"{path}: `{name}.retarget` is for GPU code, and the line has no CUDA version"
        raise ConfigError(message)
    return Line(
        name=name,
        label=entry.label,
        base=entry.base,
        cuda=entry.cuda,
        archs=tuple(entry.archs),
        ptx=entry.ptx,
        toolkit=tuple(entry.toolkit),
        builder=entry.builder,
        retarget=_retarget(f"{path}: `{name}.retarget", entry.retarget) if entry.retarget else None,
    )


def _retarget(place: str, entry: Retarget) -> Retarget:
    """Check the rules that involve several keys; ``place`` begins the messages."""
    for key, archs in (("archs", entry.archs), ("generated", entry.generated)):
        if len(set(archs)) < len(archs):
            message = f"{place}.{key}` names {max(archs, key=archs.count)} more than once"
            raise ConfigError(message)
    if unknown := [arch for arch in entry.generated if arch not in entry.archs]:
        message = f"{place}.generated` has {unknown[0]}, which `archs` lacks; {nearest(unknown[0], list(entry.archs))}"
        raise ConfigError(message)
    return entry.model_copy(update={"archs": tuple(sorted(entry.archs, key=int))})


def _base(entry: BaseEntry) -> Base:
    return Base(
        project=entry.project,
        version=entry.version,
        python=entry.python,
        file=entry.file,
        sha256=entry.sha256,
        size=entry.size,
        platforms=tuple(entry.platforms),
        requires_python=entry.requires_python,
        requires_dist=tuple(entry.requires_dist),
        runpaths=dict(entry.runpaths),
        archs={library: tuple(found) for library, found in entry.archs.items()},
        families={family: tuple(found) for family, found in entry.families.items()},
    )


def _check_patches(targets: TargetsFile, folder: Path) -> None:
    """Check that each folder of patches is for a TensorFlow version that is built: a misspelt one would do nothing."""
    versions = [release.tensorflow for release in targets.release]
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name not in versions:
            message = f"{path}: targets.toml builds no TensorFlow {path.name}; {nearest(path.name, versions)}"
            raise ConfigError(message, remedy="Name the folder after the version that its patches are for.")


def _check_labels(lines: dict[str, Line], path: Path) -> None:
    """Check that each line has a label of its own: two lines with one label would give their wheels one file name."""
    by_label: dict[str, str] = {}
    for name, line in lines.items():
        other = by_label.setdefault(line.label, name)
        if other != name:
            message = (
                f"{path}: `{other}` and `{name}` have the same label, `{line.label}`, which is part of the version"
            )
            raise ConfigError(
                message, remedy=f"Give `{name}` a label of its own: wheels of both would have one file name."
            )


def _check_names(targets: TargetsFile, lines: dict[str, Line], path: Path) -> None:
    """Check that every line named in targets.toml exists, and that every exclusion removes something."""
    combinations = {
        (release.tensorflow, python, line)
        for release in targets.release
        for python in release.pythons
        for line in release.lines
    }
    for release in targets.release:
        for line in release.lines:
            if line not in lines:
                message = (
                    f"{path}: TensorFlow {release.tensorflow} names the line `{line}`; {nearest(line, list(lines))}"
                )
                raise ConfigError(message)
            if session_of(line) is None and lines[line].builder != "source":
                known = ", ".join(SESSIONS)
                message = f"{path}: no nox session builds the line `{line}`: its name begins with none of {known}"
                raise ConfigError(message, remedy="Rename the line, for example `cu12slim`.")
    for exclusion in targets.exclude:
        if (exclusion.tensorflow, exclusion.python, exclusion.line) not in combinations:
            message = (
                f"{path}: the exclusion of TensorFlow {exclusion.tensorflow}, Python {exclusion.python}, "
                f"line {exclusion.line} matches nothing that a release names"
            )
            raise ConfigError(message)
