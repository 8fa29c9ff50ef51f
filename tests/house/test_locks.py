"""Every environment of CI is installed from a lock, by hash, and the locks are those of pyproject.toml."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import nox
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tfwheel.config import build_config
from tfwheel.config.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCKS = ROOT / "build_config" / "locks"
PROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
GROUPS = list(PROJECT["dependency-groups"])
APART = {"colab"}  # it has an older pip on purpose
PYTHONS = sorted({python for release in build_config.load().releases for python in release.pythons})
PROGRAMS = sorted(
    path for folder in (".github/workflows", ".github/actions", ".ci") for path in (ROOT / folder).rglob("*")
)
INSTALL = re.compile(
    r"\bpip3? install\b.*|\bpip3? download\b.*|\buv (?:pip (?:install|sync)|tool|run|add)\b.*|\b(?:uvx|pipx)\b.*"
)
LOCKED = re.compile(r"--require-hashes (?:\S+ )*-r \S*build_config/locks/[\w$-]+\.txt\b")
# What users type is tried out in environments that are thrown away, from which nothing is kept.
TRIED = {
    "install=(user/bin/python -m pip install --quiet)",
    'test "$client" != uv || install=(user/bin/uv pip install --quiet --python user/bin/python)',
    'user/bin/pip install --quiet --no-deps "tensorflow-text==$(cut -d. -f1,2 <<<"$version").*"',
}


def text_of(group: str) -> str:
    return (LOCKS / f"{group}.txt").read_text(encoding="utf-8")


def packages(text: str) -> Iterator[tuple[Requirement, list[str]]]:
    """Each locked package with its hashes."""
    for block in re.split(r"^(?=[a-z0-9])", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE), flags=re.MULTILINE)[1:]:
        first, *hashes = block.replace("\\\n", "\n").split("\n")
        yield Requirement(first), [line.strip() for line in hashes if line.strip()]


def locked(group: str, python: str) -> dict[str, Requirement]:
    """What a Python on Linux gets, by name."""
    machine = {"python_version": python, "python_full_version": f"{python}.1", "sys_platform": "linux"}
    machine |= {"platform_machine": "x86_64", "os_name": "posix", "platform_python_implementation": "CPython"}
    found = [one for one, _ in packages(text_of(group)) if one.marker is None or one.marker.evaluate(machine)]
    names = [canonicalize_name(one.name) for one in found]
    assert len(set(names)) == len(names)
    return dict(zip(names, found, strict=True))


def version(requirement: Requirement) -> str:
    (pin,) = requirement.specifier
    assert pin.operator == "=="
    return pin.version


def test_each_group_has_a_lock_and_each_lock_a_group() -> None:
    assert {path.name for path in LOCKS.iterdir()} == {f"{group}.txt" for group in GROUPS}


@pytest.mark.parametrize("group", GROUPS)
def test_a_lock_is_of_its_group_as_pyproject_has_it(group: str) -> None:
    wanted = nox.project.dependency_groups(PROJECT, group)
    needs = re.findall(r"^# needs: (.*)$", text_of(group), re.MULTILINE)
    assert needs == list(wanted), "run `nox -s update-locks`"
    for python in PYTHONS:
        there = locked(group, python)
        for requirement in map(Requirement, wanted):
            found = there[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(version(found), prereleases=True), f"{requirement}: {found}"


@pytest.mark.parametrize("group", GROUPS)
def test_a_lock_has_names_versions_and_hashes_and_nothing_else(group: str) -> None:
    text = text_of(group)
    assert not re.search(r"://|--index|--extra|--find-links|--trusted| @ ", text)
    for requirement, hashes in packages(text):
        assert version(requirement)
        assert hashes
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line) for line in hashes), requirement


@pytest.mark.parametrize("python", PYTHONS)
def test_a_package_has_one_version_in_all_groups(python: str) -> None:
    found: dict[str, set[str]] = {}
    for group in set(GROUPS) - APART:
        for name, requirement in locked(group, python).items():
            found.setdefault(name, set()).add(version(requirement))
    assert {name: versions for name, versions in found.items() if len(versions) > 1} == {}


def installs(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if INSTALL.search(line) and not line.strip().startswith("#")]


def test_all_that_ci_installs_is_locked() -> None:
    found = [line for path in PROGRAMS if path.is_file() for line in installs(path)]
    assert len(found) > 10
    assert {line for line in found if not LOCKED.search(line)} == TRIED


@pytest.mark.parametrize(
    "line",
    ["pip install nox uv", "uv pip install -r x.txt", "uvx ruff", "pip install --require-hashes nox", "pipx run nox"],
)
def test_an_install_without_a_lock_is_seen(line: str) -> None:
    assert INSTALL.search(line)
    assert not LOCKED.search(line)


def test_the_noxfile_installs_nothing_but_locks() -> None:
    text = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    (line,) = re.findall(r".*session\.(?:install|conda_install)\(.*", text)
    assert '"--require-hashes"' in line
    assert "run_install" not in text
