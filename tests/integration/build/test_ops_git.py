"""Repositories of custom-op projects: the same bytes on every machine, or words that say why not."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

import opsworld
from tfwheel.build import ops_sources
from tfwheel.build.errors import OpsSourceError
from tfwheel.config import ops_projects
from tfwheel.config.errors import ConfigError
from tfwheel.source import checkouts
from tfwheel.source.errors import CheckoutError
from tfwheel.system import git
from tfwheel.wheel.errors import PatchError

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.config.ops_projects import OpsProject

TEXT = """
[[project]]
name = "theirs"
kind = "sources"
{where}
packages = ["their_ops"]

[[project.library]]
file = "their_ops/_ops.so"
sources = ["cc"]
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "theirs" / "ops"
    opsworld.write(folder, {"cc/a.cc": "int a;\nint b;\n", "run.sh": "#!/bin/sh\n# @VERSION@\necho one\n"})
    (folder / "run.sh").chmod(0o755)
    return folder


def project(tmp_path: Path, where: str) -> OpsProject:
    settings = tmp_path / "settings"
    opsworld.write(settings, {"ops.toml": TEXT.format(where=where)})
    return ops_projects.load(settings)[0]


def fetched(tmp_path: Path, repository: Path, more: str = "") -> Path:
    where = f'git = "{repository}"\ncommit = "{opsworld.committed(repository)}"\n{more}'
    return ops_sources.fetch(project(tmp_path, where), tmp_path / "settings", tmp_path / "cache")


def test_the_environment_of_a_hook_destroys_no_foreign_repository(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = tmp_path / "foreign"
    opsworld.write(foreign, {"precious": "1"})
    commit, theirs = opsworld.committed(foreign), opsworld.committed(repository)
    monkeypatch.setenv("GIT_DIR", str(foreign / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(foreign))
    one = project(tmp_path, f'git = "{repository}"\ncommit = "{theirs}"')
    assert (ops_sources.fetch(one, tmp_path / "settings", tmp_path / "cache") / "cc/a.cc").is_file()
    monkeypatch.undo()
    assert (foreign / "precious").read_text() == "1"
    words = ["git", "-C", str(foreign), "rev-parse", "HEAD"]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip() == commit


def test_settings_of_the_user_change_no_byte(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opsworld.write(tmp_path / "home", {".attributes": "*.cc eol=crlf text\n"})
    settings = {"core.autocrlf": "true", "core.eol": "crlf", "core.attributesFile": str(tmp_path / "home/.attributes")}
    commit = opsworld.committed(repository)
    monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(settings)))
    for number, (name, value) in enumerate(settings.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", name)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    one = project(tmp_path, f'git = "{repository}"\ncommit = "{commit}"')
    tree = ops_sources.fetch(one, tmp_path / "settings", tmp_path / "cache")
    assert (tree / "cc/a.cc").read_bytes() == b"int a;\nint b;\n"


def test_templates_and_hooks_of_the_user_change_nothing(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "link").symlink_to("run.sh")
    commit = opsworld.committed(repository)
    hook = "#!/bin/sh\necho hooked > hooked\n"
    files = {"template/info/attributes": "*.cc text eol=crlf\n", "template/hooks/post-checkout": hook}
    opsworld.write(tmp_path, {**files, "hooks/post-checkout": hook})
    for path in tmp_path.glob("**/post-checkout"):
        path.chmod(0o755)
    monkeypatch.setenv("GIT_TEMPLATE_DIR", str(tmp_path / "template"))
    monkeypatch.setenv("GIT_DEFAULT_HASH", "sha256")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    for number, (name, value) in enumerate({"hooksPath": str(tmp_path / "hooks"), "symlinks": "false"}.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", f"core.{name}")
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    one = project(tmp_path, f'git = "{repository}"\ncommit = "{commit}"')
    tree = ops_sources.fetch(one, tmp_path / "settings", tmp_path / "cache")
    assert (tree / "cc/a.cc").read_bytes() == b"int a;\nint b;\n"
    assert (tree / "link").is_symlink()
    assert not (tree / "hooked").exists()


def test_a_submodule_with_a_relative_address_is_fetched_from_beside_the_repository(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = repository.parent / "other"
    opsworld.write(other, {"deep.h": "int deep;\n"})
    opsworld.committed(other)
    allowing = ["git", "-c", "protocol.file.allow=always", "-C", str(repository)]
    subprocess.run([*allowing[:3], "init", "-q", str(repository)], check=True)
    subprocess.run([*allowing, "remote", "add", "origin", str(repository)], check=True)
    subprocess.run([*allowing, "submodule", "--quiet", "add", "../other", "third"], check=True)
    words = rf"fetch the submodule third of .*ops from {other} for .*: fatal: transport 'file' not allowed"
    with pytest.raises(OpsSourceError, match=words) as caught:
        fetched(tmp_path, repository)  # git's own default for addresses of this kind
    assert ".gitmodules" in caught.value.remedy
    assert not list((tmp_path / "cache").glob("ops-sources/*"))
    for name, value in {"COUNT": "1", "KEY_0": "protocol.file.allow", "VALUE_0": "always"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    opsworld.write(repository, {"more": ""})
    tree = fetched(tmp_path, repository)
    assert (tree / "third/deep.h").read_text() == "int deep;\n"
    assert not list(tree.rglob(".git"))


def test_submodules_of_submodules_are_fetched_each_from_its_own_address(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"COUNT": "1", "KEY_0": "protocol.file.allow", "VALUE_0": "always"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    places = [repository, repository.parent / "deep/other", repository.parent / "deep/deepest"]
    opsworld.write(places[2], {"deepest.h": "int deepest;\n"})
    opsworld.committed(places[2])
    for place, address in ((places[1], "../deepest"), (repository, "../deep/other")):
        opsworld.write(place, {"a.h": ""})
        git.run("init", "-q", place)
        git.run("remote", "add", "origin", place, at=place)
        git.run("submodule", "--quiet", "add", "--name", "x", address, "a b/third", at=place)
        if place != repository:
            opsworld.committed(place)
    tree = fetched(tmp_path, repository)
    assert (tree / "a b/third/a b/third/deepest.h").read_text() == "int deepest;\n"
    assert not list(tree.rglob(".git"))


def test_nothing_keeps_git_lfs_from_its_files(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opsworld.write(repository, {".gitattributes": "*.so filter=asking\n", "a.so": "as it is kept\n"})
    commit = opsworld.committed(repository)
    monkeypatch.setenv("GIT_LFS_SKIP_SMUDGE", "1")
    smudge = 'echo "${GIT_LFS_SKIP_SMUDGE-not set}"'
    for name, value in {"COUNT": "1", "KEY_0": "filter.asking.smudge", "VALUE_0": smudge}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    one = project(tmp_path, f'git = "{repository}"\ncommit = "{commit}"')
    tree = ops_sources.fetch(one, tmp_path / "settings", tmp_path / "cache")
    assert (tree / "a.so").read_text() == "not set\n"


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("url = ../no-such", r"the submodule third of .*ops from .*theirs/no-such for .*no-such' does not exist"),
        (
            "url = https://me:secret@127.0.0.1:1/x",
            r"the submodule third of .*ops from https://\*\*\*@127.0.0.1:1/x for ",
        ),
        ("", "the submodules of .*No url found for submodule path 'third'"),
    ],
)
def test_a_submodule_that_cannot_be_fetched_is_named_with_its_address_and_without_its_secret(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch, place: str, words: str
) -> None:
    for name, value in {"COUNT": "1", "KEY_0": "protocol.file.allow", "VALUE_0": "always"}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    opsworld.write(repository, {".gitmodules": f'[submodule "other"]\npath = third\n{place}\n'})
    git.run("init", "-q", repository)
    git.run("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},third", at=repository)
    (repository / "third").mkdir()  # else `git add` takes the link out again
    with pytest.raises(OpsSourceError, match=words) as caught:
        fetched(tmp_path, repository)
    assert "secret" not in caught.value.message
    assert "cache/" not in caught.value.message
    assert "credentials" in caught.value.remedy


def test_a_file_that_only_git_lfs_has_is_named(tmp_path: Path, repository: Path) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"
    opsworld.write(repository, {"prebuilt/_ops.so": pointer})
    with pytest.raises(OpsSourceError, match=r"has prebuilt/_ops\.so as a pointer of git-lfs alone") as caught:
        fetched(tmp_path, repository)
    assert "Install git-lfs" in caught.value.remedy
    assert not list((tmp_path / "cache").glob("ops-sources/*"))


@pytest.mark.parametrize(
    "target", ["../../secret", ".", "/etc/hostname", "notes", "{tree}/cc/a.cc", "../no-such", "../ops/cc/a.cc"]
)
@pytest.mark.parametrize("patched", [False, True])
def test_a_link_that_leads_out_of_a_folder_or_nowhere_is_refused(
    tmp_path: Path, repository: Path, target: str, *, patched: bool
) -> None:
    (repository / "notes").symlink_to(target.format(tree=repository))
    opsworld.write(tmp_path / "settings", {"changes/note": ""})
    where = f'path = "../theirs/ops"{chr(10)}patches = "changes"' if patched else 'path = "../theirs/ops"'
    one = project(tmp_path, where)
    with pytest.raises(OpsSourceError, match="has a symbolic link that leads out of it, or nowhere: notes"):
        ops_sources.fetch(one, tmp_path / "settings", tmp_path / "cache")


def test_a_circle_behind_what_is_not_there_is_refused(repository: Path) -> None:
    (repository / "z").symlink_to("z")
    (repository / "notes").symlink_to("no-such/../z")
    with pytest.raises(CheckoutError, match=r"leads out of it, or nowhere: (notes|z)"):
        checkouts.refuse_links_outside("theirs", repository)
    with pytest.raises(CheckoutError, match="leads out of it, or nowhere: notes"):
        checkouts.refuse_links_outside("theirs", repository, without=lambda *_: {"z"})


def test_a_link_in_what_no_build_sees_is_no_fault(tmp_path: Path, repository: Path) -> None:
    for name in (".git", "cc/__pycache__"):
        (repository / name).mkdir()
        (repository / name / "link").symlink_to("/etc/hostname")
    one = project(tmp_path, 'path = "../theirs/ops"')
    assert ops_sources.fetch(one, tmp_path / "settings", tmp_path / "cache").samefile(repository)


def test_a_patch_of_a_link_writes_nothing(tmp_path: Path, repository: Path) -> None:
    (repository / "link").symlink_to("run.sh")
    patch = "--- a/link\n+++ b/link\n@@ -3 +3 @@\n-echo one\n+echo two\n"
    opsworld.write(tmp_path / "settings", {"changes/a.patch": patch})
    with pytest.raises(PatchError, match="link is not in the project"):
        fetched(tmp_path, repository, 'patches = "changes"')
    assert not list((tmp_path / "cache").glob("ops-sources/*"))


def test_a_pattern_of_tests_that_can_name_no_file_is_named(tmp_path: Path, repository: Path) -> None:
    one = project(tmp_path, 'path = "../theirs/ops"')
    for pattern in ("x" * 300, "**.py", "/x.py", ""):
        odd = one.model_copy(update={"tests": [pattern]})
        # Some of these are patterns for newer Pythons, which find nothing.
        words = r"(has a pattern in `tests` that can name no file,|has no test) (x{300}|\*\*\.py|/x\.py|)(: |\n|$)"
        with pytest.raises(OpsSourceError, match=words):
            ops_sources.tests(odd, repository, tmp_path / "settings")


def test_a_pipe_in_a_folder_that_is_patched_is_named(tmp_path: Path, repository: Path) -> None:
    os.mkfifo(repository / "pipe")
    opsworld.write(tmp_path / "settings", {"changes/note": ""})
    one = project(tmp_path, 'path = "../theirs/ops"\npatches = "changes"')
    with pytest.raises(ConfigError, match=r"`theirs`: .*ops/pipe: neither a file nor a folder nor a link"):
        ops_sources.fetch(one, tmp_path / "settings", tmp_path / "cache")


def test_a_patch_leaves_the_word_for_a_version_and_who_may_run_a_file(tmp_path: Path, repository: Path) -> None:
    patch = "--- a/run.sh\n+++ b/run.sh\n@@ -2,2 +2,3 @@\n # @VERSION@\n-echo one\n+echo @VERSION@\n+echo two\n"
    opsworld.write(tmp_path / "settings", {"changes/a.patch": patch})
    script = fetched(tmp_path, repository, 'patches = "changes"') / "run.sh"
    assert script.read_text() == "#!/bin/sh\n# @VERSION@\necho @VERSION@\necho two\n"
    assert os.access(script, os.X_OK)
