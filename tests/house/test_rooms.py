"""The house keeps its order: twelve rooms, imports that point one way, one door to programs, one to the network.

A new module needs no edit here: it is in a room, and the room says what it may import. Imports that are there only for
annotations count too.
"""

from __future__ import annotations

import ast
import re
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
PACKAGE = SCRIPTS / "tfwheel"

# What each room may import, besides the modules outside all rooms and the room `system`, which are for every room.
ROOMS = {
    "system": set(),
    "doctor": set(),  # not even `system`: it is one file on other people's machines
    "config": {"doctor"},
    "wheel": {"config"},
    "colab": {"config", "wheel"},
    "gpu": set(),
    "source": {"wheel", "config"},
    "retarget": {"wheel", "gpu", "config"},
    "checks": {"wheel", "gpu", "config"},  # never `retarget`: who judges must not know who wrote
    "index": {"colab", "wheel", "config", "doctor"},  # it joins the doctor into one file
    "build": {"checks", "retarget", "index", "colab", "gpu", "source", "wheel", "config"},
    "publish": {"index", "colab", "wheel", "config"},  # never `build` or `checks`: it reads records
}
HALL = {"cli", "errors"}  # the modules outside all rooms
PROGRAM_MODULES = {"subprocess", "multiprocessing", "pty", "popen2", "concurrent.futures.process", "asyncio"}
NETWORK_MODULES = {"_socket", "aiohttp", "asyncio", "ftplib", "http.client", "httpx", "requests", "socket", "ssl"}
NETWORK_MODULES |= {"urllib", "urllib.request", "urllib3"}
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "tools", "common", "misc", "base", "core", "lib"}
STANDALONE = {  # run without this package; nvcc_program with nvcc_options beside it
    "checks.companion_checks",
    "checks.ops_checks",
    "checks.smoke_checks",
    "colab.snapshot_program",
    "gpu.fatbinary_program",
    "gpu.nvcc_options",
    "gpu.nvcc_program",
}
STANDALONE_ROOM = "doctor"  # one file for users, made of the room's modules: it has doors of its own
DOOR_LINES = 37  # besides its imports

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")
DOORS = sorted(SCRIPTS.glob("*.py"))


def name_of(path: Path) -> str:
    """For example ``wheel.reader``."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def room_of(path: Path) -> str:
    """The room that a module is in, or the module itself, where it is in none."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path: Path) -> set[str]:
    """The full names of all modules, and of the names in them, that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def is_import(node: ast.stmt) -> bool:
    """Whether a statement imports something."""
    return isinstance(node, ast.Import | ast.ImportFrom)


def rooms_imported(path: Path) -> set[str]:
    """The rooms of the product, or its modules outside all rooms, that a file imports."""
    return {name.split(".")[1] for name in imports(path) if name.startswith("tfwheel.")}


def matrix() -> dict[str, dict[str, int]]:
    """How many modules of a room (row) import another room (column)."""
    found: dict[str, dict[str, int]] = {room: {} for room in ROOMS}
    for path in MODULES:
        if room_of(path) in ROOMS:
            for other in rooms_imported(path).intersection(ROOMS) - {room_of(path)}:
                row = found[room_of(path)]
                row[other] = row.get(other, 0) + 1
    return found


def test_the_matrix_of_rooms_is_the_table() -> None:
    found = matrix()
    for row, columns in found.items():
        print(f"{row:10}", *(f"{columns.get(column, 0) or chr(46):>8}" for column in ROOMS))  # noqa: T201 -- for pytest -rP
    assert {room: set(columns) - {"system"} for room, columns in found.items()} == ROOMS


def test_no_module_imports_one_that_imports_it() -> None:
    known = {f"tfwheel.{name_of(path)}" for path in MODULES}
    graph = {f"tfwheel.{name_of(path)}": imports(path) & known for path in MODULES}
    assert len(list(TopologicalSorter(graph).static_order())) == len(MODULES)  # raises CycleError with the circle


def test_no_room_imports_one_that_imports_it() -> None:
    order = list(ROOMS)
    assert all({"system", *ROOMS[room]} - {room} <= set(order[: order.index(room)]) for room in order)


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_one_module_starts_programs(path: Path) -> None:
    if name_of(path) in {"system.processes", *STANDALONE} or room_of(path) == STANDALONE_ROOM:
        return
    assert not imports(path) & PROGRAM_MODULES
    assert not re.search(r"\bos\.(system|popen|posix_spawn|fork|exec[lv]|spawn[lv])", path.read_text(encoding="utf-8"))


def test_git_is_started_by_one_module_which_knows_what_binds_it_to_another_repository() -> None:
    starts = re.compile(r"""[\[(]\s*["']git(["' ])""")
    assert [path.name for path in SCRIPTS.rglob("*.py") if starts.search(path.read_text(encoding="utf-8"))] == [
        "git.py"
    ]


@pytest.mark.parametrize("name", sorted(STANDALONE))
def test_a_program_of_its_own_imports_nothing_of_the_package(name: str) -> None:
    path = PACKAGE / f"{name.replace('.', '/')}.py"
    assert not rooms_imported(path) - {room_of(path)}
    own = {module for module in map(name_of, MODULES) if f"tfwheel.{module}" in imports(path)}
    assert own <= STANDALONE


@pytest.mark.parametrize("path", [path for path in MODULES if room_of(path) == STANDALONE_ROOM], ids=name_of)
def test_the_doctor_is_of_the_standard_library_and_runs_on_python_39(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    ast.parse(text, feature_version=(3, 9))
    for name in imports(path):
        assert name.split(".")[0] in sys.stdlib_module_names or name.startswith(f"tfwheel.{STANDALONE_ROOM}."), name


def test_temporary_folders_come_from_where_they_are_swept() -> None:
    allowed = {"system.scratch", "system.files"}  # the second: beside the file that is replaced
    allowed.add("gpu.nvcc_program")  # compilers started by other people's builds, which we do not sweep
    assert {name_of(path) for path in MODULES if "tempfile" in imports(path)} <= allowed
    equipment = [path for path in SCRIPTS.rglob("*.py") if path not in MODULES]
    assert not [path for path in equipment if "tempfile" in imports(path)]


def test_only_one_module_asks_web_servers() -> None:
    asking = {name_of(path) for path in MODULES if imports(path) & NETWORK_MODULES}
    assert asking == {"system.web", "doctor.listing"}


def test_the_product_does_not_know_its_equipment() -> None:
    equipment = {folder.name for folder in SCRIPTS.iterdir() if folder.is_dir()} - {PACKAGE.name, "__pycache__"}
    for path in MODULES:
        assert not {name.split(".")[0] for name in imports(path)} & equipment, name_of(path)


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_a_room_says_in_a_sentence_what_it_is_for_and_nothing_else(room: str) -> None:
    tree = ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8"))
    assert (ast.get_docstring(tree) or "").endswith(".")
    assert len(tree.body) == 1


@pytest.mark.parametrize("path", DOORS, ids=lambda path: path.stem)
def test_a_door_is_short_and_named_after_what_it_does(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    imported = [range(node.lineno, node.end_lineno + 1) for node in ast.parse(text).body if is_import(node)]
    assert len(text.splitlines()) - sum(map(len, imported)) <= DOOR_LINES
    assert re.fullmatch(r"[a-z]+(_[a-z]+)+", path.stem)
    assert "cli" in rooms_imported(path)
    assert not imports(path) & (PROGRAM_MODULES | NETWORK_MODULES)


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert not NAMES_THAT_SAY_NOTHING.intersection(path.stem for path in [*MODULES, *DOORS])


@pytest.mark.parametrize("path", [*MODULES, *DOORS], ids=lambda path: path.stem)
def test_every_module_says_in_a_sentence_what_it_is_for(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", "?"))


def test_there_are_no_modules_outside_the_rooms_but_these() -> None:
    assert {room_of(path) for path in MODULES} == {*ROOMS, *HALL}
