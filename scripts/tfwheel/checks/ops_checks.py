"""Check inside a user's environment the custom ops that a wheel brings: each package, library, test and op.

Imports the standard library and TensorFlow only, in the syntax of Python 3.9. Each way to use the ops has a process of
its own (``use``, ``test``, ``alone``), which writes one JSON object to ``--json``. ``WORD ...`` says which:

    use       import every package, load every library, run ``selftest(device)`` of the packages that have one
    test      run one program of a project as ``__main__``
    alone     import TensorFlow and nothing else: are the ops there?
"""
# ruff: noqa: T201, S101, BLE001 -- a program of its own: it prints, asserts, and reports whatever a check raises

from __future__ import annotations

import argparse
import faulthandler
import importlib
import json
import os
import runpy
import sys
import time
import unittest
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

# Module, function and the place of the op's name among its arguments.
CALLS = (
    ("pywrap_tfe", "TFE_Py_FastPathExecute", 1),
    ("eager.execute", "execute", 0),
    ("framework.op_def_library", "_apply_op_helper", 0),
)
NO_TESTS_RAN = 5  # the exit code of unittest since Python 3.12
NO_GPU = {"CPU": {"CUDA_VISIBLE_DEVICES": "-1"}}


def main(words: list[str] | None = None) -> int:
    """Run one way of use; return the exit code, 1 if a check failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=["use", "test", "alone"])
    parser.add_argument("--device", required=True, help="CPU:0 or GPU:0")
    parser.add_argument("--package", action="append", default=[], help="a package to import")
    parser.add_argument("--library", action="append", default=[], help="PACKAGE/FILE: a library that has ops")
    parser.add_argument("--op", action="append", default=[], help="an op that TensorFlow has by itself (`alone`)")
    parser.add_argument("--program", type=Path, help="the program of the way `test`")
    parser.add_argument("--timeout", type=float, default=900, help="seconds until it prints all stacks and ends")
    parser.add_argument("--json", type=Path, required=True, help="where the report goes")
    arguments = parser.parse_args(words)
    os.environ.update(NO_GPU.get(arguments.device.partition(":")[0], {}))
    faulthandler.dump_traceback_later(arguments.timeout, exit=True)
    report: dict[str, Any] = {"checks": [], "ops": {}, "ran": []}
    ways = {"use": _use, "test": _test, "alone": _alone}
    with _noting(report):
        ways[arguments.way](report, arguments)
    faulthandler.cancel_dump_traceback_later()
    report["passed"] = all(check["passed"] for check in report["checks"])
    arguments.json.write_text(json.dumps(report, indent=2, default=str) + "\n", encoding="utf-8")
    return 0 if report["passed"] else 1


# --- the ways --------------------------------------------------------------------------------------------


def _use(report: dict[str, Any], arguments: argparse.Namespace) -> None:
    device = arguments.device
    for name in arguments.package:
        if _attempt(report, f"import {name}", device, partial(_import, name)) and _has_selftest(name):
            _attempt(report, f"selftest of {name}", device, partial(_selftest, name, device))
    for library in arguments.library:
        _attempt(report, f"load {library}", device, partial(_load, library, report["ops"]))


def _test(report: dict[str, Any], arguments: argparse.Namespace) -> None:
    program = arguments.program
    _attempt(report, f"test {program.name}", arguments.device, partial(_run, program))


def _alone(report: dict[str, Any], arguments: argparse.Namespace) -> None:
    _attempt(report, "ops with TensorFlow alone", arguments.device, partial(_registered, arguments.op))


# --- checks ----------------------------------------------------------------------------------------------


def _import(name: str) -> str:
    return str(importlib.import_module(name).__file__)


def _has_selftest(name: str) -> bool:
    return callable(getattr(sys.modules[name], "selftest", None))


def _selftest(name: str, device: str) -> list[dict[str, Any]]:
    """Run ``selftest`` of a package: rows with ``op``, ``dtype``, ``direction``, ``device``, ``passed`` and errors."""
    with _on(device):
        results: list[dict[str, Any]] = sys.modules[name].selftest("/" + device)
    for result in results:
        what = "{op} {dtype} {direction}".format(**result)
        assert result["passed"], f"{what}: error {result['max_error']} is over {result['tolerance']}"
        assert result["device"].endswith(device), f"{what} ran on {result['device']}, not on {device}"
    return results


def _load(library: str, ops: dict[str, list[str]]) -> list[str]:
    """Load a library as its package does, by the same path, and note its ops with the devices that have kernels."""
    tf = importlib.import_module("tensorflow")
    package, _, rest = library.partition("/")
    folder = Path(str(importlib.import_module(package).__file__)).parent
    path = str(folder / rest)
    tf.load_op_library(path)
    found = _ops_in(path)
    for name in found:
        ops[name] = _devices_of(name)
    return found


def _ops_in(path: str) -> list[str]:
    """Return the names of the ops of a loaded library; none if it was loaded by a path with another text before."""
    session: Any = importlib.import_module("tensorflow.python.client.pywrap_tf_session")
    op_def: Any = importlib.import_module("tensorflow.core.framework.op_def_pb2")
    handle = session.TF_LoadLibrary(path)
    try:
        found = op_def.OpList.FromString(session.TF_GetOpList(handle))
    finally:
        session.TF_DeleteLibraryHandle(handle)
    return sorted(op.name for op in found.op)


def _devices_of(op: str) -> list[str]:
    kernels: Any = importlib.import_module("tensorflow.python.framework.kernels")
    return sorted({kernel.device_type for kernel in kernels.get_registered_kernels_for_op(op).kernel})


def _run(program: Path) -> str:
    """Run a program as ``python PROGRAM`` does; SystemExit with 0 or nothing is its success.

    Pythons differ in what they call it if ``unittest.main()`` runs no test. Here, if it finds none, that is a failure,
    and if it skips all, as without a GPU, that is none.
    """
    sys.argv = [str(program)]
    sys.path.insert(0, str(program.parent))
    with _counting() as counts:
        try:
            runpy.run_path(str(program), run_name="__main__")
        except SystemExit as end:
            if end.code and not (end.code == NO_TESTS_RAN and counts):
                raise
    assert not counts or any(counts), "it started unittest, which found no test: its tests are of another kind"
    return str(program.name)


@contextmanager
def _counting() -> Iterator[list[int]]:
    """Yield a list that gets, of each run of unittest's runner, how many tests it found."""
    counts: list[int] = []
    runner: Any = unittest.TextTestRunner
    usual = runner.run

    def run(self: Any, test: Any) -> Any:  # noqa: ANN401 -- as unittest's
        result = usual(self, test)
        counts.append(result.testsRun + len(result.skipped))  # since Python 3.12 the first leaves out the second
        return result

    runner.run = run
    try:
        yield counts
    finally:
        runner.run = usual


def _registered(names: list[str]) -> list[str]:
    """Check that TensorFlow has the ops, though nothing but TensorFlow was imported."""
    registry: Any = importlib.import_module("tensorflow.python.framework.op_def_registry")
    lacking = [name for name in names if registry.get(name) is None]
    assert not lacking, f"TensorFlow does not load {', '.join(lacking)} by itself"
    return names


# --- tools -----------------------------------------------------------------------------------------------


def _attempt(report: dict[str, Any], name: str, device: str, check: Callable[[], Any]) -> bool:
    """Run one check and add its entry to the report; any exception is a failure. Return whether it passed.

    What is no error counts as well: SystemExit, KeyboardInterrupt, and pytest's for a test that is skipped.
    """
    label = f"{name} on {device}"
    print(f"check {label} ...", flush=True)
    entry: dict[str, Any] = {"name": name, "device": device, "passed": True}
    start = time.perf_counter()
    try:
        entry["detail"] = check()
    except SystemExit as end:
        entry["passed"] = False
        entry["detail"] = _ended(end)
    except BaseException as error:
        entry["passed"] = False
        words = [line.strip() for line in str(error).splitlines() if line.strip()]  # numpy's begin with an empty line
        entry["detail"] = ": ".join([type(error).__name__, *words[:1]])
    entry["seconds"] = round(time.perf_counter() - start, 3)
    print(f"check {label}: {'ok' if entry['passed'] else entry['detail']} ({entry['seconds']} s)", flush=True)
    report["checks"].append(entry)
    return bool(entry["passed"])


def _ended(end: SystemExit) -> str:
    """Return in one line how a program wanted to end: Python prints what is no number, and ends with 1."""
    code = end.code if isinstance(end.code, int) else int(end.code is not None)
    said = "" if isinstance(end.code, int) else "".join(str(end.code or "").splitlines()[:1])
    return f"SystemExit: it ended with exit code {int(code)}" + (f": {said}" if said else "")


@contextmanager
def _noting(report: dict[str, Any]) -> Iterator[None]:
    """Note in the report the name of each op that runs while the block does, eagerly or in a graph that it makes.

    All wrappers that TensorFlow generates call one of CALLS, by its name in its module. Callbacks of TensorFlow's own
    (``op_callbacks``) belong to a context, and its test cases begin with another one.
    """
    ran: set[str] = set()
    try:
        modules = {name: importlib.import_module(f"tensorflow.python.{name}") for name, _, _ in CALLS}
        for name, function, place in CALLS:
            setattr(modules[name], function, _noted(getattr(modules[name], function), place, ran))
    except (ImportError, AttributeError):  # another TensorFlow, or none that can be imported: the checks say so
        report["ran"] = None
        yield
        return
    yield
    report["ran"] = sorted(ran)


def _noted(call: Callable[..., Any], place: int, ran: set[str]) -> Callable[..., Any]:
    """Return a function that notes its argument at ``place``, the name of an op, and calls the other one."""

    def noting(*words: Any, **options: Any) -> Any:  # noqa: ANN401 -- whatever TensorFlow's function takes
        name = words[place] if len(words) > place else options.get("op_name", "")
        result = call(*words, **options)
        ran.add(name.decode() if isinstance(name, bytes) else str(name))  # one that raises has not run
        return result

    return noting


@contextmanager
def _on(device: str) -> Iterator[ModuleType]:
    """Run ops on one device alone: an op without a kernel for it fails instead of moving to the CPU."""
    tf = importlib.import_module("tensorflow")
    tf.config.set_soft_device_placement(False)
    try:
        with tf.device("/" + device):
            yield tf
    finally:
        tf.config.set_soft_device_placement(True)


if __name__ == "__main__":
    sys.exit(main())
