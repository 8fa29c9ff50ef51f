"""The CMakeLists.txt of a project that is kernels alone: which words of ops.toml, and which paths, it may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tfwheel.build import ops_kernels
from tfwheel.build.errors import OpsSourceError
from tfwheel.config.ops_projects import LibraryEntry, OpsProject

if TYPE_CHECKING:
    from pathlib import Path


def project(file: str = "my_ops/_ops.so", **keys: list[str]) -> OpsProject:
    library = LibraryEntry(file=file, sources=["src"])
    return OpsProject.model_validate(
        {"name": "mine", "kind": "sources", "path": "mine", "packages": ["my_ops"], "library": [library], **keys}
    )


def tree(folder: Path, *names: str) -> Path:
    for name in names or ("a.cc",):
        (folder / "src" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "src" / name).touch()
    return folder


def test_every_word_is_quoted(tmp_path: Path) -> None:
    where = tree(tmp_path / "a [tree] ${X}", "a b.cc", "[1].cc")
    given = project(include=["in $x"], definitions=['A="b c"', "B=\\x"], link=["-Wl,-z,now"])
    text = ops_kernels.cmake_lists(given, where)
    assert f"set(OPS_ROOT [[{where}]])" in text
    assert (
        f"add_op_library(ops0 FILE [[my_ops/_ops.so]] SOURCES [[{where}/src/[1].cc]] [[{where}/src/a b.cc]] "
        f'INCLUDES [[{where}]] [[{where}/in $x]] DEFINITIONS [[A="b c"]] [[B=\\x]] LIBRARIES [[-Wl,-z,now]] '
        "CXX_STANDARD [[17]])\n"
    ) in text


def test_sources_in_folders_that_are_linked_are_compiled_each_once(tmp_path: Path) -> None:
    where = tree(tmp_path, "a.cc")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "k.cc").touch()
    (where / "src" / "kernels").symlink_to("../shared")
    (where / "src" / "again").symlink_to(".")
    text = ops_kernels.cmake_lists(project(), where)
    assert f"SOURCES [[{where}/src/a.cc]] [[{where}/src/kernels/k.cc]] INCLUDES" in text


@pytest.mark.parametrize(
    ("key", "word"),
    [
        *((key, word) for key in ("include", "definitions", "link") for word in ("a;b", "$<CONFIG>", "a[b", "a]b")),
        *((key, "a\\") for key in ("definitions", "link")),  # no path of the configuration has a backslash
    ],
)
def test_a_word_that_cmake_reads_otherwise_is_refused_with_its_key(tmp_path: Path, key: str, word: str) -> None:
    with pytest.raises(OpsSourceError) as caught:
        ops_kernels.cmake_lists(project(**{key: [word]}), tree(tmp_path))
    assert caught.value.message.startswith(f"`{key}` of the custom-op project `mine` has ")
    assert caught.value.message.endswith(f" for CMake: {word}")


@pytest.mark.parametrize("name", ["a;b.cc", "$<1:x>.cc", "a[.cc", "b].cc", "deep;er/a.cc"])
def test_a_source_that_cmake_reads_otherwise_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OpsSourceError) as caught:
        ops_kernels.cmake_lists(project(), tree(tmp_path, "good.cc", name))
    assert caught.value.message.startswith("`sources` of the custom-op project `mine` has ")
    assert caught.value.message.endswith(f": src/{name}")


def test_a_library_and_a_folder_that_cmake_reads_otherwise_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OpsSourceError, match=r"`file` of the custom-op project `mine` has `;`, .*: my_ops/a;b.so"):
        ops_kernels.cmake_lists(project(file="my_ops/a;b.so"), tree(tmp_path))
    with pytest.raises(OpsSourceError, match=r"the path of a folder .* `mine` has `;`, .*: .*/one;two"):
        ops_kernels.cmake_lists(project(), tree(tmp_path / "one;two"))


@pytest.mark.parametrize("word", ["FILE", "SOURCES", "LIBRARIES"])
def test_a_word_that_the_modules_have_a_meaning_for_is_refused(tmp_path: Path, word: str) -> None:
    with pytest.raises(OpsSourceError, match="`definitions` of the custom-op project `mine` has a word") as caught:
        ops_kernels.cmake_lists(project(definitions=["A", word]), tree(tmp_path))
    assert f"`{word}=1`" in caught.value.remedy
