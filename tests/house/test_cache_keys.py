"""Each cached thing is made anew when, and only when, a module changes that it may depend on.

The places that take a digest of code are found in the source, what each depends on is read by Python's own parser, and
every module of a copy of the product is changed in turn.
"""

from __future__ import annotations

import ast
import importlib
import shutil
from typing import TYPE_CHECKING

import pytest

from tfwheel.config import ci_settings
from tfwheel.config.paths import ROOT
from tfwheel.system import sources

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = ROOT / "scripts" / "tfwheel"
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "__init__.py"
}


def is_for_annotations(node: ast.AST) -> bool:
    """Whether this is an ``if TYPE_CHECKING:`` block."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def named(node: ast.AST) -> set[str]:
    """The full names of what a statement imports, or starts as a program."""
    match node:
        case ast.Import():
            return {alias.name for alias in node.names}
        case ast.ImportFrom(module=str(module)):
            return {module, *(f"{module}.{alias.name}" for alias in node.names)}
        case ast.Call(func=ast.Name(id="program"), args=[ast.Constant(value=str(name))]):
            return {f"tfwheel.{name}"}
    return set()


def imported(path: Path) -> set[str]:
    """The modules of the product that a file imports when it runs, or starts as programs."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if not is_for_annotations(node):
            found |= named(node)
            waiting.extend(ast.iter_child_nodes(node))
    return {name.removeprefix("tfwheel.") for name in found if name.startswith("tfwheel.")} & set(MODULES)


GRAPH = {name: imported(path) for name, path in MODULES.items()}


def reachable(name: str, without: tuple[str, ...]) -> set[str]:
    """A module and all that it imports, but for what is left out."""
    found, waiting = set(), {name}
    while waiting:
        module = waiting.pop()
        if module not in found and not {module, module.split(".")[0]} & set(without):
            found.add(module)
            waiting |= GRAPH[module]
    return found


def keys_in(name: str) -> list[tuple[str, tuple[str, ...]]]:
    """What a module takes digests of: a module, and what is left out of its imports."""
    module = importlib.import_module(f"tfwheel.{name}")
    found = []
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "sources.digest":
            root, without = ast.unparse(node.args[0]), "()"
            for keyword in node.keywords:
                without = ast.unparse(keyword.value)
            found.append(tuple(eval(text, vars(module)) for text in (root, without)))  # noqa: S307 -- our own source
    return [(root.removeprefix("tfwheel."), without) for root, without in found]


KEYS = {name: keys for name in MODULES if name != "checks.smoke_checks" and (keys := keys_in(name))}


def test_these_are_the_things_that_are_cached() -> None:
    assert set(KEYS) == {
        "build.cuda_tree",  # the CUDA tree for clang
        "build.gpu_code",  # the findings of the gates of a retargeted library
        "build.ops_in_container",  # the ops wheel by cibuildwheel
        "build.pipeline",  # wheels
        "build.verification",  # smoke reports
        "gpu.nvidia_tools",  # NVIDIA's programs
        "index.simple_pages",  # pages for installers
        "index.site",  # pages for people
        "retarget.libraries",  # retargeted libraries
        "retarget.ptxas",  # compiled GPU images
    }


@pytest.mark.parametrize("name", MODULES)
def test_imports_are_read_from_the_text_as_python_reads_them(name: str) -> None:
    assert set(sources._imported(MODULES[name])) == GRAPH[name]


def test_each_module_changes_the_keys_of_exactly_what_may_depend_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "tfwheel"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(sources, "PACKAGE", copy)
    wanted = {key: reachable(*key) for keys in KEYS.values() for key in keys}

    def digests() -> dict[tuple[str, tuple[str, ...]], str]:
        sources.digest.cache_clear()
        sources._sha256.cache_clear()
        return {(root, without): sources.digest(root, without=without) for root, without in wanted}

    before = digests()
    for name in MODULES:
        path = copy / f"{name.replace('.', '/')}.py"
        text = path.read_bytes()
        path.write_bytes(text + b"# changed\n")
        after = digests()
        path.write_bytes(text)
        changed = {key for key in wanted if after[key] != before[key]}
        assert changed == {key for key, modules in wanted.items() if name in modules}, name
    sources.digest.cache_clear()
    sources._sha256.cache_clear()


def depends_on(thing: str) -> set[str]:
    """All modules that some cached thing depends on."""
    return {module for root, without in KEYS[thing] for module in reachable(root, without)}


def test_a_wheel_depends_on_what_makes_it_and_not_on_what_shows_it() -> None:
    wheel = depends_on("build.pipeline")
    assert {"config.targets", "system.processes", "wheel.overlay", "retarget.rewrite", "checks.wheel_gates"} <= wheel
    assert not {"index.landing_page", "index.site", "build.summary", "checks.smoke_checks"} & wheel
    assert not any(module.startswith("publish.") for module in wheel)


def test_a_smoke_report_depends_on_the_program_that_runs_in_the_environment() -> None:
    smoke = depends_on("build.verification")
    assert {"checks.smoke_checks", "checks.environments", "gpu.code_inventory", "system.interpreters"} <= smoke
    assert "index.landing_page" not in smoke


def test_compiled_gpu_images_outlive_changes_of_everything_around_them() -> None:
    assert depends_on("retarget.ptxas") == {
        "errors",
        "gpu.elf",
        "gpu.errors",
        "gpu.fatbin",
        "gpu.fatbinary_program",
        "retarget.gpu_image",
    }


def test_a_change_of_anything_that_a_wheel_depends_on_starts_wheels_in_ci() -> None:
    inputs = ci_settings.load().build_inputs
    for name in depends_on("build.pipeline") | depends_on("build.verification"):
        path = str(MODULES[name].relative_to(ROOT))
        assert any(path == known or (known.endswith("/") and path.startswith(known)) for known in inputs), path
