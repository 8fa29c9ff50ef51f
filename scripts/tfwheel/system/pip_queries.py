"""Ask pip's configured index about versions and requirements; no wheel is downloaded whole, and none is built."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from tfwheel.system import scratch
from tfwheel.system.errors import CommandError, PackageIndexError
from tfwheel.system.pip import PIP, PLATFORMS
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Mapping

MISSING = re.compile(r"No matching distribution found for ([A-Za-z0-9._-]+)==")


def versions(project: str, *, python: str, unfinished: bool = False) -> list[str]:
    """Return the final versions of a project that have a wheel for a Python ("3.12") on x86_64 Linux, newest first.

    ``unfinished`` adds candidates and development versions. pip leaves out yanked ones (PEP 592). Empty if there is
    none. Raises PackageIndexError when the index did not answer.
    """
    pre = ["--pre"] if unfinished else []
    try:
        said = run([*PIP, "index", "versions", "--json", *pre, *_target(python), project])
    except CommandError as error:
        if "No matching distribution" in error.output:
            return []
        message = f"which versions of {project} are there? {error.message.splitlines()[-1]}"
        raise PackageIndexError(message) from error
    found: list[str] = json.loads(said[said.index("{") :])["versions"]
    return found


def requirements(pins: Mapping[str, str], *, python: str) -> dict[str, tuple[str, ...]]:
    """Return the Requires-Dist of exact versions, by name; those without a wheel for the Python are left out.

    Only the metadata is read, with range requests. Raises PackageIndexError when the index did not answer.
    """
    wanted = dict(pins)
    with scratch.folder("requirements") as folder:
        report = folder / "report.json"
        options = ["install", "--dry-run", "--ignore-installed", "--no-deps", "--use-feature=fast-deps"]
        while wanted:
            words = [f"{name}=={version}" for name, version in wanted.items()]
            try:
                run([*PIP, *options, "--report", report, "--target", folder / "x", *_target(python), *words])
            except CommandError as error:
                missing = MISSING.search(error.output)
                if not missing or wanted.pop(missing[1], None) is None:
                    message = f"what do {len(words)} packages require? {error.message.splitlines()[-1]}"
                    raise PackageIndexError(message) from error
                continue
            installed = json.loads(report.read_bytes())["install"]
            by_name = {_normalized(one["metadata"]["name"]): one["metadata"] for one in installed}
            return {name: tuple(by_name[_normalized(name)].get("requires_dist", ())) for name in wanted}
    return {}


def _target(python: str) -> list[str]:
    platforms = [f"--platform={platform}" for platform in PLATFORMS]
    return ["--only-binary=:all:", f"--python-version={python}", "--implementation=cp", *platforms]


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
