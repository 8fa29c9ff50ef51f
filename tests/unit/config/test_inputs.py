"""What all Pythons of one version share has one digest, and another one as soon as any of it changes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import fixedconfig
from tfwheel.config import build_config, inputs, plan
from tfwheel.config.errors import ConfigError, SelectionError

if TYPE_CHECKING:
    from pathlib import Path

    from tfwheel.config.build_config import Config


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A configuration of one's own, with an op and a patch."""
    folder = tmp_path / "build_config"
    shutil.copytree(fixedconfig.DIRECTORY, folder)
    for name in ("ops/src/op.cc", "patches/2.20.0/a.patch", "patches/2.21.0/a.patch"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("1")
    return build_config.load(folder)


def digests(config: Config) -> dict[str, str]:
    return {target.id: inputs.digest(config, target) for target in plan.targets(config)}


def test_all_pythons_of_a_version_have_one_digest_and_no_two_versions_share_it(config: Config) -> None:
    found = digests(config)
    versions = {(target.version, found[target.id]) for target in plan.targets(config)}
    assert len(versions) == len({version for version, _ in versions}) == len(set(found.values())) > 1
    assert len(versions) < len(found)


@pytest.mark.parametrize("name", ["ops/src/op.cc", "ops/new.cu", "patches/2.20.0/a.patch", "xla/2.20.0.toml"])
def test_each_input_counts_for_the_versions_that_have_it(config: Config, name: str) -> None:
    before = digests(config)
    (config.directory / name).write_text("2")
    changed = {name for name, digest in digests(config).items() if digest != before[name]}
    assert changed == {name_ for name_ in before if "ops" in name or name_.startswith("tf2.20.0-")}


def test_the_line_and_the_requirements_count_and_the_python_and_the_lines_name_do_not(config: Config) -> None:
    target = plan.find(plan.targets(config), "tf2.20.0-cp312-cu12")
    first = inputs.digest(config, target)
    same = replace(target, python="3.13", default=not target.default, line=replace(target.line, name="cu12x"))
    assert inputs.digest(config, same) == first
    for other in (
        replace(target, build=target.build + 1),
        replace(target, requires=("numpy<3",)),
        replace(target, line=replace(target.line, archs=("75",))),
        replace(target, line=replace(target.line, retarget=None)),
        replace(target, line=replace(target.line, rpath=True)),
    ):
        assert inputs.digest(config, other) != first


def test_a_folder_of_wheels_belongs_to_a_target_or_to_none(config: Config) -> None:
    assert inputs.target_of(config, "tf2.20.0-cp312-cu12").python == "3.12"
    assert inputs.target_of(config, "ops-tf2.20.0-cu12").line.name == "cu12"
    for folder in ("tf9.9-cp312-cu12", "ops-tf9.9-cu12", "", "../x"):
        with pytest.raises(SelectionError):
            inputs.target_of(config, folder)


def test_one_version_with_other_requirements_for_another_python_is_refused(config: Config) -> None:
    shutil.rmtree(config.directory / "patches")
    (config.directory / "targets.toml").write_text(
        '[[release]]\ntensorflow = "2.20.0"\nbuild = 1\npythons = ["3.12"]\nlines = ["cu12"]\n'
        '[[release]]\ntensorflow = "2.20.0"\nbuild = 1\npythons = ["3.13"]\nlines = ["cu12"]\nrequires = ["numpy<2"]\n'
    )
    with pytest.raises(ConfigError, match=r"tf2\.20\.0-cp312-cu12 and tf2\.20\.0-cp313-cu12 are both") as caught:
        plan.targets(build_config.load(config.directory))
    assert "another `build`" in caught.value.remedy
