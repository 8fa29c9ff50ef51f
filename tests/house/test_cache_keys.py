"""Each cached thing is made anew when, and only when, a module changes that it may depend on.

The places that take a digest of code are found in the source, what each depends on is read by Python's own parser, and
every module of a copy of the product is changed in turn.
"""

from __future__ import annotations

import ast
import importlib
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tfwheel.config import ci_settings
from tfwheel.config.paths import ROOT
from tfwheel.system import digests, sources

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = ROOT / "scripts" / "tfwheel"
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if path.name != "__init__.py"
}


# Programs that run where this package is not installed.
PROGRAMS = {
    *("checks.companion_checks", "checks.ops_checks", "checks.smoke_checks"),
    *("colab.snapshot_program", "gpu.fatbinary_program", "gpu.nvcc_options", "gpu.nvcc_program"),
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
        "gpu.symbol_versions",
        "retarget.gpu_image",
    }


def test_a_change_of_anything_that_a_wheel_depends_on_starts_wheels_in_ci() -> None:
    inputs = ci_settings.load().build_inputs
    for name in depends_on("build.pipeline") | depends_on("build.verification"):
        path = str(MODULES[name].relative_to(ROOT))
        assert any(path == known or (known.endswith("/") and path.startswith(known)) for known in inputs), path


# --- no way around ---------------------------------------------------------------------------------------


def strings(tree: ast.AST) -> list[str]:
    """The string constants of a module, docstrings left out."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docs = {id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, documented) and has_docstring(node)}
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in docs]
    return [node.value for node in constants if isinstance(node.value, str)]


def has_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return bool(node.body) and isinstance(node.body[0], ast.Expr) and ast.get_docstring(node) is not None


def ways_around(tree: ast.Module) -> list[str]:
    """What makes a module depend on another one unseen: other forms of import, or a program started by its name."""
    found = []
    for node in ast.walk(tree):
        text = ast.unparse(node) if isinstance(node, ast.Import | ast.ImportFrom | ast.Call) else ""
        match node:
            case ast.Import(names=names) if any(name.name.split(".")[0] in {"tfwheel", "runpy"} for name in names):
                found.append(text)
            case ast.Import(names=names) if any(name.name == "importlib" for name in names):
                found.append(text)
            case ast.ImportFrom(level=level, module=module, names=names):
                rooms = module == "tfwheel" and any(name.name not in MODULES for name in names)
                renamed = any(
                    name.name in {"program", "digest"} and (name.asname or name.name == "digest") for name in names
                )
                if level or rooms or module == "importlib" or (renamed and module == "tfwheel.system.sources"):
                    found.append(text)
            case ast.Call(func=ast.Name(id="program" | "__import__")):
                if not (
                    len(node.args) == 1 and isinstance(node.args[0], ast.Constant) and node.args[0].value in MODULES
                ):
                    found.append(text)
    return found + [text for text in strings(tree) if any(f"tfwheel.{name}" in text for name in MODULES)]


@pytest.mark.parametrize("name", sorted(set(MODULES) - {*PROGRAMS, "system.sources"}))
def test_no_module_depends_on_another_unseen(name: str) -> None:
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    assert not ways_around(tree)
    if name != "config.paths":
        assert "__file__" not in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


@pytest.mark.parametrize(
    "text",
    [
        "from . import patches",
        "from .patches import x",
        "import importlib",
        "from importlib import import_module",
        "from tfwheel import wheel",
        "import tfwheel",
        "import tfwheel.wheel.patches",
        "import runpy",
        "program(NAME)",
        'program(name="wheel.patches")',
        'program(f"wheel.{name}")',
        'program("wheel.none")',
        "from tfwheel.system.sources import program as start",
        "from tfwheel.system.sources import digest",
        '__import__("tfwheel.wheel.patches")',
        'run(["python", "-m", "tfwheel.wheel.patches"])',
    ],
)
def test_each_way_around_is_seen(text: str) -> None:
    assert ways_around(ast.parse(text))


@pytest.mark.parametrize("root", sorted({root for keys in KEYS.values() for root, _ in keys}))
def test_what_is_imported_when_it_runs_is_what_counts(root: str) -> None:
    program = f"import sys, tfwheel.{root}; print(*(name for name in sys.modules if name.startswith('tfwheel.')))"
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    loaded = {name.removeprefix("tfwheel.") for name in done.stdout.split()} & set(MODULES)
    assert loaded <= reachable(root, ())


def test_libraries_that_decide_a_wheel_are_in_its_key() -> None:
    known = {"zlib_ng": "zlib-ng", "pydantic_core": "pydantic"}
    indifferent = {"filelock", "findpython", "platformdirs", "requests", "rich"}  # they move bytes, and make none
    served = {"jinja2", "markdown_it", "markupsafe", "mdit_py_plugins", "virtualenv"}  # pages, environments
    found = set()
    for name in depends_on("build.pipeline"):
        for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found |= {module.split(".")[0] for module in names} - sys.stdlib_module_names - {"tfwheel", ""}
    wanted = {known.get(name, name) for name in found - indifferent - served}
    assert wanted <= {*digests.LIBRARIES, *digests.SHIPPED_BY}
