"""What a build may see of the folder of a custom-op project, and that it can change nothing there."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import pytest

import fakewheels
from opsworld import change, committed, compiled, write
from tfwheel.build import ops_packing, project_environment
from tfwheel.build.errors import CompileError, OpsSourceError
from tfwheel.build.ops_builds import BuiltProject
from tfwheel.config import ops_projects
from tfwheel.config.errors import ConfigError
from tfwheel.gpu import elf

BACKEND = """
import base64, hashlib, zipfile
from pathlib import Path
def build_wheel(folder, config_settings=None, metadata_directory=None):
    Path("build").mkdir()
    Path("pure_ops/__init__.py").write_text("WHO = 'written'")
    info, record = "written-1.dist-info", ""
    members = {"pure_ops/__init__.py": Path("pure_ops/__init__.py").read_bytes()}
    members |= {f"{info}/WHEEL": b"Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"}
    members |= {f"{info}/METADATA": b"Metadata-Version: 2.1\\nName: written\\nVersion: 1\\n\\n"}
    for name, data in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{name},sha256={digest},{len(data)}\\n"
    with zipfile.ZipFile(f"{folder}/written-1-py3-none-any.whl", "w") as archive:
        for name, data in (members | {f"{info}/RECORD": f"{record}{info}/RECORD,,\\n"}).items():
            archive.writestr(name, data)
    return "written-1-py3-none-any.whl"
"""
BUILD_SYSTEM = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
GIT = """
[[project]]
name = "made"
kind = "command"
git = "{git}"
commit = "{commit}"
folder = "deep/er"
packages = ["made_ops"]
commands = [["sh", "-c", "echo changed > ../../top; cp ../../first made_ops/_ops.so; rm op.cc"]]

[[project.library]]
file = "made_ops/_ops.so"
"""


def seen(folder: Path) -> dict[str, object]:
    """All that lies in a folder: the bytes of files, and their modes."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mode, path.read_bytes() if path.is_file() else None)
        for path in folder.rglob("*")
    }


def test_whatever_a_build_writes_the_folder_of_the_user_keeps_its_bytes(
    settings: Path, sdk: Path, tmp_path: Path
) -> None:
    write(settings, {"pure/pyproject.toml": BUILD_SYSTEM, "pure/backend.py": BACKEND})
    change(settings, '[["make"]', '[["sh", "-c", "make; echo 1 > written; echo changed > op.cc"]')
    cmake = settings / "by_cmake/CMakeLists.txt"
    cmake.write_text(cmake.read_text() + 'file(WRITE "${CMAKE_CURRENT_SOURCE_DIR}/TERMS" "changed")\n')
    before = seen(settings)
    members = fakewheels.members_of(compiled(settings, sdk, tmp_path))
    assert members["pure_ops/__init__.py"] == b"WHO = 'written'"
    assert seen(settings) == before


def test_a_kept_checkout_keeps_its_bytes_whatever_a_build_writes(sdk: Path, tmp_path: Path) -> None:
    repository, settings = tmp_path / "repository", tmp_path / "settings"
    write(repository, {"top": "one", "first": "two", "deep/er/op.cc": "", "LICENSE": "top\n"})
    write(repository, {"deep/er/made_ops/__init__.py": ""})
    write(settings, {"ops.toml": GIT.format(git=repository.as_uri(), commit=committed(repository))})
    first = fakewheels.members_of(compiled(settings, sdk, tmp_path))
    (kept,) = (tmp_path / "cache/ops-sources").glob("*/deep")
    before = seen(kept.parent)
    assert fakewheels.members_of(compiled(settings, sdk, tmp_path, "again")) == first
    assert seen(kept.parent) == before
    assert (kept / "er/op.cc").exists()
    assert first["made_ops/_ops.so"] == b"two"
    assert [name for name in first if name.endswith("licenses/made/LICENSE")]  # of the top: the folder has none


def test_a_build_may_write_where_the_user_may_not(settings: Path, sdk: Path, tmp_path: Path) -> None:
    write(settings, {"made/sub/file": ""})
    (settings / "made/sub/file").chmod(0o444)
    (settings / "made/sub").chmod(0o555)
    asked = "import os, sys; sys.exit(not all(os.stat(one).st_mode & 0o200 for one in ('sub', 'sub/file')))"
    change(settings, '[["make"]', f'[["{sys.executable}", "-c", "{asked}"], ["make"]')
    compiled(settings, sdk, tmp_path)


NO_WHEEL = (
    "def build_wheel(folder, config_settings=None, metadata_directory=None):\n    return 'no-1-py3-none-any.whl'\n"
)


def test_a_build_that_makes_no_wheel_is_named(settings: Path, sdk: Path, tmp_path: Path) -> None:
    write(settings, {"pure/pyproject.toml": BUILD_SYSTEM, "pure/backend.py": NO_WHEEL})
    with pytest.raises((OpsSourceError, CompileError), match=r"`pure`") as caught:
        compiled(settings, sdk, tmp_path)
    assert "log" in caught.value.remedy


def test_what_has_no_bytes_is_named_and_never_waited_for(settings: Path, sdk: Path, tmp_path: Path) -> None:
    os.mkfifo(settings / "made" / "pipe")
    (project,) = (one for one in ops_projects.load(settings) if one.name == "made")
    with pytest.raises(ConfigError, match=r"`made`: .*made/pipe: neither a file nor a folder nor a link"):
        ops_projects.identity(project, settings)
    with pytest.raises(OpsSourceError, match=r"`made`.*made/pipe"):
        compiled(settings, sdk, tmp_path)


def test_a_folder_that_holds_the_scratch_folder_is_refused(settings: Path, sdk: Path, tmp_path: Path) -> None:
    change(settings, 'path = "made"', 'path = ".."')
    with pytest.raises(OpsSourceError, match=r"`made` is in .*, which holds what builds make, too"):
        compiled(settings, sdk, tmp_path)


def test_a_package_is_what_was_there_and_what_was_built(settings: Path, sdk: Path, tmp_path: Path) -> None:
    write(settings, {"by_cmake/generated.py": "HOW = 'generated'\n", "by_cmake/python/cmake_ops/both.py": "old\n"})
    cmake = settings / "by_cmake/CMakeLists.txt"
    installs = "install(FILES generated.py DESTINATION python/cmake_ops)\n"
    installs += "install(FILES generated.py DESTINATION python/cmake_ops RENAME both.py)\n"
    installs += "install(FILES generated.py DESTINATION cmake_ops RENAME last.py)\n"
    cmake.write_text(cmake.read_text() + installs)
    members = fakewheels.members_of(compiled(settings, sdk, tmp_path))
    assert members["cmake_ops/__init__.py"] == b"WHO = 'cmake'\n"
    assert {members[f"cmake_ops/{name}.py"] for name in ("generated", "both", "last")} == {b"HOW = 'generated'\n"}


def test_a_folder_of_the_packages_name_beside_its_root_is_not_the_package(
    settings: Path, sdk: Path, tmp_path: Path
) -> None:
    write(settings, {"made/py/made_ops/__init__.py": "WHO = 'python'\n", "made/made_ops/__init__.py": "WHO = 'top'\n"})
    write(settings, {"made/made_ops/op.h": ""})
    change(settings, 'packages = ["made_ops"]', 'packages = ["made_ops"]\nroot = "py"')
    members = fakewheels.members_of(compiled(settings, sdk, tmp_path))
    assert members["made_ops/__init__.py"] == b"WHO = 'python'\n"
    assert "made_ops/op.h" not in members


def test_a_link_in_a_package_to_what_is_not_there_is_left_out(settings: Path, sdk: Path, tmp_path: Path) -> None:
    (settings / "done/done_ops/.#lock").symlink_to("someone@somewhere.1")
    assert "done_ops/.#lock" not in fakewheels.members_of(compiled(settings, sdk, tmp_path))


def test_a_build_gets_no_setting_of_the_user_that_is_not_in_the_key(
    settings: Path, sdk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["CUDAARCHS", "CUDA_HOME", "DESTDIR", "MAKEFLAGS", "PYTHONPATH", "GIT_DIR", "Eigen3_ROOT", "MY_SDK", "LANG"]
    for name in names:
        monkeypatch.setenv(name, f"/mine/{name}")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("CXXFLAGS", "-DIN_THE_KEY")
    asked = "test $$https_proxy && echo $$CXXFLAGS | grep -q IN_THE_KEY && ! env | grep /mine/"
    change(settings, '[["make"]', f'[["sh", "-c", "{asked}"], ["make"]')
    members = fakewheels.members_of(compiled(settings, sdk, tmp_path))
    assert "cmake_ops/_ops.so" in members
    assert project_environment.withheld().keys() >= set(names)


def test_what_a_backend_asks_for_when_it_is_asked_is_fetched(
    settings: Path, sdk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fakewheels.write_wheel(tmp_path / "index", {"needed.py": b""}, name="needed", version="1", tag="py3-none-any")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    asks = "def get_requires_for_build_wheel(config_settings=None):\n    return ['needed']\n"
    # setuptools-scm and hatch-vcs read this where a repository would be.
    uses = 'import needed\n    import os\n    assert os.environ["SETUPTOOLS_SCM_PRETEND_VERSION"] == "0"\n    info'
    backend = BACKEND.replace("info", uses, 1) + asks
    write(settings, {"pure/pyproject.toml": BUILD_SYSTEM, "pure/backend.py": backend})
    assert fakewheels.members_of(compiled(settings, sdk, tmp_path))["pure_ops/__init__.py"] == b"WHO = 'written'"


def test_what_was_there_is_taken_with_its_sources_and_its_programs(settings: Path, sdk: Path, tmp_path: Path) -> None:
    write(settings, {"done/done_ops/kernel.cu": "// compiled by users", "done/done_ops/run.sh": "#!/bin/sh\n"})
    (settings / "done/done_ops/run.sh").chmod(0o755)
    with zipfile.ZipFile(compiled(settings, sdk, tmp_path)) as archive:
        assert archive.getinfo("done_ops/kernel.cu").external_attr >> 16 & 0o777 == 0o644
        assert archive.getinfo("done_ops/run.sh").external_attr >> 16 & 0o777 == 0o755


def test_environments_and_the_links_of_bazel_are_not_seen(settings: Path, sdk: Path, tmp_path: Path) -> None:
    before = ops_projects.identity(ops_projects.load(settings)[-1], settings)
    (settings / "done/bazel-out").symlink_to(tmp_path)
    (settings / "done/.venv/bin").mkdir(parents=True)
    (settings / "done/.venv/bin/python").symlink_to("/usr/bin/env")
    assert ops_projects.identity(ops_projects.load(settings)[-1], settings) == before
    assert "done_ops/__init__.py" in fakewheels.members_of(compiled(settings, sdk, tmp_path))


def test_a_name_that_is_no_utf8_is_refused(settings: Path) -> None:
    Path(os.fsdecode(os.fsencode(settings / "done/done_ops/caf") + b"\xe9.py")).write_text("")
    with pytest.raises(ConfigError, match=r"`done`: .*caf\\udce9\.py.*: its name is no UTF-8"):
        ops_projects.identity(ops_projects.load(settings)[-1], settings)


def test_licences_of_one_name_in_two_folders_are_both_there(settings: Path, sdk: Path, tmp_path: Path) -> None:
    write(settings, {"by_cmake/third/TERMS": "third\n"})
    change(settings, 'licenses = ["TERMS"]', 'licenses = ["TERMS", "third/TERMS"]')
    members = fakewheels.members_of(compiled(settings, sdk, tmp_path))
    texts = {name.partition("/licenses/")[2]: data for name, data in members.items() if "/by-cmake/" in name}
    assert texts == {"by-cmake/TERMS": b"their terms\n", "by-cmake/third/TERMS": b"third\n"}


def test_each_library_has_a_name_of_its_own_in_a_package_that_only_loads_them(
    settings: Path, sdk: Path, tmp_path: Path
) -> None:
    files = ["a/x.so", "b/x.so", "c/x_2.so", "class.so", "1st.so", "tf.so", "Path.so", "libo-p.so", "_.so"]
    write(settings, {f"done/done_ops/{file}": "" for file in files})
    (settings / "done/done_ops/__init__.py").unlink()
    tables = "".join(f'[[project.library]]\nfile = "done_ops/{file}"\n' for file in files)
    (settings / "ops.toml").write_text((settings / "ops.toml").read_text() + tables)
    text = fakewheels.members_of(compiled(settings, sdk, tmp_path))["done_ops/__init__.py"].decode()
    compile(text, "package", "exec")
    loads = dict(line.split(" = tf.load", 1) for line in text.splitlines() if ".load_op" in line)
    assert list(loads) == ["x", "x_2", "x_2_2", "_class", "_1st", "_tf", "_Path", "o_p", "ops"]
    assert [file in load for file, load in zip(files, loads.values(), strict=True)] == [True] * len(files)


def test_only_search_paths_that_move_with_the_wheel_are_kept(tmp_path: Path) -> None:
    paths = ["$ORIGIN", "${ORIGIN}/deep", "$ORIGIN/../more", "$ORIGINAL/x", "$ORIGINS", "/opt/lib", "$LIB/x", ""]
    flag = f"-Wl,--enable-new-dtags,-rpath,{':'.join(paths)}"
    library = fakewheels.compile_library(tmp_path / "theirs/their_ops/_ops.so", "int one(void) { return 1; }", flag)
    ops_packing.set_search_paths(BuiltProject(name="theirs", folder=tmp_path / "theirs"))
    with library.open("rb") as stream:
        assert elf.dynamic(stream).runpath == "$ORIGIN:${ORIGIN}/deep:$ORIGIN/../more"
