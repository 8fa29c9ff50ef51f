"""The configuration: read whole, and every mistake in it named with file, place and remedy."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tfwheel.config import build_config, schema
from tfwheel.config.errors import ConfigError
from tfwheel.config.schema import Retarget

if TYPE_CHECKING:
    from pathlib import Path

TARGETS = """
[[release]]
tensorflow = "2.20.0"
build = 1
pythons = ["3.11", "3.12"]
lines = ["cu12", "cpu"]
default = true
requires = ["protobuf>=5.28,<6"]

[[exclude]]
tensorflow = "2.20.0"
python = "3.12"
line = "cpu"
reason = "nobody asked for it"
"""
LINES = """
[cpu]
label = "cpu"
base = "tensorflow-cpu"

[cu12]
label = "cu125"
base = "tensorflow"
cuda = "12.5.1"
archs = ["75", "80"]
ptx = "90"
toolkit = ["nvidia-nvfatbin-cu12==12.5.82"]
"""
REPAIR = """
ceiling = "manylinux_2_35_x86_64"
max_bytes = 1_900_000_000
exclude = ["libcuda*"]
"""
BASES = f"""
[[base]]
project = "tensorflow"
version = "2.20.0"
python = "3.12"
file = "tensorflow-2.20.0-cp312-cp312-manylinux_2_17_x86_64.whl"
sha256 = "{"ab" * 32}"
size = 620682547
platforms = ["manylinux_2_17_x86_64"]
requires_python = ">=3.9"
requires_dist = ["numpy>=1.26.0"]
runpaths = {{ "tensorflow/a.so" = "$ORIGIN" }}
archs = {{ "tensorflow/a.so" = ["sm_80", "compute_90"] }}
"""
FILES = {"targets.toml": TARGETS, "lines.toml": LINES, "repair.toml": REPAIR, "bases.toml": BASES}


def load(folder: Path, **changed: str | None) -> build_config.Config:
    """Load a good configuration in which some files (named without ``.toml``) have other text, or None: are absent."""
    for name, text in (FILES | {f"{stem}.toml": text for stem, text in changed.items()}).items():
        if text is not None:
            (folder / name).write_text(text)
    return build_config.load(folder)


def refusal(folder: Path, **changed: str | None) -> str:
    """The message about a bad configuration."""
    with pytest.raises(ConfigError) as caught:
        load(folder, **changed)
    return caught.value.message.replace(f"{folder}/", "")


def test_everything_is_read(tmp_path: Path) -> None:
    read = load(tmp_path)
    (release,), (exclusion,), (base,) = read.releases, read.exclusions, read.bases
    assert (release.tensorflow, release.pythons, release.default) == ("2.20.0", ["3.11", "3.12"], True)
    assert exclusion.reason == "nobody asked for it"
    assert read.lines["cu12"].gpu_code == ("sm_75", "sm_80", "compute_90")
    assert read.lines["cpu"].gpu_code == ()
    assert base.runpaths == {"tensorflow/a.so": "$ORIGIN"}
    assert base.archs == {"tensorflow/a.so": ("sm_80", "compute_90")}
    assert read.repair.exclude == ("libcuda*",)
    assert read.directory == tmp_path


def test_the_configuration_of_this_project_is_sound() -> None:
    read = build_config.load()
    assert {"cpu", "cu12", "cu13"} <= read.lines.keys()


def test_the_lock_may_not_be_there_yet(tmp_path: Path) -> None:
    assert load(tmp_path, bases=None).bases == ()


@pytest.mark.parametrize("name", ["targets", "lines", "repair"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    assert refusal(tmp_path, **{name: None}) == f"{name}.toml is missing"


def test_what_is_not_toml_is_refused_with_its_line(tmp_path: Path) -> None:
    assert refusal(tmp_path, repair='ceiling = "manylinux').startswith("repair.toml is not TOML: ")
    assert "line 1" in refusal(tmp_path, repair="ceiling = manylinux")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    load(tmp_path)
    (tmp_path / "repair.toml").write_bytes(b"ceiling = '\xff'")
    with pytest.raises(ConfigError, match=r"repair.toml is not TOML: 'utf-8' codec"):
        build_config.load(tmp_path)


def swap(text: str, old: str, new: str) -> str:
    """The text with something else in it."""
    assert old in text
    return text.replace(old, new)


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
            'targets.toml: `release[0].pythons[0]` must be quoted: write "3.1" (an unquoted 3.10 would be',
        ),
        ({"lines": swap(LINES, '"75"', "75")}, 'lines.toml: `cu12.archs[0]` must be quoted: write "75" '),
        (
            {"targets": swap(TARGETS, '"2.20.0"\nbuild', '"2.20"\nbuild')},
            "`release[0].tensorflow`: string should match",
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
        ({"lines": swap(LINES, "[cu12]", '["cu-12"]')}, "lines.toml: `cu-12` cannot name a line"),
        (
            {"lines": swap(LINES, 'archs = ["75", "80"]\nptx = "90"', "")},
            "`cu12` has a CUDA version but neither `archs` nor `ptx`",
        ),
        (
            {"lines": swap(LINES, 'cuda = "12.5.1"', "")},
            "`cu12` has GPU code (`archs`, `ptx`, `toolkit`) but no CUDA version",
        ),
        ({"lines": swap(LINES, '"cu125"', '"cu12.5"')}, "`cu12.label`: string should match pattern"),
        ({"repair": swap(REPAIR, "manylinux_2_35_x86_64", "linux_x86_64")}, "`ceiling`: string should match pattern"),
        ({"bases": swap(BASES, "ab" * 32, "ab")}, "`base[0].sha256`: string should match pattern"),
    ],
)
def test_a_bad_value_is_named_with_its_place(tmp_path: Path, changed: dict[str, str], words: str) -> None:
    assert words in refusal(tmp_path, **changed)


def test_all_faults_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    text = swap(swap(REPAIR, "1_900_000_000", "0"), '["libcuda*"]', '"libcuda*"')
    assert len(refusal(tmp_path, repair=text).splitlines()) == 2


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("cu21", ["cu12", "cpu"], "did you mean `cu12`?"),
        ("zebra", ["cu12", "cpu"], "known: cpu, cu12"),
        ("zebra", [], "known: none"),
    ],
)
def test_a_misspelt_word_gets_a_hint(word: str, known: list[str], hint: str) -> None:
    assert build_config.nearest(word, known) == hint


def test_the_index_has_no_address_and_no_free_names_unless_they_are_given(tmp_path: Path) -> None:
    assert load(tmp_path).index == schema.IndexSettings(base_url="", acknowledge=[])
    text = 'base_url = "https://example.org/index/"\n[[acknowledge]]\nname = "our-ops"\nreason = "only by exact pin"\n'
    found = load(tmp_path, index=text).index
    assert (found.base_url, found.acknowledge[0].name) == ("https://example.org/index/", "our-ops")


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


RETARGET = (
    LINES
    + """
[cu12.retarget]
archs = ["120", "70", "80"]
generated = ["120", "70"]
ptx = "90"
tools = ["nvidia-cuda-nvcc-cu12==12.9.86", "nvidia-nvfatbin-cu12==12.8.90"]
xla = "12.8"
"""
)


def test_what_becomes_of_official_gpu_code_is_read(tmp_path: Path) -> None:
    read = load(tmp_path, lines=RETARGET).lines
    assert read["cpu"].retarget is None
    assert read["cu12"].retarget == Retarget(
        archs=("70", "80", "120"),
        generated=("120", "70"),
        ptx="90",
        tools=("nvidia-cuda-nvcc-cu12==12.9.86", "nvidia-nvfatbin-cu12==12.8.90"),
        xla="12.8",
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("generated =", "generatet =", "unknown key `cu12.retarget.generatet`; did you mean `generated`?"),
        ('ptx = "90"\ntools', 'ptx = "9.0"\ntools', "`cu12.retarget.ptx`: string should match pattern"),
        ('"120", "70", "80"', '"120", "sm_70"', "`cu12.retarget.archs[1]`: string should match pattern"),
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
        ("[cu12.retarget]", "[cpu.retarget]", "`cpu.retarget` is for GPU code, and the line has no CUDA version"),
    ],
)
def test_mistakes_about_official_gpu_code_are_named(tmp_path: Path, old: str, new: str, words: str) -> None:
    assert words in refusal(tmp_path, lines=swap(RETARGET, old, new))


def test_two_lines_with_one_label_are_refused(tmp_path: Path) -> None:
    slim = LINES + '\n[cu12slim]\nlabel = "cu125"\nbase = "tensorflow"\ncuda = "12.5.1"\narchs = ["89"]\n'
    assert refusal(tmp_path, lines=slim).startswith("lines.toml: `cu12` and `cu12slim` have the same label, `cu125`")


@pytest.mark.parametrize(("folder", "hint"), [("2.20", "did you mean `2.20.0`"), ("9.9.9", "known: 2.20.0")])
def test_patches_for_a_version_that_is_not_built_are_refused(tmp_path: Path, folder: str, hint: str) -> None:
    (tmp_path / "patches" / folder).mkdir(parents=True)
    said = refusal(tmp_path)
    assert said.startswith(f"patches/{folder}: targets.toml builds no TensorFlow {folder}")
    assert hint in said


def test_a_line_that_no_session_builds_is_refused(tmp_path: Path) -> None:
    named = refusal(tmp_path, lines=LINES.replace("[cu12]", "[l4]"), targets=TARGETS.replace('"cu12"', '"l4"'))
    assert "no nox session builds the line `l4`: its name begins with none of cpu, cu12" in named


@pytest.mark.parametrize("name", ["docs", "install"])
def test_a_line_named_as_a_folder_of_the_site_is_refused(tmp_path: Path, name: str) -> None:
    named = refusal(tmp_path, lines=LINES.replace("[cpu]", f"[{name}]"))
    assert named == f"lines.toml: `{name}` cannot name a line: the site has a folder of that name"


@pytest.mark.parametrize(
    "pin", [">=12.5", "==12.*", "", "==12.5,!=12.5.1", "==12.5; python_version > '3'", " @ https://x/y.whl"]
)
def test_a_part_of_the_toolkit_that_is_not_pinned_is_refused(tmp_path: Path, pin: str) -> None:
    named = refusal(tmp_path, lines=LINES.replace("==12.5.82", pin))
    assert named.startswith("lines.toml: `cu12.toolkit[0]`: must be an exact version")
