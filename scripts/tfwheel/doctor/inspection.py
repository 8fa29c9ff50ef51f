"""What is installed now: whose TensorFlow it is, which of its files were changed, its GPU code and its tools."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfwheel.doctor.facts import normalize, shadowed_libraries
from tfwheel.doctor.fatbins import common_code, gpu_code_of
from tfwheel.doctor.files import found_in, is_there
from tfwheel.doctor.gpu_rules import KINDS, NONE, NOTHING, runs
from tfwheel.doctor.probes import find_ptxas

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

OWNED = "tensorflow"  # the folder whose owners are asked for
THIN = "tfwheel-ops"  # the distribution of custom ops alone, whatever their packages are called
CORE = ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2", "lib_pywrap_tensorflow_common.so")
CHUNK_BYTES = 1 << 22
MADE_LATER = (".pyc", "/INSTALLER", "/REQUESTED", "/direct_url.json", "/RECORD")


def inspect_installed(
    facts: Mapping[str, Any], listing: Mapping[str, Any] | None, capability: str | None, *, ask: bool = True
) -> dict[str, Any]:
    """Return what is installed, ready for JSON; "problems" are sentences, none if all is well.

    ``listing`` is None where no index is known, ``capability`` that of the GPU ("7.5"), None without one. ``ask``
    allows to start ptxas, which says its version.
    """
    site = Path(facts["site"])
    owners = list(owners_of(site))
    code = gpu_code_on(site, owners)
    found = {
        "owners": [{key: owner[key] for key in ("project", "version", "tags")} for owner in owners],
        "ours": [_ours(owner, listing) for owner in owners] if listing else None,
        "altered": [line for owner in owners for line in altered_files(site, owner["record"])],
        "gpu_code": code,
        "runs": _runs(code, capability),
        "ptxas": find_ptxas(site, ask=ask),
        "xla_flags": os.environ.get("XLA_FLAGS"),
        "shadowed": shadowed_libraries(facts["libraries"]),
    }
    return {**found, "problems": list(_problems(found, facts))}


def owners_of(site: Path) -> Iterator[dict[str, Any]]:
    """Yield each distribution of TensorFlow or of custom ops: "project", "version", "tags", "record", "folder"."""
    for record in found_in(site, "*.dist-info/RECORD"):
        name = record.parent.name
        if not normalize(name).startswith(("tensorflow", "tf-", "tfwheel", "intel-tensorflow", "itex")):
            continue
        rows = _rows(record)
        project, _, version = name[: -len(".dist-info")].partition("-")
        if normalize(project) == THIN or any(path.startswith(f"{OWNED}/") for path in rows):
            tags = [line[5:] for line in _read(record.parent / "WHEEL").splitlines() if line.startswith("Tag: ")]
            yield {
                "project": normalize(project),
                "version": version,
                "tags": tags,
                "record": rows,
                "folder": record.parent,
            }


def altered_files(site: Path, record: Mapping[str, tuple[str, str]]) -> list[str]:
    """Return each file of a RECORD inside of the site that is missing or has other bytes than the wheel brought."""
    found = []
    for path, (digest, size) in record.items():
        outside = path.startswith("/") or ".." in path.split("/")
        if path.endswith(MADE_LATER) or "__pycache__" in path or not digest or outside:
            continue
        file = site / path
        try:
            known = file.stat()
            if not stat.S_ISREG(known.st_mode):
                found.append(f"{path}: no regular file")
            elif size and known.st_size != int(size):
                found.append(f"{path}: {known.st_size:,} bytes instead of {int(size):,}")
            elif digest.startswith("sha256=") and _digest(file) != digest[7:]:
                found.append(f"{path}: other bytes")
        except FileNotFoundError:
            found.append(f"{path}: missing")
        except (OSError, ValueError) as error:
            found.append(f"{path}: {error}")
    return found


def gpu_code_on(site: Path, owners: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the GPU code of TensorFlow and the ops of its ``owners``, by kind, read from their libraries."""
    parts = [code for code in (_code(site / OWNED / name) for name in CORE) if code]
    ops = [code["fatbin"] for code in (_code(site / path) for path in _op_libraries(owners)) if code.get("fatbin")]
    shared = [image for image in ops[0] if all(image in other for other in ops)] if ops else []
    return {**common_code(parts), **({"ops": shared} if shared else {})}


def _op_libraries(owners: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the libraries beside TensorFlow's folder, as the RECORDs have them.

    TensorFlow's own copy of a package, in a folder ``_NAME``, does not count beside that of the thin wheel, NAME, which
    is imported in its place.
    """
    thin = {path.partition("/")[0] for owner in owners if owner["project"] == THIN for path in owner["record"]}
    found = []
    for path in (path for owner in owners for path in owner["record"] if path.endswith(".so")):
        folder = path.partition("/")[0]
        hidden = folder.startswith("_") and folder[1:] in thin
        if folder not in {OWNED, ""} and ".." not in path.split("/") and not hidden:
            found.append(path)
    return found


def _code(library: Path) -> dict[str, list[str]]:
    try:
        return gpu_code_of(library) if is_there(library) else {}
    except (OSError, ValueError):
        return {}


def _runs(code: Mapping[str, list[str]], capability: str | None) -> dict[str, str] | None:
    if capability is None:
        return None
    major, _, minor = capability.partition(".")
    return {KINDS[kind]: answer for kind, answer in runs(code, (int(major), int(minor))).items() if answer != NONE}


def _ours(owner: Mapping[str, Any], listing: Mapping[str, Any]) -> dict[str, Any]:
    """Return which file of the index an installed distribution is, as far as it can be told.

    Installers keep the hash of a wheel that was installed from a URL or a file, and of no other.
    """
    same = [
        one
        for one in listing["wheels"]
        if (normalize(one["project"]), one["version"]) == (owner["project"], owner["version"])
    ]
    same = [one for one in same if _tag(one["file"]) & set(owner["tags"])] or same[:1]
    installed = _installed_hash(owner["folder"])
    entry = same[0] if same else None
    return {
        "project": owner["project"],
        "version": owner["version"],
        "file": entry["file"] if entry else None,
        "sha256": entry["sha256"] if entry else None,
        "installed_sha256": installed,
        "yanked": entry["yanked"] if entry else None,
        "same": installed == entry["sha256"] if entry and installed else None,
    }


def _tag(file: str) -> set[str]:
    python, abi, platforms = file[: -len(".whl")].split("-")[-3:]
    return {f"{python}-{abi}-{platform}" for platform in platforms.split(".")}


def _installed_hash(folder: Path) -> str | None:
    try:
        archive = json.loads(_read(folder / "direct_url.json") or "{}").get("archive_info") or {}
        found = (archive.get("hashes") or {}).get("sha256") or str(archive.get("hash") or "").partition("sha256=")[2]
    except (ValueError, AttributeError, RecursionError):
        return None
    return found if isinstance(found, str) and found else None


def _problems(found: Mapping[str, Any], facts: Mapping[str, Any]) -> Iterator[str]:
    owners = [f"{one['project']} {one['version']}" for one in found["owners"] if one["project"] != THIN]
    if not owners:
        yield "No TensorFlow is installed for this Python."
    if len(owners) > 1:
        yield f"Several distributions own tensorflow/: {', '.join(owners)}. Uninstall all of them, then install one."
    if found["altered"]:
        yield f"{len(found['altered'])} files are not as the wheel brought them: {'; '.join(found['altered'][:3])}."
    for one in found["ours"] or []:
        if one["same"] is False:
            yield f"{one['file']} was installed with another sha256 than the index has: {one['installed_sha256']}."
        if one["yanked"] is not None:
            yield f"{one['file']} was withdrawn: {one['yanked'] or 'no reason given'}."
    yield from _gpu_problems(found["runs"] or {})
    yield from found["shadowed"]
    for one in facts["loaded"] or []:
        yield f"{one['module']} {one['loaded']} is loaded and {one['installed']} installed: restart the session."


def _gpu_problems(answers: Mapping[str, str]) -> Iterator[str]:
    for kind, answer in answers.items():
        if answer == NOTHING:
            yield f"This GPU can run none of the {kind}: they fail."


def _rows(record: Path) -> dict[str, tuple[str, str]]:
    if not is_there(record):
        return {}
    try:
        with record.open(encoding="utf-8", newline="") as stream:
            return {row[0]: (row[1], row[2]) for row in csv.reader(stream) if len(row) == 3}  # noqa: PLR2004 -- as RECORD
    except (OSError, ValueError, csv.Error):
        return {}


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        for piece in iter(lambda: stream.read(CHUNK_BYTES), b""):
            digest.update(piece)
    return base64.urlsafe_b64encode(digest.digest()).decode().rstrip("=")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace") if is_there(path) else ""
    except OSError:
        return ""
