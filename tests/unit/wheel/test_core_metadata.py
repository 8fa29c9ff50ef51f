"""METADATA: edited exactly, and refused where two installers could read it in two ways."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from packaging.metadata import Metadata

from tfwheel.errors import BadWheelError
from tfwheel.wheel import core_metadata

if TYPE_CHECKING:
    from collections.abc import Callable

OFFICIAL = """\
Metadata-Version: 2.1
Name: tensorflow_cpu
Version: 2.20.0
Summary: Learning
License: Apache 2.0
   folded
Requires-Python: >=3.9
Requires-Dist: absl-py>=1.0.0
Requires-Dist: google_pasta>=0.1.1
Requires-Dist: protobuf>=5.28.0
Provides-Extra: and-cuda
Requires-Dist: nvidia-cublas-cu12<13.0; extra == "and-cuda"
Requires-Dist: protobuf ==1.0 ; extra == 'and-cuda'

Name: in the description
Version: untouched


end"""


PIECES = [b"", b"\n", b"\r", b":", b"\0", b"\xff", b'"', b"\n\n", b"\nName: x\n", b"Requires-Dist: a; extra == 'b'\n"]


def edited(text: str = OFFICIAL, **changes: object) -> str:
    """The edited METADATA as text."""
    options = {"name": "tensorflow", "version": "2.20.0+cpu.1"} | changes
    return core_metadata.edit_metadata(text.encode(), **options).decode()  # type: ignore[arg-type]


def test_name_and_version_change_and_nothing_else() -> None:
    expected = OFFICIAL.replace("tensorflow_cpu", "tensorflow").replace("2.20.0", "2.20.0+cpu.1")
    assert edited() == expected


@pytest.mark.parametrize("text", [OFFICIAL, OFFICIAL.replace("Requires-Python: >=3.9\n", "")])
def test_another_requires_python_takes_the_place_of_any(text: str) -> None:
    lines = edited(text, python=">=3.11,>=3.9").partition("\n\n")[0].splitlines()
    assert [line for line in lines if line.startswith("Requires-Python")] == ["Requires-Python: >=3.11,>=3.9"]
    assert edited(text).count("Requires-Python") == text.count("Requires-Python")


@pytest.mark.parametrize(
    ("own", "renamed"),
    [
        ('tensorflow-cpu[and-cuda]; extra == "all"', 'tensorflow[and-cuda]; extra == "all"'),
        ("Tensorflow.CPU ==2.20.0", "tensorflow ==2.20.0"),
        ("tensorflow-cpu-plugin>=1", "tensorflow-cpu-plugin>=1"),
    ],
)
def test_what_it_requires_of_itself_follows_its_name(own: str, renamed: str) -> None:
    text = OFFICIAL.replace("Requires-Dist: absl-py>=1.0.0", f"Requires-Dist: {own}")
    assert f"\nRequires-Dist: {renamed}\n" in edited(text)
    assert edited(text).count("Requires-Dist") == OFFICIAL.count("Requires-Dist")


def test_newlines_are_kept() -> None:
    windows = OFFICIAL.replace("\n", "\r\n")
    assert edited(windows) == edited().replace("\n", "\r\n")


@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
def test_a_description_is_not_needed(end: str) -> None:
    text = "Metadata-Version: 2.4\nName: a\nVersion: 1" + end
    expected = "Metadata-Version: 2.4\nName: tensorflow\nVersion: 2.20.0+cpu.1\nLicense-File: LICENSE" + (end or "\n")
    assert edited(text, license_files=["LICENSE"]) == expected


def test_a_requirement_replaces_the_one_of_that_name_whatever_its_spelling() -> None:
    text = edited(requires=["Google.Pasta>=9", "protobuf<6"])
    assert "google_pasta" not in text
    assert "Requires-Dist: protobuf>=5.28.0" not in text
    assert {"Requires-Dist: Google.Pasta>=9", "Requires-Dist: protobuf<6"} <= set(text.splitlines())


def test_a_requirement_without_an_extra_replaces_those_of_all_extras() -> None:
    text = edited(requires=["protobuf<6"])
    assert [line for line in text.splitlines() if "protobuf" in line] == ["Requires-Dist: protobuf<6"]


def test_a_requirement_of_an_extra_replaces_the_one_of_that_extra() -> None:
    text = edited(requires=["nvidia-cublas-cu12==12.9; extra == 'and_cuda'"])
    assert [line for line in text.splitlines() if "cublas" in line] == [
        "Requires-Dist: nvidia-cublas-cu12==12.9; extra == 'and_cuda'"
    ]


def test_an_official_requirement_never_stays_beside_ours_for_an_extra() -> None:
    with pytest.raises(BadWheelError, match=r"keeps `protobuf>=5\.28\.0` beside") as caught:
        edited(requires=['protobuf==2.0; extra == "and_cuda"'])
    assert "without `extra`" in caught.value.remedy


def test_a_new_extra_is_declared_for_pip_ignores_others() -> None:
    text = edited(requires=['wandb; extra == "Mine"', 'rich; extra == "mine"'])
    assert text.count("Provides-Extra: mine\n") == 1
    assert Metadata.from_email(text, validate=True).provides_extra == ["and-cuda", "mine"]


def test_what_is_added_replaces_nothing() -> None:
    lines = edited(requires=["protobuf<6"], adds=["absl-py>=2", "einops"]).splitlines()
    assert {"Requires-Dist: absl-py>=1.0.0", "Requires-Dist: absl-py>=2", "Requires-Dist: einops"} <= set(lines)


def test_an_extra_gets_other_requirements_and_all_else_stays() -> None:
    text = core_metadata.with_extra(OFFICIAL.encode(), "and-cuda", ["nvidia-cublas>=13,<14"]).decode()
    old = [line for line in OFFICIAL.splitlines() if "extra ==" in line]
    assert set(OFFICIAL.splitlines()) - set(text.splitlines()) == set(old)
    assert set(text.splitlines()) - set(OFFICIAL.splitlines()) == {
        "Requires-Dist: nvidia-cublas>=13,<14; extra == 'and-cuda'"
    }
    assert text.partition("\n\n")[2] == OFFICIAL.partition("\n\n")[2]
    for other in ("'and-cuda' == extra", "extra in 'and-cuda'"):
        odd = OFFICIAL.replace("extra == 'and-cuda'", other)
        assert "protobuf ==1.0" not in core_metadata.with_extra(odd.encode(), "and-cuda", ["nvidia-cublas"]).decode()
    added = core_metadata.with_extra(OFFICIAL.encode(), "tpu", ["numpy"]).decode().splitlines()
    assert set(added) - set(OFFICIAL.splitlines()) == {"Provides-Extra: tpu", "Requires-Dist: numpy; extra == 'tpu'"}


def test_new_requirements_are_added() -> None:
    assert "Requires-Dist: einops>=0.8" in edited(requires=["einops>=0.8"]).partition("\n\n")[0]
    bare = edited("Metadata-Version: 2.1\nName: a\nVersion: 1\n", requires=["b"])
    assert bare.endswith("Version: 2.20.0+cpu.1\nRequires-Dist: b\n")


def test_two_requirements_of_one_name_both_stay() -> None:
    ours = ['numpy<2; python_version<"3.12"', 'numpy>=2; python_version>="3.12"']
    assert [line for line in edited(requires=ours).splitlines() if "numpy" in line] == [
        f"Requires-Dist: {one}" for one in ours
    ]


def test_licence_files_raise_the_metadata_version() -> None:
    text = edited(license_files=["LICENSE", "NOTICE"])
    parsed = Metadata.from_email(text, validate=True)
    assert parsed.license_files == ["LICENSE", "NOTICE"]
    assert parsed.metadata_version == "2.4"
    assert edited(OFFICIAL.replace("2.1", "2.5"), license_files=["L"]).startswith("Metadata-Version: 2.5")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Name: tensorflow_cpu\n", "", "0 headers `Name` instead of one"),
        ("Version: 2.20.0\n", "Version: 1\nVersion: 2\n", "its header Version is there more than once"),
        ("Summary: Learning\n", "Summary: a\nSummary: b\n", "its header Summary is there more than once"),
        ("Summary: Learning\n", "Summary: a\rName: keras\n", "a carriage return that ends no line"),
        ("Summary: Learning\n", "Summary: a\0\n", "a NUL"),
        ("Summary: Learning\n", "Summary a\n", "its headers end before an empty line does"),
        ("absl-py>=1.0.0", "absl-py >>", "Expected"),
        ("Metadata-Version: 2.1", "Metadata-Version: two", "invalid literal"),
    ],
)
def test_metadata_that_is_read_in_two_ways_is_refused(old: str, new: str, said: str) -> None:
    with pytest.raises(BadWheelError, match=said):
        edited(OFFICIAL.replace(old, new, 1), license_files=["LICENSE"], requires=["b"])


@pytest.mark.parametrize("read", [core_metadata.read, core_metadata.requirements])
def test_metadata_that_is_not_utf_8_is_refused(read: Callable[[bytes], object]) -> None:
    with pytest.raises(BadWheelError, match="'utf-8' codec"):
        read(OFFICIAL.encode() + b"\xff")


def test_no_mutated_metadata_ends_in_another_exception() -> None:
    """Each mutant is refused in words, or says afterwards what it was told to say."""
    chosen = random.Random(12)  # noqa: S311 -- the same mutants each time
    data, accepted = OFFICIAL.encode(), 0
    for _ in range(1500):
        mutant = bytearray(data)
        for _ in range(chosen.randint(1, 3)):
            at = chosen.randrange(len(mutant))
            mutant[at : at + chosen.randint(0, 9)] = chosen.choice(PIECES)
        try:
            new = core_metadata.edit_metadata(bytes(mutant), name="tensorflow", version="1+a", requires=["protobuf<6"])
        except BadWheelError:
            continue
        accepted += 1
        found = core_metadata.read(new)
        assert (found["name"], found["version"]) == ("tensorflow", "1+a")
        assert [one for one in found["requires_dist"] if core_metadata.identity(one)[0] == "protobuf"] == ["protobuf<6"]
    assert 100 < accepted < 1400


def test_requirements_are_those_of_the_headers() -> None:
    found = core_metadata.requirements(OFFICIAL.encode())
    assert len(found) == 5
    assert found[-1] == "protobuf ==1.0 ; extra == 'and-cuda'"
