"""The overlay: an official wheel plus ops, patches and metadata, and wheels that do not go together."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from dataclasses import replace
from email.parser import HeaderParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import fakewheels
from tfwheel.config.targets import Base, Line, Target
from tfwheel.errors import BadWheelError
from tfwheel.wheel import overlay, sbom
from tfwheel.wheel.errors import PatchError, SbomGateError
from tfwheel.wheel.overlay import MergedWheel, merge_overlay
from tfwheel.wheel.reader import WheelReader

if TYPE_CHECKING:
    from email.message import Message

LINE = Line(name="cu12", label="cu125", base="tensorflow", cuda="12.5.1", archs=("75",))
TARGET = Target(tensorflow="2.20.0", python="3.12", line=LINE, build=1)
INFO = "tensorflow-2.20.0+cu125.1.dist-info"
OPS_SBOM = sbom.of_ops(project="tfwheel-ops", target=TARGET, ops=["swiglu"], tools={"cmake": "4.0"})
LABEL = "tensorflow/tools/pip_package/label.py"
PATCH = f"""\
--- a/{LABEL}
+++ b/{LABEL}
@@ -1,2 +1,2 @@
-BUILD_LABEL = ''
+BUILD_LABEL = '@VERSION@'
 OTHER = 1
"""


def an_ops(folder: Path, *, tag: str = "py3-none-manylinux_2_24_x86_64", extra: str = "", **more: bytes) -> Path:
    """A repaired ops wheel; ``more`` are further members, the first "___" in their names stands for a slash."""
    members = {
        "tfwheel_ops/__init__.py": b'"""Ops."""\n',
        "tfwheel_ops/_ops.so": b"\x7fELF stand-in",
        "tfwheel_ops-2.20.0.dist-info/licenses/LICENSE": b"ours\n",
        "tfwheel_ops-2.20.0.dist-info/licenses/third/party.txt": b"theirs\n",
        f"tfwheel_ops-2.20.0.dist-info/{sbom.MEMBER}": OPS_SBOM,
    }
    members |= {name.replace("___", "/", 1): data for name, data in more.items()}
    requires = f"Requires-Dist: tensorflow==2.20.*\n{extra}"
    return fakewheels.write_wheel(folder, members, name="tfwheel_ops", version="2.20.0", tag=tag, extra=requires)


def locked(base: Path) -> Base:
    """What bases.toml would say about a wheel."""
    project, version, python, _, platforms = base.name.removesuffix(".whl").split("-")
    return Base(
        project=project.replace("_", "-"),
        version=version,
        python=f"3.{python.removeprefix('cp3')}",
        file=base.name,
        sha256=hashlib.sha256(base.read_bytes()).hexdigest(),
        size=base.stat().st_size,
        platforms=tuple(platforms.split(".")),
        requires_python=">=3.9",
        requires_dist=(),
    )


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A small official wheel."""
    return fakewheels.fake_base(tmp_path, binary=False)


@pytest.fixture
def patches(tmp_path: Path) -> Path:
    """A folder with one patch."""
    folder = tmp_path / "patches"
    folder.mkdir()
    (folder / "label.patch").write_text(PATCH)
    return folder


def merged(base: Path, ops: Path | None = None, patches: Path | None = None, target: Target = TARGET) -> MergedWheel:
    """Merge into a folder beside the base."""
    none, out = base.parent / "no-patches", base.parent / "out"
    return merge_overlay(base=base, locked=locked(base), ops=ops, target=target, patches=patches or none, out_dir=out)


def read(wheel: Path, name: str) -> str:
    """A member as text, through Python's own zipfile."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(name).decode()


def headers(wheel: Path, info: str = INFO) -> Message:
    """The parsed METADATA."""
    return HeaderParser().parsestr(read(wheel, f"{info}/METADATA"))


def test_the_name_has_the_label_and_the_stricter_platform(base: Path, tmp_path: Path) -> None:
    result = merged(base, an_ops(tmp_path))
    assert result.wheel == tmp_path / "out" / "tensorflow-2.20.0+cu125.1-cp312-cp312-manylinux_2_24_x86_64.whl"
    assert result.platforms == ("manylinux_2_24_x86_64",)
    assert read(result.wheel, f"{INFO}/WHEEL").splitlines()[-1] == "Tag: cp312-cp312-manylinux_2_24_x86_64"
    assert list(result.wheel.parent.iterdir()) == [result.wheel]


def test_without_ops_the_platform_is_that_of_the_base(base: Path) -> None:
    result = merged(base)
    assert result.wheel.name.endswith("-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl")
    tags = [line for line in read(result.wheel, f"{INFO}/WHEEL").splitlines() if line.startswith("Tag: ")]
    assert tags == ["Tag: cp312-cp312-manylinux_2_17_x86_64", "Tag: cp312-cp312-manylinux2014_x86_64"]


def test_the_report_is_what_changed(base: Path, patches: Path, tmp_path: Path) -> None:
    result = merged(base, an_ops(tmp_path), patches)
    assert set(result.added) == {
        f"{INFO}/licenses/LICENSE",
        f"{INFO}/licenses/NOTICE",
        f"{INFO}/licenses/tfwheel_ops/LICENSE",
        f"{INFO}/licenses/tfwheel_ops/third/party.txt",
        f"{INFO}/sboms/tfwheel.cdx.json",
        "_tfwheel_ops/__init__.py",
        "_tfwheel_ops/_ops.so",
        "tfwheel_ops.py",
    }
    assert result.replaced == (f"{INFO}/METADATA", f"{INFO}/WHEEL", LABEL)
    assert result.removed == ()
    assert result.sha256 == hashlib.sha256(result.wheel.read_bytes()).hexdigest()
    with WheelReader(base) as old, WheelReader(result.wheel) as new:
        renamed = {name.replace("tensorflow-2.20.0.dist-info", INFO) for name in old.names()}
        assert set(new.names()) == renamed | set(result.added)
        assert new.member("_tfwheel_ops/_ops.so").permissions == 0o755


def test_the_sbom_inside_is_that_of_this_merge(base: Path, patches: Path, tmp_path: Path) -> None:
    result = merged(base, an_ops(tmp_path), patches)
    expected = sbom.of_merged(project="tensorflow", target=TARGET, locked=locked(base), patches=patches, ops=OPS_SBOM)
    assert read(result.wheel, f"{INFO}/{sbom.MEMBER}").encode() == expected
    assert PATCH in json.loads(expected)["metadata"]["component"]["pedigree"]["patches"][0]["diff"]["text"]["content"]


def test_ops_without_an_sbom_are_refused(base: Path, tmp_path: Path) -> None:
    tag = "py3-none-manylinux_2_24_x86_64"
    ops = fakewheels.fake_ops(tmp_path, version="2.20.0", tag=tag, library=b"\x7fELF stand-in")
    with pytest.raises(SbomGateError, match=r"tfwheel_ops-2\.20\.0-.* has no SBOM"):
        merged(base, ops)


def test_a_patch_is_applied_with_the_version_in_it(base: Path, patches: Path) -> None:
    assert read(merged(base, None, patches).wheel, LABEL) == "BUILD_LABEL = '2.20.0+cu125.1'\nOTHER = 1\n"


def test_metadata_has_the_version_and_the_requirements_of_the_target(base: Path, tmp_path: Path) -> None:
    ops = an_ops(tmp_path, extra='Requires-Dist: einops>=0.8\nRequires-Dist: numpy>=2; extra == "x"\n')
    target = replace(TARGET, requires=("protobuf>=5.28,<6",))
    found = headers(merged(base, ops, target=target).wheel)
    assert (found["Name"], found["Version"], found["Metadata-Version"]) == ("tensorflow", "2.20.0+cu125.1", "2.4")
    requires = found.get_all("Requires-Dist")
    assert requires == ["numpy>=1.26.0", "protobuf>=5.28,<6", "einops>=0.8", 'numpy>=2; extra == "x"']
    assert found.get_all("License-File") == [
        "LICENSE",
        "NOTICE",
        "tfwheel_ops/LICENSE",
        "tfwheel_ops/third/party.txt",
    ]


def ops_for(folder: Path, python: str) -> Path:
    """An ops wheel with this Requires-Python."""
    text = f"Metadata-Version: 2.1\nName: tfwheel_ops\nVersion: 2.20.0\nRequires-Python: {python}\n\n"
    return an_ops(folder, **{"tfwheel_ops-2.20.0.dist-info___METADATA": text.encode()})


@pytest.mark.parametrize("python", [">=3.9", ">=3.12.4", "<3.13,!=3.12.1"])
def test_ops_that_the_python_of_the_target_meets_are_merged(base: Path, tmp_path: Path, python: str) -> None:
    assert merged(base, ops_for(tmp_path, python)).wheel.exists()


@pytest.mark.parametrize("python", [">=3.13", "<3.12", "!=3.12.*"])
def test_ops_of_other_pythons_are_refused(base: Path, tmp_path: Path, python: str) -> None:
    with pytest.raises(BadWheelError, match=re.escape(f"requires Python {python}, and this is for Python 3.12")):
        merged(base, ops_for(tmp_path, python))


def test_the_notice_says_what_was_changed(base: Path, patches: Path, tmp_path: Path) -> None:
    notice = read(merged(base, an_ops(tmp_path), patches).wheel, f"{INFO}/licenses/NOTICE")
    for fact in ("modified TensorFlow", base.name, locked(base).sha256, LABEL, "_tfwheel_ops/_ops.so", TARGET.version):
        assert fact in notice


def test_a_base_of_another_name_is_published_as_tensorflow(tmp_path: Path) -> None:
    base = fakewheels.fake_base(tmp_path, project="tensorflow_cpu", binary=False)
    line = Line(name="cpu", label="cpu", base="tensorflow-cpu")
    wheel = merged(base, target=replace(TARGET, line=line)).wheel
    assert wheel.name.startswith("tensorflow-2.20.0+cpu.1-cp312-")
    assert headers(wheel, "tensorflow-2.20.0+cpu.1.dist-info")["Name"] == "tensorflow"


def test_top_level_names_the_ops_too(tmp_path: Path) -> None:
    files = {"tensorflow/__init__.py": b"", "tensorflow-2.20.0.dist-info/top_level.txt": b"tensorflow\n"}
    tag = "cp312-cp312-manylinux_2_17_x86_64"
    base = fakewheels.write_wheel(tmp_path, files, name="tensorflow", version="2.20.0", tag=tag)
    ops = an_ops(tmp_path, **{"tfwheel_ops___sub/x.py": b"", "second_____init__.py": b""})
    words = ["_second", "_tfwheel_ops", "second", "tensorflow", "tfwheel_ops"]
    assert read(merged(base, ops).wheel, f"{INFO}/top_level.txt").split() == words


def test_a_typed_package_brings_its_types_by_another_way_too(base: Path, tmp_path: Path) -> None:
    sources = {"tfwheel_ops___py.typed": b"", "tfwheel_ops____a.py": b"A = 1\n", "tfwheel_ops____a.pyi": b"A: int\n"}
    wheel = merged(base, an_ops(tmp_path, **sources)).wheel
    assert read(wheel, "tfwheel_ops-stubs/__init__.pyi") == read(wheel, "_tfwheel_ops/__init__.py")
    assert read(wheel, "tfwheel_ops-stubs/_a.pyi") == "A: int\n"
    assert read(wheel, "_tfwheel_ops/_a.py") == "A = 1\n"


def test_no_file_of_the_ops_is_owned_by_both_wheels(base: Path, tmp_path: Path) -> None:
    ops = an_ops(tmp_path)
    with WheelReader(ops) as thin, WheelReader(merged(base, ops).wheel) as full:
        assert set(thin.names()).isdisjoint(full.names())


def test_signatures_of_the_base_are_left_out(tmp_path: Path) -> None:
    base = fakewheels.fake_base(tmp_path, binary=False)
    with zipfile.ZipFile(base, "a") as archive:
        archive.writestr("tensorflow-2.20.0.dist-info/RECORD.jws", "{}")
    result = merged(base)
    assert result.removed == ("tensorflow-2.20.0.dist-info/RECORD.jws",)
    with WheelReader(result.wheel) as wheel:
        assert f"{INFO}/RECORD.jws" not in wheel.names()


def test_the_same_inputs_give_the_same_wheel(base: Path, patches: Path, tmp_path: Path) -> None:
    ops = an_ops(tmp_path)
    assert merged(base, ops, patches).sha256 == merged(base, ops, patches).sha256


# --- what must not be ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target", [replace(TARGET, tensorflow="2.21.0"), replace(TARGET, python="3.13")], ids=["version", "python"]
)
def test_a_base_for_another_target_is_refused(base: Path, target: Target) -> None:
    with pytest.raises(BadWheelError, match=target.id):
        merged(base, target=target)
    assert not (base.parent / "out").exists()


def test_a_base_that_is_not_the_locked_project_is_refused(base: Path) -> None:
    lie = replace(locked(base), project="tensorflow-cpu")
    with pytest.raises(BadWheelError, match=r"tensorflow_cpu-2\.20\.0\.dist-info"):
        merge_overlay(base=base, locked=lie, ops=None, target=TARGET, patches=Path("none"), out_dir=base.parent / "out")


def test_a_base_with_a_data_folder_is_refused(tmp_path: Path) -> None:
    files = {"tensorflow/__init__.py": b"", "tensorflow-2.20.0.data/scripts/x": b""}
    tag = "cp312-cp312-manylinux_2_17_x86_64"
    base = fakewheels.write_wheel(tmp_path, files, name="tensorflow", version="2.20.0", tag=tag)
    with pytest.raises(BadWheelError, match=r"\.data folder"):
        merged(base)


@pytest.mark.parametrize(
    "name",
    [
        "tensorflow___extra.py",
        "tensorflow_____init__.py",
        "tfwheel_ops-2.20.0.data___scripts/x",
        "other.libs___libx.so",
        "single.py",
        "no_package___x.py",
        "_tfwheel_ops_____init__.py",
        "foo-bar_____init__.py",
    ],
)
def test_ops_outside_a_package_of_their_own_are_refused(base: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(BadWheelError, match="not in a package of its own"):
        merged(base, an_ops(tmp_path, **{name: b""}))


def test_ops_not_yet_repaired_are_refused(base: Path, tmp_path: Path) -> None:
    with pytest.raises(BadWheelError, match="not a manylinux wheel") as caught:
        merged(base, an_ops(tmp_path, tag="py3-none-linux_x86_64"))
    assert "auditwheel" in caught.value.remedy


def test_ops_made_for_another_tensorflow_are_refused(base: Path, tmp_path: Path) -> None:
    ops = an_ops(tmp_path, extra="Requires-Dist: tensorflow==2.21.*\n")
    with pytest.raises(BadWheelError, match=r"requires tensorflow==2\.21\.\*, and this is TensorFlow 2\.20\.0"):
        merged(base, ops)


def test_a_patch_that_does_not_apply_leaves_nothing(base: Path, patches: Path) -> None:
    (patches / "zz.patch").write_text(PATCH.replace("OTHER = 1", "OTHER = 2"))
    with pytest.raises(PatchError, match=r"zz\.patch: .*, hunk 1 does not apply"):
        merged(base, None, patches)
    assert not (base.parent / "out").exists()


def test_the_licence_shipped_is_apache() -> None:
    assert "Apache License" in overlay.LICENSE.read_text()
