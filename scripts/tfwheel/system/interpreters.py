"""Find the CPython of a given minor version on this machine: PATH, pyenv, uv, asdf, rye, manylinux images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from findpython.providers import ALL_PROVIDERS
from findpython.providers.path import PathProvider

from tfwheel.system import console
from tfwheel.system.errors import CommandError, InterpreterMissingError
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Iterator

# Where manylinux images keep their Pythons: one folder per ABI, not on PATH.
MANYLINUX = Path("/opt/python")
# Imports ssl because a Python built without it starts well and then cannot run pip.
PROBE = """
import json, ssl, sys, sysconfig
facts = [sys.implementation.name, "%d.%d" % sys.version_info[:2], bool(sysconfig.get_config_var("Py_GIL_DISABLED"))]
print(json.dumps([*facts, sys.executable]))
"""


def find(version: str) -> Path:
    """Return the interpreter of a Python minor version such as ``3.12``, after running it as a check.

    Takes the first match in the order of findpython's providers (PATH first). Passes over shims whose version is not
    installed, other implementations and free-threaded builds. Raises InterpreterMissingError, which lists each
    interpreter that was passed over, and why.
    """
    passed_over = []
    for candidate in _candidates(version):
        fault, executable = _probe(candidate, version)
        if not fault:
            console.detail(f"Python {version}: {executable}")
            return executable
        passed_over.append(f"{candidate}: {fault}")
    message = f"there is no Python {version} on this machine (looked on PATH, in pyenv, uv, asdf, rye and {MANYLINUX})"
    if passed_over:
        message += "\n  passed over " + "\n  passed over ".join(passed_over)
    remedy = (
        f"Install it (`uv python install {version}`, `pyenv install {version}`, or your distribution) and run again."
    )
    raise InterpreterMissingError(message, remedy=remedy)


def _candidates(version: str) -> Iterator[Path]:
    """Yield each file ``pythonX.Y`` in all known places once, without running any."""
    providers = [provider for kind in ALL_PROVIDERS.values() if (provider := kind.create())]
    providers.append(PathProvider(sorted(MANYLINUX.glob("cp*/bin"))))
    seen = set()
    for provider in providers:
        for python in provider.find_pythons():
            if python.executable.name == f"python{version}" and python.executable not in seen:
                seen.add(python.executable)
                yield python.executable


def _probe(candidate: Path, version: str) -> tuple[str | None, Path]:
    """Return why an interpreter does not qualify (None if it does), and its real path."""
    try:
        answer = json.loads(run([candidate, "-I", "-c", PROBE]).splitlines()[-1])
    except CommandError as error:
        return f"it does not run ({(error.output or error.message).strip().splitlines()[-1]})", candidate
    except (ValueError, IndexError):
        return "it does not answer like a Python", candidate
    implementation, minor, free_threaded, executable = answer
    if (implementation, minor) != ("cpython", version):
        return f"it is {implementation} {minor}", candidate
    return ("it is a free-threaded build" if free_threaded else None), Path(executable)
