"""How each TensorFlow is built from source: what the data says, against what upstream's files were seen to have."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from tfwheel.config import build_config, eras, tables
from tfwheel.config.eras import Era, OptionEntry, ToolkitEntry
from tfwheel.config.errors import ConfigError
from tfwheel.config.paths import CONFIG_DIR
from tfwheel.config.targets import Line, Target
from tfwheel.config.toml_files import read

LINE = Line(
    name="cu128",
    label="cu128",
    base="tensorflow",
    cuda="12.8.1",
    archs=("75", "80", "89", "90", "120"),
    ptx="120",
    builder="source",
)
TARGET = Target(tensorflow="2.20.0", python="3.13", line=LINE, build=1, builder="source")
UPSTREAM = tomllib.loads((Path(__file__).parents[2] / "data" / "upstream_bazel.toml").read_text())
ERAS = {path.stem: read(path, Era) for path in sorted((CONFIG_DIR / "eras").glob("*.toml"))}
OPTIONS = [(minor, option) for minor, era in ERAS.items() for option in era.option]
TOOLKITS = [(minor, toolkit) for minor, era in ERAS.items() for toolkit in era.toolkit]


def cited(minor: str, source: str) -> dict[str, list[str]]:
    """What the files that a source names were seen to have, together; a line's number is not compared."""
    found: dict[str, list[str]] = {}
    for one in source.split("; "):
        name = re.sub(r":\d+$|, \w+( \(\w+\))?$", "", eras.whole(ERAS[minor], one))
        for key, values in UPSTREAM.get(name, {}).items():
            found[key] = [*found.get(key, []), *values]
    assert found, f"no file of {source} was recorded"
    return found


def is_known(option: OptionEntry, seen: dict[str, list[str]]) -> bool:
    """Whether upstream has what an option names."""
    kind, _, rest = option.flag.partition("=")
    name = rest.partition("=")[0]
    if kind == "--config":
        return name in seen.get("configs", ())
    if kind == "--repo_env":
        return name in seen.get("variables", ())
    return option.flag in seen.get("options", ())


@pytest.mark.parametrize(("minor", "option"), OPTIONS, ids=[f"{minor} {one.flag}" for minor, one in OPTIONS])
def test_each_option_is_in_the_file_that_it_cites(minor: str, option: OptionEntry) -> None:
    assert is_known(option, cited(minor, option.source))


def test_an_option_that_upstream_does_not_have_would_be_seen() -> None:
    seen = cited("2.20", "TF: .bazelrc:166")
    for flag in ("--config=cuda_clag", "--repo_env=HERMETIC_CUDA=12.8.1", "--no_such_option"):
        assert not is_known(OptionEntry(flag=flag, reason="a reason of words", source="TF: .bazelrc"), seen)


@pytest.mark.parametrize(("minor", "toolkit"), TOOLKITS, ids=[f"{minor} CUDA {one.cuda}" for minor, one in TOOLKITS])
def test_each_toolkit_is_in_a_list_that_it_cites(minor: str, toolkit: ToolkitEntry) -> None:
    seen = cited(minor, toolkit.source)
    for key in ("cuda", "cudnn"):
        assert getattr(toolkit, key) in seen[key]
    for key in ("nvshmem", "nccl"):
        assert getattr(toolkit, key) in [*seen.get(key, [getattr(toolkit, key)]), None]


@pytest.mark.parametrize("minor", ERAS)
def test_each_fix_is_where_it_was_seen_and_each_toolkit_has_what_the_options_name(minor: str) -> None:
    era = ERAS[minor]
    for toolkit in era.toolkit:
        parts = cited(minor, toolkit.source).get("parts", []) if toolkit.and_cuda else []
        lowest = [re.sub(r"^nvidia-(.+?)(-cu13)?>=([0-9.]+),.*", r"\1 \3", one) for one in toolkit.and_cuda]
        assert lowest == parts
    for fix in era.fix:
        assert set(fix.files) <= set(cited(minor, fix.source.partition(";")[0])["files"])
    named = {name for option in era.option for name in eras.NAMED.findall(option.flag)}
    for toolkit in era.toolkit:
        assert [key for key in ("cudnn", "nvshmem", "nccl") if key in named and not getattr(toolkit, key)] == []
    assert era.target in UPSTREAM["theIArchitecture/tensorflow@a3f2a79: ci/official/wheel.sh"]["targets"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"python": "3.14"}, r"has no lock for Python 3\.14 .*2\.20\.toml"),
        (
            {"tensorflow": "2.19.1"},
            r"it is not known how TensorFlow 2\.19 is built from source: .*2\.19\.toml is missing",
        ),
        ({"line": replace(LINE, cuda="13.0.0")}, r"TensorFlow 2\.20 is not known to build with CUDA 13\.0\.0"),
        (
            {"line": replace(LINE, cuda="12.5.1")},
            r"clang with CUDA 12\.5\.1 makes no code for 12\.0; its newest is 9\.0",
        ),
        ({"line": replace(LINE, cuda="12.5.1", archs=("75", "100"), ptx=None)}, r"makes no code for 10\.0"),
        ({"line": replace(LINE, archs=("75", "121"), ptx=None)}, r"nvcc with CUDA 12\.8\.1 makes no code for 12\.1"),
        (
            {"tensorflow": "2.21.0", "line": replace(LINE, cuda="13.0.2", archs=("70", "90"), ptx=None)},
            r"nvcc with CUDA 13\.0\.2 makes no code for 7\.0; its oldest is 7\.5",
        ),
        ({"line": replace(LINE, archs=("75",), ptx="90")}, r"PTX alone cannot be asked for: compute_90"),
    ],
)
def test_what_no_tree_can_build_is_refused_before_any_work(change: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        eras.era_of(CONFIG_DIR, replace(TARGET, **change))  # type: ignore[arg-type] # one field each
    assert caught.value.remedy


def test_a_newer_cuda_is_named_where_one_has_the_arch() -> None:
    with pytest.raises(ConfigError) as caught:
        eras.era_of(CONFIG_DIR, replace(TARGET, line=replace(LINE, cuda="12.5.1")))
    assert caught.value.remedy == "Take CUDA 12.8.1."


def test_each_era_builds_its_own_version_alone(tmp_path: Path) -> None:
    (tmp_path / "eras").mkdir()
    (tmp_path / "eras/2.20.toml").write_text((CONFIG_DIR / "eras/2.21.toml").read_text())
    with pytest.raises(ConfigError, match=r"2\.20\.toml is about TensorFlow 2\.21"):
        eras.era_of(tmp_path, TARGET)


@pytest.mark.parametrize("flag", ["-c opt", "--config={nothing}", "--repo_env=A={python}{cuda}", "--a b", "{python}"])
def test_what_is_no_option_is_refused(tmp_path: Path, flag: str) -> None:
    text = (CONFIG_DIR / "eras/2.20.toml").read_text().replace('"--verbose_failures"', f'"{flag}"')
    (tmp_path / "2.20.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"option\[15\]\.flag`: must be one option of Bazel"):
        read(tmp_path / "2.20.toml", Era)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('reason = "where that clang is"', 'reason = """where that\n$(touch x)"""', r"option\[9\]\.reason"),
        ('what = "cub has', 'what = "\\u0007 cub has', r"fix\[0\]\.what"),
        ("pip_package/wheel_house", "$(touch x)/a b", "`wheels`"),
        ("core/kernels/gpu_prim.h", "core/$x", r"fix\[0\]\.files\[0\]"),
        ("//tensorflow/tools/pip_package:wheel", "//a; b", "`target`"),
    ],
)
def test_what_would_be_a_command_in_a_printed_script_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    text = (CONFIG_DIR / "eras/2.20.toml").read_text()
    assert old in text
    (tmp_path / "2.20.toml").write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=words):
        read(tmp_path / "2.20.toml", Era)


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        (["nvidia-cublas>=13; python_version < '3.13'"], "without a marker or extra"),
        (["nvidia-cublas[x]>=13"], "without a marker or extra"),
        (["nvidia-cublas>=13", "nvidia.cublas<1"], "nvidia-cublas is there twice"),
    ],
)
def test_what_the_extra_and_cuda_cannot_have_is_refused_before_the_hours(
    tmp_path: Path, entries: list[str], words: str
) -> None:
    text = (CONFIG_DIR / "eras/2.21.toml").read_text()
    (tmp_path / "2.21.toml").write_text(f"{text.partition('and_cuda')[0]}and_cuda = {entries}\n")
    with pytest.raises(ConfigError, match=words):
        read(tmp_path / "2.21.toml", Era)


GIT = 'git = "https://example.org/t"\n'
COMMIT = f'commit = "{"0123456789" * 4}"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"has no tree of TensorFlow 2\.20\.0"),
        ('[[source]]\ntensorflow = "2.20.0"\n', "needs either `path`, a folder, or `git` and `commit`"),
        (f'[[source]]\ntensorflow = "2.20.0"\n{GIT}', "needs either `path`, a folder, or `git` and `commit`"),
        (f'[[source]]\ntensorflow = "2.20.0"\n{GIT}{COMMIT}path = "."\n', "needs either `path`, a folder, or"),
        (f'[[source]]\ntensorflow = "2.20.0"\n{GIT}commit = "v2.20.0"\n', "the full name of a commit"),
        ('[[source]]\ntensorflow = "2.20.0"\ngit = "https://me:secret@example.org/t"\n', "without a user or password"),
        ('[[source]]\ntensorflow = "2.20.0"\npath = "nowhere"\n', "`path` is nowhere, and there is no folder"),
        (
            f'[[source]]\ntensorflow = "2.20.0"\n{GIT}{COMMIT}patches = "no"\n',
            r"`patches` is no, and no \*\.patch is in",
        ),
        ('[[source]]\ntensorflow = "2.20.0"\npath = "."\n' * 2, r"has two trees of TensorFlow 2\.20\.0"),
    ],
)
def test_a_source_that_names_no_tree_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "sources.toml").write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        eras.source_of(tmp_path, "2.20.0")
    assert "secret" not in caught.value.message


def test_the_sources_of_this_repository_name_whole_commits() -> None:
    assert {eras.source_of(CONFIG_DIR, version).git for version in ("2.20.0", "2.21.0")} == {
        "https://github.com/tensorflow/tensorflow"
    }


def test_the_plan_says_what_cannot_be_built_from_source_and_why() -> None:
    config = build_config.load()
    odd = replace(config.lines["cu128"], cuda="12.5.1")
    lines = {**config.lines, "cu128": odd}
    text = tables.text(replace(config, lines=lines), kind="table", line="cu128")
    for version in ("2.20.0", "2.21.0"):  # each fault once, for all that have it
        ids = f"tf{version}-cp312-cu128, tf{version}-cp313-cu128"
        assert f"\n- {ids}: clang with CUDA 12.5.1 makes no code for 12.0; its newest is 9.0" in text
    assert "Built from source" not in text
    assert "Cannot be built" not in tables.text(config, kind="table", line="cu128")
    assert tables.text(config, kind="gpus", line="cu128").startswith("Nothing of these is known before it is built.")
