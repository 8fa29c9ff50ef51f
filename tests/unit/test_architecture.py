"""The house keeps its order: imports point down, one door to programs, one to the network, small doors for people.

What a module imports only for its annotations makes no dependency when it runs, and is not counted.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
PACKAGE = SCRIPTS / "tfwheel"

# From the bottom up. A module may import from the layers below its own; only those of GROUNDWORK also from their own.
LAYERS = {
    "leaves": {"atomic", "errors", "github_limits", "locking", "progress", "run", "web"},
    "types": {"ci_matrix", "ci_settings", "config", "gpufit", "places", "plan", "records", "runtimes", "targets"},
    "formats and parts": {
        "actions",
        "admission",
        "attestation",
        "candidate",
        "ci",
        "compilers",
        "contents",
        "deflating",
        "disassembly",
        "downloads",
        "elf",
        "environments",
        "expressions",
        "families",
        "fatbin",
        "github",
        "github_store",
        "guard",
        "imitation",
        "imitation_api",
        "imitation_state",
        "install_material",
        "interpreters",
        "job",
        "keys",
        "manifest",
        "ledger",
        "merge",
        "metadata",
        "mirror",
        "official_wheel",
        "page",
        "patches",
        "pip_settings",
        "steps",
        "store",
        "releases",
        "provenance",
        "pointers",
        "ptxas",
        "relayout",
        "retarget",
        "selection",
        "render",
        "sbom",
        "tree",
        "unchanged",
        "wheelzip",
        "workflows",
        "xla_ceiling",
        "zipformat",
    },
    "stages": {
        "bases",
        "build_ops",
        "container",
        "gates",
        "history",
        "inventory",
        "libraries",
        "overlay",
        "proposal",
        "rehearsal",
        "release_checks",
        "repair",
        "retarget_gates",
        "site",
        "smoke",
        "staging",
        "summary",
        "toolchain",
        "verify",
    },
    "top": {
        "bench",
        "door",
        "index_bench",
        "matrix",
        "native_code",
        "ops_container",
        "pipeline",
        "private_index",
        "proving",
        "publish",
        "release",
        "release_rehearsal",
    },
}
GROUNDWORK = {"leaves", "types", "formats and parts"}
STANDALONE = {
    "fatbinary",
    "smoke_checks",
    "stopwatch",
}  # run as programs of their own, where this package is not installed
PROGRAM_MODULES = {"subprocess", "multiprocessing", "pty", "popen2"}
NETWORK_MODULES = {"socket", "ssl", "urllib.request", "http.client", "requests", "httpx", "aiohttp", "ftplib"}
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "tools", "common", "misc", "base", "core", "lib"}
DOOR_LINES = 40

MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")
DOORS = sorted(path.stem for path in SCRIPTS.glob("*.py"))


def is_for_annotations(node: ast.AST) -> bool:
    """Whether this is an ``if TYPE_CHECKING:`` block."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(path: Path) -> set[str]:
    """The full names of all modules (and names in them) that a file imports when it runs."""
    found: set[str] = set()
    waiting: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        if is_for_annotations(node):
            continue
        waiting.extend(ast.iter_child_nodes(node))
    return found


def own_imports(path: Path) -> set[str]:
    """The modules of the package that a file imports."""
    return {name.split(".")[1] for name in imports(path) if name.startswith("tfwheel.")}.intersection(MODULES)


def allowed_for(module: str) -> set[str]:
    """What the layer of a module lets it import."""
    below = set(STANDALONE)  # only to know where they stand
    for name, members in LAYERS.items():
        if module in members:
            same = members if name in GROUNDWORK or name == "top" else set()
            return below | same - {module}
        below |= members
    message = f"{module} has no layer: give it one in LAYERS"
    raise AssertionError(message)


def test_every_module_has_one_place_in_the_house() -> None:
    placed = [module for members in (*LAYERS.values(), STANDALONE) for module in members]
    assert sorted(placed) == MODULES


@pytest.mark.parametrize("module", [module for module in MODULES if module not in STANDALONE])
def test_imports_point_down_and_stages_do_not_know_each_other(module: str) -> None:
    assert own_imports(PACKAGE / f"{module}.py") <= allowed_for(module)


@pytest.mark.parametrize("module", sorted(STANDALONE))
def test_a_program_of_its_own_imports_nothing_of_the_package(module: str) -> None:
    assert not own_imports(PACKAGE / f"{module}.py")


@pytest.mark.parametrize("module", [module for module in MODULES if module not in {*STANDALONE, "run"}])
def test_only_one_module_starts_programs(module: str) -> None:
    path = PACKAGE / f"{module}.py"
    assert not imports(path) & PROGRAM_MODULES
    assert not re.search(r"\bos\.(system|popen|posix_spawn|fork|exec[lv]|spawn[lv])", path.read_text(encoding="utf-8"))


def test_only_one_module_fetches_from_the_network() -> None:
    fetching = {module for module in MODULES if imports(PACKAGE / f"{module}.py") & NETWORK_MODULES}
    assert fetching <= {"web"}


@pytest.mark.parametrize("door", DOORS)
def test_a_door_is_short_and_named_after_what_it_does(door: str) -> None:
    path = SCRIPTS / f"{door}.py"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= DOOR_LINES
    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", door)
    assert "door" in own_imports(path)
    assert not imports(path) & (PROGRAM_MODULES | NETWORK_MODULES)


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert not NAMES_THAT_SAY_NOTHING.intersection([*MODULES, *DOORS])


@pytest.mark.parametrize("path", [*PACKAGE.glob("*.py"), *SCRIPTS.glob("*.py")], ids=lambda path: path.stem)
def test_every_module_says_in_a_sentence_what_it_is_for(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", "?"))
