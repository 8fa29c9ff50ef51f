"""Try the custom ops of an installed wheel in the environment of its smoke test, each way of use in a fresh process."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfwheel.system.sources import program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tfwheel.checks.environments import Environment
    from tfwheel.config.targets import OpsRules

CPU, GPU = "CPU:0", "GPU:0"


@dataclass(frozen=True, kw_only=True)
class OpsUnderTest:
    """The ops of a wheel: its packages, its libraries by the paths that packages see, and the tests of the projects.

    ``autoloaded`` are the libraries that TensorFlow loads by itself. A test is a program in Python, by project.
    """

    packages: tuple[str, ...] = ()
    libraries: tuple[str, ...] = ()
    autoloaded: tuple[str, ...] = ()
    tests: tuple[tuple[str, Path], ...] = ()

    @classmethod
    def of(cls, wheel: Path, rules: OpsRules, tests: Mapping[str, Sequence[Path]]) -> OpsUnderTest:
        """Read from a wheel which packages and libraries of ops it has."""
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
        packages = [one for one in rules.packages if not {f"{one}.py", f"{one}/__init__.py"}.isdisjoint(names)]
        there = {rules.file_of(name) for name in names}
        libraries = rules.op_libraries(there)
        merged = any(f"{one}.py" in names for one in packages)
        return cls(
            packages=tuple(packages),
            libraries=tuple(libraries),
            autoloaded=tuple(rules.autoloaded(there)) if merged else (),
            tests=tuple((project, path) for project, paths in tests.items() for path in paths) if packages else (),
        )


def run(ops: OpsUnderTest, environment: Environment) -> dict[str, Any]:
    """Try the ops on the CPU, and on the GPU if the environment has one; return ``checks``, ``ops`` and ``reason``.

    ``ops`` has for each op the devices with kernels and those on which something ran it: on a device without a kernel
    for it, TensorFlow runs it on another one. Raises CommandError for a
    process that ended without a report, or that failed after one without a fault.
    """
    checks: list[dict[str, Any]] = []
    found: dict[str, dict[str, Any]] = {}
    for device in (CPU, GPU) if environment.gpus else (CPU,):
        for report in _reports(ops, environment, device):
            checks += report["checks"]
            for name, kernels in report["ops"].items():
                found.setdefault(name, {"kernels": kernels, "ran": []})
            for name in set(report["ran"] or ()).intersection(found):
                if {device.partition(":")[0], "DEFAULT"}.intersection(found[name]["kernels"]):
                    found[name]["ran"] = sorted({*found[name]["ran"], device})
    failed = next((check for check in checks if not check["passed"]), None)
    reason = "{name} on {device}: {detail}".format(**failed) if failed else None
    return {"checks": checks, "ops": found, "reason": reason}


def not_run(report: Mapping[str, Any]) -> list[str]:
    """Return the ops in a smoke report that no test ran anywhere."""
    return sorted(name for name, op in (report.get("ops") or {}).items() if not op["ran"])


def _reports(ops: OpsUnderTest, environment: Environment, device: str) -> Iterator[dict[str, Any]]:
    packages = [word for package in ops.packages for word in ("--package", package)]
    used = _report(environment, "use", device, [*packages, *_words("--library", ops.libraries)])
    yield used
    for project, path in ops.tests:
        copy = environment.put(path, f"tests/{project}/{path.name}")
        yield _report(environment, "test", device, ["--program", str(copy)])
    loaded = {check["name"]: check["detail"] for check in used["checks"] if check["passed"]}
    alone = {op for library in ops.autoloaded for op in loaded.get(f"load {library}", ())}
    if alone:
        yield _report(environment, "alone", device, _words("--op", sorted(alone)))


def _report(environment: Environment, way: str, device: str, words: Sequence[str]) -> dict[str, Any]:
    script = environment.put(program("checks.ops_checks"))
    return environment.report(script, environment.folder / f"ops-{way}.json", way, "--device", device, *words)


def _words(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]
