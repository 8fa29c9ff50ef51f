"""What settings, changelog and ledger say about a release, before git or a host is asked."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import fixedconfig
import releasing
from ledgers import entry
from releasing import IDS, OPS, TAG, VERSION
from tfwheel.config import build_config, schema
from tfwheel.index import ledger
from tfwheel.index.errors import NameTakenError
from tfwheel.publish import preflight
from tfwheel.publish.errors import ChangelogError, ReleaseTagError
from tfwheel.publish.github_api import AssetData

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.config.build_config import Config
    from tfwheel.publish.preflight import PlannedRelease


@pytest.fixture
def changelog(tmp_path: Path) -> Path:
    """A changelog with a section for the version."""
    path = tmp_path / "CHANGELOG.md"
    path.write_text(releasing.CHANGELOG)
    return path


@pytest.fixture
def settings(tmp_path: Path) -> Config:
    """Two Pythons of TensorFlow 2.20.0, on the line cu12."""
    found = fixedconfig.CONFIG
    targets = tmp_path / "targets.toml"
    targets.write_text(releasing.TARGETS)
    (release,) = build_config.read(targets, schema.TargetsFile).release
    return replace(found, releases=(release,), exclusions=())


def planned(settings: Config, changelog: Path, text: str = VERSION) -> PlannedRelease:
    """The release of a version."""
    return preflight.planned(settings, text, changelog)


@pytest.mark.parametrize("text", [VERSION, TAG])
def test_a_release_has_all_targets_of_its_version_and_their_ops(settings: Config, changelog: Path, text: str) -> None:
    found = planned(settings, changelog, text)
    assert (found.version, found.tag) == (VERSION, TAG)
    assert tuple(target.id for target in found.targets) == IDS
    assert found.folders == (OPS, *IDS)
    assert found.notes == "- Wheels for tests.\n"


def test_a_version_that_is_built_from_source_is_no_release(settings: Config, changelog: Path) -> None:
    line = replace(settings.lines["cu12"], builder="source")
    with pytest.raises(ReleaseTagError, match=f"{re.escape(VERSION)} is built from source") as caught:
        planned(replace(settings, lines={**settings.lines, "cu12": line}), changelog)
    assert "nox -s publish" in caught.value.remedy


def test_where_only_ops_are_built_only_these_are_released(settings: Config, changelog: Path) -> None:
    (release,) = settings.releases
    only = replace(settings, releases=(release.model_copy(update={"builder": "ops"}),))
    assert planned(only, changelog).folders == (OPS,)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2.20.0+cu125.3", "has build 2 for TensorFlow 2.20.0 with the label cu125, not 3"),
        ("2.20.0+cu126.2", "no line of TensorFlow 2.20.0 has the label `cu126`; targets.toml has 2.20.0[+]cu125.2"),
        ("2.19.0+cu125.2", "targets.toml has no TensorFlow 2.19.0; it has 2.20.0"),
        ("2.22.0rc0+cu125.1", "targets.toml has no TensorFlow 2.22.0rc0; it has 2.20.0"),
        ("2.22.0-rc0+cu125.1", "not a release version"),
        ("2.20.0", "not a release version"),
        ("2.20+cu125.2", "not a release version"),
        ("2.20.0+cu125.02", "not a release version"),
        ("2.20.0-cu125.2", "not a release version"),
        ("2.20.0+CU125.2", "not a release version"),
        ("nightly", "not a release version"),
        ("", "not a release version"),
        ("vv2.20.0+cu125.2", "not a release version"),
    ],
)
def test_a_version_that_the_settings_do_not_build_is_explained(
    settings: Config, changelog: Path, text: str, said: str
) -> None:
    with pytest.raises(ReleaseTagError, match=said):
        planned(settings, changelog, text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no section"),
        ("# Changelog\n\n## Unreleased\n\n- x\n", "has no section"),
        (f"## {VERSION}1\n\n- x\n", "has no section"),
        (f"### {VERSION}\n\n- x\n", "has no section"),
        (f"## {VERSION}\n\n\n## other\n\n- x\n", "is empty"),
        (f"## {VERSION}", "is empty"),
    ],
)
def test_a_release_of_which_the_changelog_says_nothing_is_refused(
    settings: Config, changelog: Path, text: str, said: str
) -> None:
    changelog.write_text(text)
    with pytest.raises(ChangelogError, match=said):
        planned(settings, changelog)
    changelog.unlink()
    with pytest.raises(ChangelogError, match="has no section"):
        planned(settings, changelog)


def test_a_heading_may_have_a_date(settings: Config, changelog: Path) -> None:
    changelog.write_text(f"## {VERSION} (2026-11-21)\n- x\n\ny\n")
    assert planned(settings, changelog).notes == "- x\n\ny\n"


def asset(name: str, sha256: str) -> AssetData:
    """A published asset."""
    facts = {"id": 1, "name": name, "size": 1, "state": "uploaded", "updated_at": "", "browser_download_url": ""}
    return AssetData(**facts, digest=f"sha256:{sha256}")  # type: ignore[arg-type]


def test_a_build_number_is_used_once(settings: Config, changelog: Path, tmp_path: Path) -> None:
    release, path = planned(settings, changelog), tmp_path / "ledger.jsonl"
    preflight.check_number(release, path, {})
    ledger.append(path, [entry(1), entry(3)])
    preflight.check_number(release, path, {})
    used = entry(2)
    ledger.append(path, [used])
    other = hashlib.sha256(b"other").hexdigest()
    for assets in ({}, {"x": asset("x", used.sha256)}, {used.file: asset(used.file, other)}):
        with pytest.raises(NameTakenError, match=r"2\.20\.0\+cu125\.2 was released before"):
            preflight.check_number(release, path, assets)
    preflight.check_number(release, path, {used.file: asset(used.file, used.sha256)})


def test_a_removed_build_number_stays_used(settings: Config, changelog: Path, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger.append(path, [entry(2, removed="a reason")])
    with pytest.raises(NameTakenError):
        preflight.check_number(planned(settings, changelog), path, {})


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ('repository = "owner"', "repository"),
        ('repository = "a/b/c"', "repository"),
        ('ledger_change = "pull"', "ledger_change"),
    ],
)
def test_settings_of_a_release_are_checked(line: str, wrong: str, tmp_path: Path) -> None:
    path = tmp_path / "index.toml"
    path.write_text(f"{line}\n")
    with pytest.raises(build_config.ConfigError, match=wrong):
        build_config.read(path, schema.IndexSettings)
    path.write_text('repository = "some-one/wheels.x"\nledger_change = "push"\n')
    assert build_config.read(path, schema.IndexSettings).ledger_change == "push"


def test_the_changelog_has_a_section_for_everything_that_is_built() -> None:
    settings = build_config.load()
    for version in {target.version for target in preflight.plan.targets(settings)}:
        assert preflight._section(releasing.ROOT / "CHANGELOG.md", version)
