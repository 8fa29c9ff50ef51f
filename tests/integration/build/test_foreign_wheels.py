"""Wheels of custom-op projects: which are taken, and what of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import fakewheels
import opsworld
from tfwheel.build.errors import OpsSourceError

if TYPE_CHECKING:
    from pathlib import Path

# What no user of the ops gets: for another system, for Pythons that are no more, and for an extra.
NEVER = (
    'tensorflow-intel==2.15.0; platform_system == "Windows"',
    'tensorflow<2.16; python_version < "3.9"',
    'x @ git+https://example.org/x ; extra == "dev"',
)
PACKAGE = {"done_ops/__init__.py": b"WHO = 'wheel'"}


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """A configuration with the prebuilt project alone."""
    folder = tmp_path / "settings"
    opsworld.write(folder, {"ops.toml": opsworld.OPS_TOML[opsworld.OPS_TOML.rindex("[[project]]") :]})
    return folder


def taken(
    alone: Path, sdk: Path, tmp_path: Path, *, members: dict[str, bytes], extra: str = "", tag: str = "py3-none-any"
) -> dict[str, bytes]:
    """The members of an ops wheel that has those of a foreign wheel."""
    done = fakewheels.write_wheel(alone, members, name="done", version="1", tag=tag, extra=extra)
    opsworld.change(alone, 'path = "done"', f'path = "{done.name}"')
    return fakewheels.members_of(opsworld.compiled(alone, sdk, tmp_path))


def metadata(members: dict[str, bytes]) -> list[str]:
    return next(data.decode() for name, data in members.items() if name.endswith("/METADATA")).splitlines()


@pytest.mark.parametrize("tag", ["py3-none-any", "cp312-cp312-manylinux_2_17_x86_64", "cp312-abi3-linux_x86_64"])
def test_a_wheel_is_taken_with_its_requirements(alone: Path, sdk: Path, tmp_path: Path, tag: str) -> None:
    extra = "Requires-Dist: attrs>=20\nRequires-Dist: tf_nightly\nRequires-Dist: tensorflow-cpu>=2.20\n"
    for never in NEVER:
        extra += f"Requires-Dist: {never}\n"
    members = taken(alone, sdk, tmp_path, members=PACKAGE, extra=extra, tag=tag)
    assert members["done_ops/__init__.py"] == b"WHO = 'wheel'"
    lines = metadata(members)
    requires = [line for line in lines if line.startswith("Requires-Dist")]
    assert requires == ["Requires-Dist: tensorflow==2.20.*", "Requires-Dist: attrs>=20"]


def test_what_an_installer_would_put_beside_the_rest_is_there(alone: Path, sdk: Path, tmp_path: Path) -> None:
    parts = {"done-1.data/purelib/done_ops/__init__.py": b"", "done-1.data/platlib/done_ops/deep/data.bin": b"1"}
    members = taken(alone, sdk, tmp_path, members=parts)
    assert members["done_ops/deep/data.bin"] == b"1"
    assert "done_ops/__init__.py" in members


def test_a_wheel_whose_package_has_no_python_gets_the_lines_that_load_its_library(
    alone: Path, sdk: Path, tmp_path: Path
) -> None:
    text = (alone / "ops.toml").read_text()
    (alone / "ops.toml").write_text(f'{text}[[project.library]]\nfile = "done_ops/_x.so"\narchs = "none"\n')
    members = taken(alone, sdk, tmp_path, members={"done_ops/_x.so": b"no library"})
    assert b"tf.load_op_library" in members["done_ops/__init__.py"]


def test_a_wheel_that_needs_a_newer_python_makes_the_ops_need_it(alone: Path, sdk: Path, tmp_path: Path) -> None:
    old = {"done-1.dist-info/METADATA": b"Metadata-Version: 2.1\nName: done\nVersion: 1\nRequires-Python: >=3.11\n\n"}
    assert "Requires-Python: >=3.11,>=3.9" in metadata(taken(alone, sdk, tmp_path, members=PACKAGE | old))


def test_licences_are_kept_wherever_they_are_and_entry_points_are_missed_aloud(
    alone: Path, sdk: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    info = {"LICENSE.txt": b"old", "licenses/deep/NOTICE": b"new", "entry_points.txt": b"[console_scripts]\nx = a:b\n"}
    members = taken(
        alone, sdk, tmp_path, members=PACKAGE | {f"done-1.dist-info/{name}": data for name, data in info.items()}
    )
    texts = {name.partition("/licenses/")[2]: data for name, data in members.items() if "/licenses/" in name}
    assert texts == {"done/LICENSE.txt": b"old", "done/deep/NOTICE": b"new"}
    assert not [name for name in members if name.endswith("entry_points.txt")]
    assert "of `done` has entry points, which the ops wheel does not get" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("members", "extra", "tag", "words"),
    [
        ({"tensorflow/evil.py": b""}, "", "", "brings `tensorflow`, which `packages` does not name"),
        ({"done-1.data/scripts/run": b""}, "", "", "brings `done-1.data`, which `packages` does not name"),
        ({"done_ops/_x.cpython-312-x86_64-linux-gnu.so": b""}, "", "", "_x.cpython.*so, a module for one Python alone"),
        ({}, "", "cp312-cp312-win_amd64", "is not for Linux on x86-64"),
        ({}, "", "py3-none-manylinux_2_17_aarch64", "is not for Linux on x86-64"),
        ({}, "Requires-Dist: six @ https://example.org/six.whl\n", "", "six.whl`, a URL: users of an index cannot"),
        ({}, "Requires-Dist: tensorflow<2.16\n", "", "requires `tensorflow<2.16`, and this is for TensorFlow 2.20.0"),
        ({}, "Requires-Dist: tf-nightly>=3\n", "", "requires `tf-nightly>=3`, and this is for TensorFlow 2.20.0"),
        ({}, "Requires-Dist: not a requirement\n", "", "METADATA cannot be read"),
        ({"done-1.dist-info/METADATA": b"Name: done\nVersion: 1\nRequires-Python: three\n\n"}, "", "", "an odd Python"),
        ({"../done_ops/x.py": b""}, "", "", "is not a name inside the folder"),
    ],
)
def test_a_wheel_that_cannot_be_taken_is_refused(  # noqa: PLR0917 -- fixtures and parameters
    alone: Path, sdk: Path, tmp_path: Path, members: dict[str, bytes], extra: str, tag: str, words: str
) -> None:
    with pytest.raises(OpsSourceError, match=f"`done`:? .*{words}"):
        taken(alone, sdk, tmp_path, members=PACKAGE | members, extra=extra, tag=tag or "py3-none-any")


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06" + bytes(18), b"no zip at all"])
def test_a_file_that_is_no_wheel_is_refused(alone: Path, sdk: Path, tmp_path: Path, data: bytes) -> None:
    (alone / "done-1-py3-none-any.whl").write_bytes(data)
    opsworld.change(alone, 'path = "done"', 'path = "done-1-py3-none-any.whl"')
    with pytest.raises(OpsSourceError, match=r"`done`: done-1-py3-none-any\.whl"):
        opsworld.compiled(alone, sdk, tmp_path)
