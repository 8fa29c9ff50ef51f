"""What ops.toml may say, and what is said of each fault."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tfwheel.config import ops_projects
from tfwheel.config.errors import ConfigError
from tfwheel.config.paths import CONFIG_DIR, ROOT

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "0123456789" * 4
EXAMPLES = re.findall(r"```toml\n(.*?)```", (ROOT / "index" / "docs" / "ops.md").read_text(), re.DOTALL)
SOURCES = """
[[project]]
name = "theirs"
kind = "sources"
git = "https://example.org/theirs"
commit = "0123456789012345678901234567890123456789"
packages = ["their_ops"]
grafts = ["libgomp.so*"]
autoload = false

[[project.library]]
file = "their_ops/deep/_ops.so"
sources = ["kernels"]
archs = "at-least"

[[project.library]]
file = "their_ops/_late.so"
sources = ["late/*.cc"]
archs = "none"
autoload = true
"""
COMMAND = """
[[project]]
name = "made"
kind = "command"
path = "made"
packages = ["made_ops"]
commands = [["make", "-j2"]]

[[project.library]]
file = "made_ops/libmade.so.2"
built = "out/libmade.so.2"
archs = "none"
"""
PREBUILT = """
[[project]]
name = "done"
kind = "prebuilt"
path = "changes/a.whl"
packages = ["done_ops"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration folder that has the tree of a project."""
    (tmp_path / "made").mkdir()
    (tmp_path / "changes").mkdir()
    for name in ("a.whl", "a.txt"):
        (tmp_path / "changes" / name).touch()
    return tmp_path


def loaded(folder: Path, text: str) -> tuple[ops_projects.OpsProject, ...]:
    (folder / "ops.toml").write_text(text)
    return ops_projects.load(folder)


def test_a_wheel_may_be_a_prebuilt_project(folder: Path) -> None:
    (project,) = loaded(folder, PREBUILT)
    assert project.path == "changes/a.whl"


def test_what_is_shipped_is_what_holds_without_the_file(tmp_path: Path) -> None:
    assert ops_projects.load(CONFIG_DIR) == ops_projects.USUAL == ops_projects.load(tmp_path)
    assert ops_projects.rules(ops_projects.USUAL).packages == ("tfwheel_ops",)


def test_several_projects_promise_what_each_says(folder: Path) -> None:
    rules = ops_projects.rules(loaded(folder, SOURCES + COMMAND))
    assert rules.packages == ("their_ops", "made_ops")
    assert rules.grafts == ("libgomp.so*",)
    assert rules.archs == {
        "their_ops/deep/_ops.so": "at-least",
        "their_ops/_late.so": "none",
        "made_ops/libmade.so.2": "none",
    }
    assert not rules.without_gpu_code
    members = ["their_ops/deep/_ops.so", "their_ops/_late.so", "made_ops/libmade.so.2", "made_ops/x.so", "other/y.so"]
    assert rules.op_libraries(members) == ["made_ops/x.so", "their_ops/_late.so", "their_ops/deep/_ops.so"]
    assert rules.autoloaded(members) == ["made_ops/x.so", "their_ops/_late.so"]


@pytest.mark.parametrize("text", EXAMPLES)
def test_each_example_of_the_document_is_one(folder: Path, text: str) -> None:
    (folder / "ops-patches" / "custom-op").mkdir(parents=True)
    (project,) = loaded(folder, text)
    assert project.library
    assert len(EXAMPLES) == 2


@pytest.mark.parametrize(("text", "without"), [(COMMAND, True), (SOURCES, False)])
def test_ops_for_the_cpu_alone_promise_no_gpu_code(folder: Path, text: str, *, without: bool) -> None:
    assert ops_projects.rules(loaded(folder, text)).without_gpu_code is without


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/owner/name.git",
        "http://127.0.0.1:8000/x",
        "ssh://git@example.org:2222/owner/name",
        "git@example.org:owner/name.git",
        "host:owner/name",
        "file:///srv/git/x",
        "/srv/git/x y",
    ],
)
def test_a_repository_may_be_wherever_git_finds_it(folder: Path, url: str) -> None:
    assert loaded(folder, SOURCES.replace("https://example.org/theirs", url))[0].git == url


@pytest.mark.parametrize(
    "url",
    [
        "https://token@example.org/x",
        "https://me:secret@example.org/x",
        "ssh://me:secret@example.org/x",
        "https://example.org/x?token=1",
        "https://example.org/x#1",
        "../theirs",
        "theirs",
        "./a:b",
        "--upload-pack=evil",
        "-x:y",
        "ext::sh -c evil",
        "https:///x",
        "https://example.org/x y",
        "file://host/x",
        "",
    ],
)
def test_an_address_that_has_a_secret_or_depends_on_the_place_is_refused(folder: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="the address of a git repository") as caught:
        loaded(folder, SOURCES.replace("https://example.org/theirs", url))
    assert "secret" not in caught.value.message
    assert "token@" not in caught.value.message


def test_members_of_a_merged_wheel_have_their_path_in_the_ops_wheel() -> None:
    rules = ops_projects.rules(ops_projects.USUAL)
    assert rules.file_of("_tfwheel_ops/_ops.so") == "tfwheel_ops/_ops.so"
    assert rules.file_of("tfwheel_ops/_ops.so") == "tfwheel_ops/_ops.so"
    assert rules.file_of("_other/_ops.so") == "_other/_ops.so"


def test_the_pattern_of_a_graft_is_that_of_the_name_which_auditwheel_gives() -> None:
    rules = ops_projects.OpsRules(grafts=("libgomp.so*", "libomp.so.5"))
    assert rules.graft_patterns == ("libgomp-*.so*", "libomp-*.so.5")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('path = "made"\n', "", "give it either `path`, a folder beside this file, or `git` and `commit`"),
        ('path = "made"\n', f'path = "made"\ngit = "https://example.org/x"\ncommit = "{COMMIT}"\n', "give it either"),
        ('path = "made"\n', 'git = "https://example.org/x"\n', "`git` and `commit` belong together"),
        ('path = "made"\n', 'path = "made"\ncommit = "abc"\n', "the full name of a commit, 40 digits"),
        (
            'path = "made"\n',
            'git = "https://me:secret@example.org/x"\n',
            r"without a user or password.*//\*\*\*@example.org",
        ),
        ('path = "made"\n', 'path = "no-such"\n', r"`path` is no-such, and there is no .*no-such"),
        ('path = "made"\n', 'path = "/made"\n', "a path relative to its folder"),
        ('path = "made"\n', 'path = "made"\npatches = "no-such"\n', "there is no folder .*no-such"),
        ('path = "made"\n', 'path = "made"\nfolder = "a/../../b"\n', "without `.` and `..`"),
        ('path = "made"\n', 'path = "made"\nfolder = "a//b"\n', "with single forward slashes"),
        ('path = "made"\n', 'path = "made"\nfolder = "a/./b"\n', "without `.` and `..`"),
        ('path = "made"\n', 'path = "made"\nfolder = "./a"\n', "without `.` and `..`"),
        ('path = "made"\n', 'path = "made"\nfolder = "a/"\n', "with single forward slashes"),
        ('path = "made"\n', 'path = "made"\ntests = ["."]\n', "`tests` has ., which names no files"),
        ('path = "made"\n', 'path = "made"\ntests = ["a/**.py"]\n', r"`tests` has a/\*\*.py, which names no files"),
        ('path = "made"\n', 'path = "changes/a.whl"\n', "which is no folder; only a project of the kind `prebuilt`"),
        ('["made_ops"]', '["tensorflow"]', "the name of a Python package of its own"),
        ('["made_ops"]', '["Tensorflow"]', "`Tensorflow` is another one"),
        ('["made_ops"]', '["absl"]', "`absl` is another one"),
        ('["made_ops"]', '["class"]', "`class` is another one or no name"),
        ('["made_ops"]', '["made_ops", "json"]', "the package `json` is one of Python itself"),
        ('["made_ops"]', '["made-ops"]', "the name of a Python package, as in"),
        ('["made_ops"]', '["made_ops", "made_ops"]', "the package `made_ops` is named twice"),
        ('["made_ops"]', "[]", "packages"),
        ('"command"', '"comand"', "kind"),
        ('"command"', '"cmake"', "`commands` is for projects of the kind command, and this one is `cmake`"),
        ('commands = [["make", "-j2"]]\n', "", "needs `commands`"),
        ('["make", "-j2"]', "", "commands"),
        ('commands = [["make"', 'link = ["z"]\ncommands = [["make"', "`link` is for projects of the kind sources"),
        ('file = "made_ops/', 'file = "other/', "is other/libmade.so.2, which is in none of its packages"),
        ('.so.2"\nbuilt', '.dll"\nbuilt', "which is no name of a shared library"),
        ('built = "out', 'sources = ["a.cc"]\nbuilt = "out', "compiles no `sources`"),
        ('built = "out', 'built = "../out', "without `.` and `..`"),
        ('archs = "none"', 'archs = "some"', "archs"),
        ("[[project.library]]", "[[project.libary]]", "unknown key"),
        ('name = "made"', 'name = "Made"', "small letters"),
    ],
)
def test_a_fault_is_named_with_its_project(folder: Path, old: str, new: str, words: str) -> None:
    assert old in COMMAND
    with pytest.raises(ConfigError, match=words):
        loaded(folder, COMMAND.replace(old, new))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SOURCES.replace('sources = ["kernels"]\n', ""), "a project of the kind `sources` needs `sources`"),
        (SOURCES.replace("_late.so", "deep/_ops.so"), "two libraries have the file their_ops/deep/_ops.so"),
        (SOURCES.partition("[[project.library]]")[0], r"needs a `\[\[project.library\]\]` with its `file`"),
        (SOURCES.replace('sources = ["late', 'built = "x.so"\nsources = ["late'), "that something else builds"),
        (SOURCES.replace("late/*.cc", "late/**.cc"), r"`library\[1\].sources` has late/\*\*.cc, which names no files"),
        (PREBUILT.replace("a.whl", "a.txt"), "is the file changes/a.txt; it must be a wheel"),
        (PREBUILT + 'patches = "changes"\n', "has no `patches` and no `folder`"),
        (PREBUILT + 'folder = "x"\n', "has no `patches` and no `folder`"),
        (SOURCES + COMMAND.replace('"made"\nkind', '"theirs"\nkind'), "project `theirs` is there twice"),
        (SOURCES + COMMAND.replace("made_ops", "their_ops"), "named twice .by `theirs`, too."),
        (SOURCES + COMMAND.replace("made_ops", "_their_ops"), "named twice .by `theirs`, too."),
        ("", "project"),
    ],
)
def test_what_two_tables_must_agree_on_is_checked(folder: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        loaded(folder, text)


def test_what_decides_the_sources_changes_with_them_and_with_what_is_made_of_them(folder: Path) -> None:
    (folder / "made" / "a.cc").write_text("one")
    text = COMMAND.replace('path = "made"\n', 'path = "made"\npatches = "changes"\n')
    facts = [ops_projects.identity(loaded(folder, text)[0], folder)]
    (folder / "made" / "a.cc").write_text("two")
    facts.append(ops_projects.identity(loaded(folder, text)[0], folder))
    (folder / "changes" / "a.patch").write_text("three")
    facts.append(ops_projects.identity(loaded(folder, text)[0], folder))
    facts.append(ops_projects.identity(loaded(folder, text.replace("-j2", "-j4"))[0], folder))
    (folder / "their_test.py").write_text("five")
    tested = text.replace('path = "made"', 'path = "made"\ntests = ["*_test.py"]')
    facts.append(ops_projects.identity(loaded(folder, tested)[0], folder))
    (folder / "their_test.py").write_text("six")
    facts.append(ops_projects.identity(loaded(folder, tested)[0], folder))
    assert len({str(one) for one in facts}) == 6
    assert ops_projects.identity(loaded(folder, SOURCES)[0], folder)["tree"] == COMMIT
