"""Custom-op projects of every kind, built by real compilers, git and CMake, and packed into one ops wheel."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import fakewheels
from opsworld import LINKED, TARGET, change, committed, compiled, said, value, write
from tfwheel.build import ops_sources, repair
from tfwheel.build.errors import CompileError, OpsSourceError, RepairError
from tfwheel.checks import wheel_gates
from tfwheel.checks.opened_wheel import opened_ops
from tfwheel.config import ops_projects
from tfwheel.config.targets import OpsRules
from tfwheel.gpu import elf
from tfwheel.wheel import ops_package
from tfwheel.wheel.errors import PatchError
from tfwheel.wheel.reader import WheelReader

if TYPE_CHECKING:
    from pathlib import Path


GPU_ONLY = """
[[project]]
name = "gpu"
kind = "sources"
path = "."
packages = ["gpu_ops"]
root = "gpu"

[[project.library]]
file = "gpu_ops/deep/_kernels_of_mine.so"
sources = ["gpu"]
"""


def test_projects_of_every_kind_are_in_one_wheel_and_their_libraries_work(
    settings: Path, sdk: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wheel = compiled(settings, sdk, tmp_path)
    assert "no library is compiled of more/other.cc\n" in capfd.readouterr().err
    assert wheel.name == f"tfwheel_ops-{TARGET.version}-py3-none-linux_x86_64.whl"
    members = fakewheels.members_of(wheel)
    info = f"tfwheel_ops-{TARGET.version}.dist-info"
    assert sorted(name for name in members if not name.startswith(info)) == [
        "cmake_ops/__init__.py", "cmake_ops/_ops.so", "cmake_ops/libhelper.so", "done_ops/__init__.py",
        "kernel_ops/__init__.py", "kernel_ops/deep/_ops.so", "made_ops/__init__.py", "made_ops/_ops.so",
        "pure_ops/__init__.py",
    ]  # fmt: skip
    assert b"tf.load_op_library(str(Path(__file__).parent / 'deep/_ops.so'))" in members["kernel_ops/__init__.py"]
    licenses = {name.partition("/licenses/")[2] for name in members if "/licenses/" in name}
    assert licenses == {"kernels/LICENSE", "by-cmake/TERMS", "pure/LICENSE"}
    text = members[f"{info}/METADATA"].decode()
    requires = {line.partition(": ")[2] for line in text.splitlines() if line.startswith("Requires-Dist")}
    assert requires == {"tensorflow==2.20.*", "numpy>=1.26", "six>=1.16"}
    with opened_ops(wheel, target=TARGET, rules=fakewheels.RULES) as candidate:
        assert "twine check --strict passed" in wheel_gates.metadata(candidate)
    site = tmp_path / "site"
    with WheelReader(wheel) as reader:
        for name in reader.names():
            reader.extract(name, site / name)
    shutil.copytree(sdk / "tensorflow", site / "tensorflow")
    shutil.rmtree(sdk)
    shutil.rmtree(tmp_path / "work")
    assert said(site, "kernel_ops/deep/_ops.so").split("\n")[:-1] == ["a 222", "b 222", "c 222"]
    assert value(site, "cmake_ops/_ops.so", "d") == 233
    assert value(site, "made_ops/_ops.so", "e") == 224
    with (site / "cmake_ops/_ops.so").open("rb") as stream:
        assert elf.dynamic(stream).runpath == "$ORIGIN:$ORIGIN/../tensorflow"


def test_two_builds_give_the_same_bytes_in_any_folder(settings: Path, sdk: Path, tmp_path: Path) -> None:
    wheel = compiled(settings, sdk, tmp_path)
    first, before = wheel.read_bytes(), fakewheels.members_of(wheel)
    (tmp_path / "deep er").mkdir()
    for folder in (settings, sdk):
        folder.rename(tmp_path / "deep er" / folder.name)
    shutil.rmtree(tmp_path / "work")
    moved = tmp_path / "deep er"
    again = compiled(moved / "settings", moved / "sdk", tmp_path, "other work")
    assert [name for name, data in fakewheels.members_of(again).items() if data != before[name]] == []
    assert again.read_bytes() == first


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"cc", "more', '"no-such", "more', "the custom-op project `kernels` has no source `no-such`"),
        ('packages = ["done_ops"]', 'packages = ["other_ops"]', "`done` has no package `other_ops`, a folder with an"),
        ('packages = ["pure_ops"]', 'packages = ["other_ops"]', "`pure` has no package `other_ops`"),
        ('built = "copied here.so"', 'built = "x.so"', "`made` did not make x.so"),
        ('"-DPLUS=2"', '"-DPLUS=$NO_SUCH"', "`configure` of the .* `by-cmake` names a variable .*: 'NO_SUCH'"),
        ('[["make"]', '[["make", "$"]', "`commands` of the .* `made` names a variable .*: Invalid placeholder"),
        ('licenses = ["TERMS"]', 'licenses = ["NONE"]', "`by-cmake` has no licence file NONE"),
        ('path = "by_cmake"', 'path = "by_cmake"\nfolder = "deeper"', "`by-cmake` has no folder deeper"),
    ],
)
def test_a_project_that_does_not_give_what_it_says_is_named(  # noqa: PLR0917 -- fixtures and parameters
    settings: Path, sdk: Path, tmp_path: Path, old: str, new: str, words: str
) -> None:
    change(settings, old, new)
    with pytest.raises(OpsSourceError, match=words):
        compiled(settings, sdk, tmp_path)


def test_all_errors_of_all_files_come_in_one_round_with_hints(settings: Path, sdk: Path, tmp_path: Path) -> None:
    write(settings, {"by_cmake/op.cc": "int one = nothing;\n", "by_cmake/helper.cc": "#include <gpu/cub/device.h>\n"})
    with pytest.raises(CompileError) as caught:
        compiled(settings, sdk, tmp_path)
    assert "the custom ops `by-cmake` do not compile for ops-tf2.20.0-cpu" in caught.value.message
    assert "nothing" in caught.value.message
    assert "gpu/cub/device.h" in caught.value.message
    assert "Write `cub/` for `gpu/cub/`." in caught.value.remedy


def test_an_error_names_the_file_that_is_to_be_corrected_not_the_copy_that_was_built(
    settings: Path, sdk: Path, tmp_path: Path
) -> None:
    write(settings, {"by_cmake/op.cc": "int one = nothing;\n"})
    with pytest.raises(CompileError) as caught:
        compiled(settings, sdk, tmp_path)
    assert f"{settings}/by_cmake/op.cc:1:11: error" in caught.value.message
    assert str(tmp_path / "work") not in caught.value.message
    assert caught.value.remedy.startswith("Correct the source named above. ")
    patch = settings / "changes/name.patch"
    patch.write_text(patch.read_text().replace("\n+static", "\n+wrong"))
    with pytest.raises(CompileError) as caught:
        compiled(settings, sdk, tmp_path, "again")
    assert "\ncc/kernels/b.cc:5:1: error" in caught.value.message
    assert str(tmp_path / "again") not in caught.value.message
    assert "by a patch (`patches`)." in caught.value.remedy


def test_a_commit_that_cannot_be_fetched_says_what_git_says(settings: Path, sdk: Path, tmp_path: Path) -> None:
    text = (settings / "ops.toml").read_text()
    commit = text.partition('commit = "')[2][:40]
    change(settings, commit, "0" * 40)
    with pytest.raises(OpsSourceError, match=f"git cannot fetch {'0' * 40} of file://.*kernels") as caught:
        compiled(settings, sdk, tmp_path)
    assert "fatal" in caught.value.message or "not our ref" in caught.value.message
    assert not list((tmp_path / "cache").glob("ops-sources/*"))


@pytest.mark.parametrize(("target", "refused"), [("../../secret", True), ("/etc/hostname", True), ("cc/a.cc", False)])
def test_a_link_out_of_a_repository_is_refused(tmp_path: Path, target: str, *, refused: bool) -> None:
    repository, settings = tmp_path / "linked", tmp_path / "settings"
    write(repository, {"cc/a.cc": "", "LICENSE": "x\n"})
    (repository / "notes").symlink_to(target)
    settings.mkdir()
    (settings / "ops.toml").write_text(LINKED.format(git=repository.as_uri(), commit=committed(repository)))
    (project,) = ops_projects.load(settings)
    if refused:
        with pytest.raises(OpsSourceError, match="has a symbolic link that leads out of it, or nowhere: notes"):
            ops_sources.fetch(project, settings, tmp_path / "cache")
        assert not list((tmp_path / "cache").glob("ops-sources/*"))
    else:
        assert (ops_sources.fetch(project, settings, tmp_path / "cache") / "notes").is_symlink()


def test_a_patch_that_does_not_fit_is_named(settings: Path, sdk: Path, tmp_path: Path) -> None:
    write(settings, {"changes/name.patch": (settings / "changes/name.patch").read_text().replace("-static", "-Static")})
    with pytest.raises(PatchError, match=r"name\.patch: cc/kernels/b\.cc, hunk 1 does not apply: line 5"):
        compiled(settings, sdk, tmp_path)


def test_a_library_for_gpus_alone_is_refused_on_a_line_without_gpu_code_unless_it_is_said(
    settings: Path, sdk: Path, tmp_path: Path
) -> None:
    write(settings, {"gpu/a_long_name_of_a_folder/a.cu": "#error no GPU\n", "gpu/a_long_name_of_a_folder/b.cu.cc": ""})
    (settings / "ops.toml").write_text(GPU_ONLY)
    with pytest.raises(CompileError) as caught:
        compiled(settings, sdk, tmp_path)
    words = " ".join(caught.value.message.split())
    assert "gpu_ops/deep/_kernels_of_mine.so would be empty: its sources are for GPUs alone, and this line has" in words
    assert "no GPU code. Write `gpu_only = true` in its [[project.library]] in ops.toml" in words
    change(settings, 'sources = ["gpu"]', 'sources = ["gpu"]\ngpu_only = true')
    write(settings, {"gpu/gpu_ops/__init__.py": ""})
    assert "gpu_ops/__init__.py" in fakewheels.members_of(compiled(settings, sdk, tmp_path, "again"))


# --- libraries that a repair copies in -------------------------------------------------------------------


def with_openmp(tmp_path: Path) -> Path:
    """An ops wheel whose library needs OpenMP's."""
    library = fakewheels.compile_library(
        tmp_path / "build" / "_ops.so",
        "#include <omp.h>\nint threads(void) { int n = 0;\n#pragma omp parallel\n n = omp_get_num_threads();\n"
        " return n; }\n",
        "-fopenmp",
    )
    return fakewheels.write_wheel(
        tmp_path,
        {"tfwheel_ops/__init__.py": b"", "tfwheel_ops/_ops.so": library.read_bytes()},
        name="tfwheel_ops",
        version=TARGET.version,
        tag="py3-none-linux_x86_64",
    )


def test_openmp_is_copied_in_only_where_a_project_allows_it(tmp_path: Path) -> None:
    wheel = with_openmp(tmp_path)
    with pytest.raises(RepairError, match=r"copied libraries into .*: libgomp-\w+\.so") as caught:
        repair.repair(wheel, tmp_path / "out", fakewheels.RULES, epoch=0)
    assert "`grafts` in ops.toml" in caught.value.remedy
    rules = replace(fakewheels.RULES, ops=OpsRules(grafts=("libgomp.so*",)))
    made, report = repair.repair(wheel, tmp_path / "out", rules, epoch=0)
    assert [name.partition("-")[0] for name in report["grafted"]] == ["libgomp"]
    site = tmp_path / "site"
    with WheelReader(made) as reader:
        for name, file in ops_package.placed(reader).items():
            path = site / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(file.content))
    assert {path.name for path in site.iterdir()} == {"_tfwheel_ops", "_fwheel_ops.libs", "tfwheel_ops.py"}
    assert value(site, "_tfwheel_ops/_ops.so", "threads") >= 1
    with (site / "_tfwheel_ops/_ops.so").open("rb") as stream:
        assert elf.dynamic(stream).runpath == "$ORIGIN/../_fwheel_ops.libs"
