"""Place the package of an ops wheel into TensorFlow's wheel so that the ops wheel itself can be installed beside it.

Two installed wheels must not own one file: removing one would take the file from the other, without a word. So the
merged wheel has the package ``tfwheel_ops/`` as ``_tfwheel_ops/``, and a module ``tfwheel_ops.py`` that imports it by
its own name. Python prefers a package to a module of the same name: where the ops wheel is installed, too, its package
is imported; after its removal, TensorFlow's own ops are there again. Both folders are beside ``tensorflow/``, so a
RUNPATH such as ``$ORIGIN/../tensorflow`` stays right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfwheel.errors import BadWheelError
from tfwheel.wheel.writer import NewFile

if TYPE_CHECKING:
    from tfwheel.wheel.reader import WheelReader

TENSORFLOW = "tensorflow"
LIBS = ".libs"  # how a folder of libraries ends that auditwheel copied in
MODULE = '''\
"""The package {package} that comes with this TensorFlow: its files are in the folder {folder} beside this one.

Python prefers a folder to a module of the same name. Where {project} is installed as well, its folder {package} is
imported instead; both can be installed, in any order, and either can be removed.
"""

import sys
from importlib import util
from pathlib import Path

_folder = Path(__file__).with_name("{folder}")
_spec = util.spec_from_file_location(__name__, _folder / "__init__.py", submodule_search_locations=[str(_folder)])
_module = util.module_from_spec(_spec)
sys.modules[__name__] = _module
_spec.loader.exec_module(_module)
'''


def placed(custom: WheelReader) -> dict[str, NewFile]:
    """Return the files of an ops wheel by their names in the merged wheel; contents are read when they are written.

    Raises BadWheelError for a file that is not in a package of its own beside ``tensorflow/``.
    """
    names = [name for name in custom.names() if not name.endswith("/") and not name.startswith(f"{custom.dist_info}/")]
    packages = {name.partition("/")[0] for name in names if name.endswith("/__init__.py") and name.count("/") == 1}
    any_grafted = any(LIBS in name for name in names)
    grafted = f"{custom.dist_info.partition('-')[0]}{LIBS}"
    files: dict[str, NewFile] = {}
    for name in names:
        package, _, rest = name.partition("/")
        if package == grafted:
            files[f"{_renamed(grafted)}/{rest}"] = member(custom, name)
            continue
        if package == TENSORFLOW or package not in packages or not package.isidentifier() or f"_{package}" in packages:
            message = f"{custom.path.name}: `{name}` is not in a package of its own beside {TENSORFLOW}/"
            raise BadWheelError(
                message, remedy="Give the ops a Python package of their own; change TensorFlow by patches."
            )
        file = member(custom, name)
        files[f"_{package}/{rest}"] = _searching(file, grafted) if any_grafted and ".so" in rest else file
    project = custom.dist_info.partition("-")[0].replace("_", "-")
    for package in packages:
        text = MODULE.format(package=package, folder=f"_{package}", project=project)
        files[f"{package}.py"] = NewFile(content=[text.encode()])
        files |= _types(custom, package, names)
    return files


def _renamed(folder: str) -> str:
    """Return the name of a folder of grafted libraries in the merged wheel, of the same length."""
    return f"_{folder[1:]}"


def _searching(library: NewFile, folder: str) -> NewFile:
    """Return a library whose search path has the folder of grafted libraries by its name in the merged wheel."""
    data = b"".join(library.content)
    return NewFile(
        content=[data.replace(f"/../{folder}".encode(), f"/../{_renamed(folder)}".encode())], mode=library.mode
    )


def member(wheel: WheelReader, name: str) -> NewFile:
    """Return a member with its permissions; its content is read when it is written."""
    return NewFile(content=wheel.chunks(name), mode=wheel.member(name).permissions)


def _types(custom: WheelReader, package: str, names: list[str]) -> dict[str, NewFile]:
    """Return the sources of a typed package as stubs (PEP 561), because type checkers do not run the module above."""
    if f"{package}/py.typed" not in names:
        return {}
    inside = [name.removeprefix(f"{package}/") for name in names if name.startswith(f"{package}/")]
    sources = sorted(name for name in inside if name.endswith((".py", ".pyi")))
    chosen = {name.rpartition(".")[0]: name for name in sources}  # of x.py and x.pyi the second
    return {f"{package}-stubs/{stem}.pyi": member(custom, f"{package}/{name}") for stem, name in chosen.items()}
