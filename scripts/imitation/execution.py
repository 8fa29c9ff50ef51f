"""Runs the notebook of the index in imitated runtimes, with a kernel of theirs, and has its outputs checked."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

from imitation import attempts, notebook
from imitation import runtime as runtimes
from tfwheel.config import build_config, toml_files
from tfwheel.index.local_index import install_command
from tfwheel.system import console, files, scratch
from tfwheel.system.processes import run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from imitation.attempts import Wish
    from imitation.notebook import Notebook
    from imitation.trial import Trial
    from tfwheel.colab.runtimes import Runtime
    from tfwheel.config.paths import Paths

CELL_S = 600


def run_all(wish: Wish, paths: Paths) -> None:
    """Run the notebook in runtimes; raises NotebookError where it breaks a promise."""
    for attempt, runtime in attempts.begun(wish, paths):
        seconds = run_in(attempt, runtime, paths.dist / "reports", doctor=(paths.site / "doctor.py").is_file())
        said = f"runtime {runtime.name}: the notebook ran to its end in {seconds['colab']} s"
        console.say(f"{said}, and said in {seconds['missing']} s that a version is not there")


def fill(paths: Paths) -> None:
    """Write the badge and the parameters of the configuration into the notebook, remove outputs, and say so."""
    newest = attempts.named((), paths)[0]
    text = notebook.filled(toml_files.text(notebook.NOTEBOOK), build_config.load(paths.settings), newest)
    files.write_atomically(notebook.NOTEBOOK, text.encode())
    cell = "".join(notebook.cell_of(notebook.read(text), "parameters")["source"])
    said = ", ".join(line.partition("  #")[0] for line in cell.splitlines())
    console.say(f"wrote {notebook.PLACE} for the runtime {newest.name}: {said}")


def run_in(attempt: Trial, runtime: Runtime, folder: Path, *, doctor: bool) -> dict[str, Any]:
    """Run the notebook in a copy of an imitated runtime, and once more with a version that does not exist.

    Both executed notebooks are left in ``folder``. ``doctor`` tells whether the index serves one, which must then name
    the right command. Raises NotebookError for the first promise that does not hold, and CommandError where Jupyter
    itself fails.
    """
    entry, seconds = attempt.entry, {}
    advice = install_command(entry, attempt.address) if doctor else ""
    good = notebook.Parameters(index=attempt.address, line=entry.line, version=entry.version)
    bad = notebook.Parameters(index=attempt.address, line=entry.line, version=f"{entry.version}.none")
    with runtimes.copied(attempt.original, attempt.cache) as copy:
        variables = copy.variables()
        for name, parameters, last in (("missing", bad, "installed"), ("colab", good, "")):
            path = folder / f"{name}-{runtime.name}.ipynb"
            begun = time.perf_counter()
            executed = _executed(path, parameters, copy.python, variables, last=last)
            seconds[name] = round(time.perf_counter() - begun, 1)
            if last:
                notebook.check_failure(executed, parameters.version, advice=advice)
            else:
                notebook.check(executed, parameters.version)
    return seconds


def _executed(
    path: Path, parameters: notebook.Parameters, python: Path, variables: Mapping[str, str], *, last: str
) -> Notebook:
    """Write the notebook with other parameters to ``path``, up to a cell, run it there, and read it again."""
    found = notebook.read(toml_files.text(notebook.NOTEBOOK))
    notebook.put(found, "parameters", parameters.source([parameters.line]))
    names = [cell["id"] for cell in found["cells"]]
    if last:
        del found["cells"][names.index(last) + 1 :]
    files.write_atomically(path, notebook.written(found).encode())
    with scratch.folder("jupyter") as folder:
        kernel = folder / "kernels" / "imitation" / "kernel.json"
        argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        facts = {"argv": argv, "display_name": "imitation", "language": "python"}
        files.write_atomically(kernel, json.dumps(facts).encode())
        own = {name: str(folder) for name in ("JUPYTER_PATH", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "MPLCONFIGDIR")}
        execute = [sys.executable, "-m", "jupyter", "execute", "--allow-errors", "--inplace", f"--timeout={CELL_S}"]
        run([*execute, "--kernel_name=imitation", path], env={**variables, **own, "JUPYTER_PLATFORM_DIRS": "1"})
    return notebook.read(toml_files.text(path))
