"""Keys and values of the configuration: each mistake is named with file, place and what it must be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from auditwheel.architecture import Architecture
from auditwheel.libc import Libc
from auditwheel.policy import WheelPolicies

from smallconfig import BASES, FILES, LINES, REPAIR, RETARGET, TARGETS, refusal, swap
from tfwheel.config import field_types

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"targets": swap(TARGETS, "build = 1", "build = 1\nbilder = 'ops'")},
            "targets.toml: unknown key `release[0].bilder`; did you mean `builder`?",
        ),
        (
            {"targets": TARGETS + 'pithon = "3.12"\n'},
            "targets.toml: unknown key `exclude[0].pithon`; did you mean `python`?",
        ),
        ({"targets": TARGETS + "[[exclud]]\n"}, "targets.toml: unknown key `exclud`; did you mean `exclude`?"),
        ({"lines": swap(LINES, "archs", "arch")}, "lines.toml: unknown key `cu12.arch`; did you mean `archs`?"),
        (
            {"repair": REPAIR + "zzz = 1\n"},
            "repair.toml: unknown key `zzz`; known: ceiling, exclude, max_bytes",
        ),
        (
            {"bases": swap(BASES, "size =", "syze =")},
            "bases.toml: unknown key `base[0].syze`; did you mean `size`?",
        ),
    ],
)
def test_an_unknown_key_gets_the_nearest_known_one(tmp_path: Path, changed: dict[str, str], words: str) -> None:
    assert words in refusal(tmp_path, **changed).splitlines()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (
            {"targets": swap(TARGETS, '["3.11", "3.12"]', "[3.10]")},
            'targets.toml: `release[0].pythons[0]` must be quoted: write "3.10" (unquoted it is the number 3.1)',
        ),
        ({"lines": swap(LINES, '"75"', "75")}, 'lines.toml: `cu12.archs[0]` must be quoted: write "75"'),
        (
            {"targets": swap(TARGETS, '"2.20.0"\nbuild', '"2.20"\nbuild')},
            "`release[0].tensorflow`: must be a version of three numbers",
        ),
        (
            {"targets": swap(TARGETS, "build = 1", "build = 0")},
            "`release[0].build`: input should be greater than or equal",
        ),
        ({"targets": swap(TARGETS, "build = 1", 'build = "1"')}, "`release[0].build`: input should be a valid integer"),
        ({"targets": swap(TARGETS, "build = 1\n", "")}, "targets.toml: `release[0].build` is missing"),
        (
            {"targets": swap(TARGETS, '["3.11", "3.12"]', "[]")},
            "`release[0].pythons`: list should have at least 1 item",
        ),
        (
            {"targets": swap(TARGETS, '["3.11", "3.12"]', "[true]")},
            "`release[0].pythons[0]`: input should be a valid string",
        ),
        ({"targets": ""}, "targets.toml: `release` is missing"),
        (
            {"targets": swap(TARGETS, "protobuf>=5.28,<6", "protobuf >=> 5")},
            "`release[0].requires[0]`: not a requirement",
        ),
        ({"targets": swap(TARGETS, "nobody asked for it", "because")}, "`exclude[0].reason`: string should have"),
        ({"targets": swap(TARGETS, 'reason = "nobody asked for it"', "")}, "`exclude[0].reason` is missing"),
        (
            {"targets": swap(TARGETS, "default = true", 'builder = "bazel"')},
            "`release[0].builder`: input should be 'overlay'",
        ),
        (
            {"targets": swap(TARGETS, '"cu12", "cpu"', '"cu12", "cpuu"')},
            "TensorFlow 2.20.0 names the line `cpuu`; did you mean `cpu`?",
        ),
        (
            {"targets": swap(TARGETS, 'python = "3.12"', 'python = "3.13"')},
            "the exclusion of TensorFlow 2.20.0, Python 3.13, line cpu matches nothing",
        ),
        (
            {"lines": swap(LINES, "[cu12]", '["cu-12"]')},
            "lines.toml: `cu-12` is no name here; must be small letters and digits only",
        ),
        (
            {"lines": swap(LINES, 'archs = ["75", "80"]\nptx = "90"', "")},
            "`cu12` has a CUDA version but neither `archs` nor `ptx`",
        ),
        (
            {"lines": swap(LINES, 'cuda = "12.5.1"', "")},
            "`cu12` has GPU code (`archs`, `ptx`, `toolkit`) but no CUDA version",
        ),
        ({"lines": swap(LINES, '"cu125"', '"cu12.5"')}, "`cu12.label`: must be small letters and digits"),
        (
            {"repair": swap(REPAIR, "manylinux_2_35_x86_64", "linux_x86_64")},
            "`ceiling`: must be a manylinux policy",
        ),
        ({"bases": swap(BASES, "ab" * 32, "ab")}, "`base[0].sha256`: must be a sha256"),
    ],
)
def test_a_bad_value_is_named_with_its_place(tmp_path: Path, changed: dict[str, str], words: str) -> None:
    assert words in refusal(tmp_path, **changed)


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    text = swap(swap(REPAIR, "1_900_000_000", "0"), '["libcuda*"]', '"libcuda*"')
    assert len(refusal(tmp_path, repair=text).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('base_url = "https://example.org/index"\n', "`base_url`"),
        ('base_url = "example.org/"\n', "`base_url`"),
        ('[[acknowledge]]\nname = "our-ops"\n', r"`acknowledge\[0\].reason` is missing"),
        ('[[acknowledge]]\nname = "our-ops"\nreason = "so"\n', r"`acknowledge\[0\].reason`"),
    ],
)
def test_a_free_name_needs_a_reason_and_an_address_a_slash(tmp_path: Path, text: str, said: str) -> None:
    assert re.search(rf"index\.toml: .*{said}", refusal(tmp_path, index=text))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("generated =", "generatet =", "unknown key `cu12.retarget.generatet`; did you mean `generated`?"),
        (
            'ptx = "90"\ntools',
            'ptx = "9.0"\ntools',
            "`cu12.retarget.ptx`: must be a compute capability without",
        ),
        (
            '"120", "70", "80"',
            '"120", "sm_70"',
            "`cu12.retarget.archs[1]`: must be a compute capability",
        ),
        ('["120", "70", "80"]', "[]", "`cu12.retarget.archs`: list should have at least 1 item"),
        ('"120", "70", "80"', '"120", "70", "80", "70"', "`cu12.retarget.archs` names 70 more than once"),
        (
            '["120", "70"]',
            '["120", "75"]',
            "`cu12.retarget.generated` has 75, which `archs` lacks; known: 120, 70, 80",
        ),
        ("==12.9.86", ">=12.9", "`cu12.retarget.tools[0]`: must be an exact version"),
        (', "nvidia-nvfatbin-cu12==12.8.90"]', "]", "`cu12.retarget.tools[1]` is missing"),
        ('xla = "12.8"', "xla = 12.8", '`cu12.retarget.xla` must be quoted: write "12.8"'),
        ('xla = "12.8"', 'libraries = "some"', '`cu12.retarget.libraries`: must be a list of file names, or "all" for'),
        ('xla = "12.8"', 'libraries = "ALL"', '`cu12.retarget.libraries`: must be a list of file names, or "all" for'),
        ('xla = "12.8"', "libraries = true", '`cu12.retarget.libraries`: must be a list of file names, or "all" for'),
        ('xla = "12.8"', "libraries = []", "`cu12.retarget.libraries`: list should have at least 1 item"),
        ('xla = "12.8"', 'libraries = ["a/b.so"]', "`cu12.retarget.libraries[0]`: must be a file name without a path"),
        ("[cu12.retarget]", "[cpu.retarget]", "`cpu.retarget` is for GPU code, and the line has no CUDA version"),
    ],
)
def test_mistakes_about_official_gpu_code_are_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert words in refusal(tmp_path, lines=swap(RETARGET, old, new))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("[cu12]", "[cu12]\nrpath = 1", "`cu12.rpath`: input should be a valid boolean"),
        ("[cu12]", '[cu12]\nrpath = "yes"', "`cu12.rpath`: input should be a valid boolean"),
        ("[cu12]", "[cu12]\nrpaths = true", "unknown key `cu12.rpaths`; did you mean `rpath`?"),
        ("[cpu]", "[cpu]\nrpath = true", "`cpu.rpath` is about the search for CUDA, and the line has no CUDA version"),
        (
            "[cu12]",
            '[cu12]\nbuilder = "ops"\nrpath = true',
            "`cu12.rpath` changes an official library, and the builder `ops` has none",
        ),
        (
            "[cu12]",
            '[cu12]\nbuilder = "source"\nrpath = true',
            "`cu12.rpath` changes an official library, and the builder `source` has none",
        ),
    ],
)
def test_mistakes_about_the_search_for_cuda_are_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert words in refusal(tmp_path, lines=swap(LINES, old, new))


@pytest.mark.parametrize(
    "pin", [">=12.5", "==12.*", "", "==12.5,!=12.5.1", "==12.5; python_version > '3'", " @ https://x/y.whl"]
)
def test_a_part_of_the_toolkit_that_is_not_pinned_is_refused(tmp_path: Path, pin: str) -> None:
    named = refusal(tmp_path, lines=LINES.replace("==12.5.82", pin))
    assert named.startswith("lines.toml: `cu12.toolkit[0]`: must be an exact version")


FULLWIDTH_3, ARABIC_0 = "\uff13", "\u0660"


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("targets", '"3.11"', f'"3.1{FULLWIDTH_3}"', "`release[0].pythons[0]`: must be the minor version of a Python"),
        ("targets", '"3.11"', '"3.011"', "`release[0].pythons[0]`: must be the minor version of a Python"),
        ("targets", '"3.11"', '"3.11\\n"', "`release[0].pythons[0]`: must be the minor version of a Python"),
        ("targets", '"2.20.0"\nbuild', f'"2.20.{ARABIC_0}"\nbuild', "must be a version of three numbers"),
        ("targets", '"2.20.0"\nbuild', '"2.20.0-rc0"\nbuild', "or a pre-release, as in `2.22.0rc0`"),
        ("targets", '"2.20.0"\nbuild', '"2.20.0rc"\nbuild', "or a pre-release, as in `2.22.0rc0`"),
        ("targets", '"2.20.0"\nbuild', '"2.20.0.dev1"\nbuild', "a nightly build is no base: PyPI removes each"),
        ("targets", '"2.20.0"\nbuild', '"2.23.0-dev20261101"\nbuild', "a nightly build is no base: PyPI removes each"),
        ("bases", "generated =", "other =", "`other` is no name here"),
        ("bases", '"sm_89"', '"compute_x"', "must be GPU code as NVIDIA's tools name it"),
        ("lines", "12.5.1", "12.5.1rc1", "must be a version of three numbers without leading zeros, as in `12.5.1`"),
        ("targets", '"2.20.0"\nbuild', '"2.020.0"\nbuild', "must be a version of three numbers without leading zeros"),
        ("targets", "build = 1", "build = 100000", "`release[0].build`: input should be less than or equal to 99999"),
        ("targets", "protobuf>=5.28,<6", "a @ https://example.org/a.whl", "a name and versions, never a URL"),
        ("targets", "protobuf>=5.28,<6", "a\\nRequires-Dist: b", "characters that are no ASCII text"),
        ("targets", "protobuf>=5.28,<6", f"a>={ARABIC_0}", "characters that are no ASCII text"),
        ("targets", "protobuf>=5.28,<6", "a" * 501, "at most 500 characters"),
        ("targets", "protobuf>=5.28,<6", "a; extra != 'b'", "name one extra, alone or joined by `and`"),
        ("targets", "protobuf>=5.28,<6", "a; extra == 'b' or extra == 'c'", "name one extra"),
        ("targets", "protobuf>=5.28,<6", "a; 'b' == extra", "name one extra"),
        (
            "lines",
            '"75"',
            '"8.9"',
            "must be a compute capability without its dot, as in `89` for 8.9 (sm_89) (got '8.9')",
        ),
        ("lines", '"75"', '"075"', "must be a compute capability"),
        ("lines", '"cu125"', '"007"', "no number with leading zeros (007 is 7 in a version)"),
        ("lines", '"cu125"', f'"{"a" * 21}"', "at most 20"),
        ("lines", "[cu12]", f'["cu1{FULLWIDTH_3}"]', "is no name here"),
        ("lines", 'base = "tensorflow"', 'base = "../tensorflow"', "must be the normalised name of a project"),
        ("lines", "12.5.1", f"12.5.{ARABIC_0}", "must be a version of three numbers"),
        (
            "repair",
            "2_35",
            "2_99",
            "must be a manylinux policy, as in `manylinux_2_35_x86_64` (known after the 2: 5, 12,",
        ),
        (
            "bases",
            BASES.split('file = "')[1].split('"')[0],
            "../../x.whl",
            "must be the file name of a wheel without a path",
        ),
        ("bases", "numpy>=1.26.0", "numpy>>1", "`base[0].requires_dist[0]`: not a requirement"),
    ],
)
def test_what_only_looks_right_is_refused(tmp_path: Path, name: str, old: str, new: str, words: str) -> None:
    said = refusal(tmp_path, **{name: swap(FILES[f"{name}.toml"], old, new)})
    assert words in said
    assert said.startswith(f"{name}.toml: ")


def test_every_known_policy_is_one_of_auditwheel() -> None:
    policies = WheelPolicies(libc=Libc.GLIBC, arch=Architecture.x86_64)
    for minor in field_types.GLIBC:
        assert policies.get_policy_by_name(f"manylinux_2_{minor}_x86_64")
