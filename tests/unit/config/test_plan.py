"""From the configuration to targets, and from words to a part of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fakewheels import CPU, LINE, RULES
from tfwheel.config import plan
from tfwheel.config.build_config import Config
from tfwheel.config.errors import BuilderUnavailableError, ConfigError, NotLockedError, SelectionError
from tfwheel.config.schema import ExclusionEntry, ReleaseEntry
from tfwheel.config.targets import Base

SOURCE = replace(LINE, name="cu13", label="cu130", builder="source")
NEW = ReleaseEntry(tensorflow="2.20.0", build=2, pythons=["3.12", "3.9"], lines=["cu12", "cpu"], default=True)
OLD = ReleaseEntry(tensorflow="2.9.1", build=1, pythons=["3.11"], lines=["cu12"], requires=["numpy<2"], builder="ops")


def configuration(
    *releases: ReleaseEntry, exclusions: tuple[ExclusionEntry, ...] = (), bases: tuple[Base, ...] = ()
) -> Config:
    """A configuration of these releases."""
    lines = {line.name: line for line in (LINE, CPU, SOURCE)}
    return Config(
        directory=Path("build_config"), releases=releases, exclusions=exclusions, lines=lines, bases=bases, repair=RULES
    )


def base(python: str, project: str = "tensorflow", version: str = "2.20.0") -> Base:
    """A lock entry."""
    return Base(
        project=project,
        version=version,
        python=python,
        file=f"{project}-{version}.whl",
        sha256="00" * 32,
        size=1,
        platforms=(),
        requires_python="",
        requires_dist=(),
    )


def test_targets_are_sorted_as_versions_are() -> None:
    ids = [target.id for target in plan.targets(configuration(NEW, OLD))]
    assert ids == [
        "tf2.9.1-cp311-cu12",
        "tf2.20.0-cp39-cpu",
        "tf2.20.0-cp39-cu12",
        "tf2.20.0-cp312-cpu",
        "tf2.20.0-cp312-cu12",
    ]


def test_a_target_has_what_its_release_and_its_line_say() -> None:
    old, *_, new = plan.targets(configuration(NEW, OLD))
    assert (new.version, new.ops_id, new.builder, new.default) == (
        "2.20.0+cu125.2",
        "ops-tf2.20.0-cu12",
        "overlay",
        True,
    )
    assert (old.builder, old.requires, old.default) == ("ops", ("numpy<2",), False)


def test_an_exclusion_takes_out_one_target() -> None:
    skip = ExclusionEntry(tensorflow="2.20.0", python="3.12", line="cpu", reason="for a good reason")
    assert "tf2.20.0-cp312-cpu" not in [target.id for target in plan.targets(configuration(NEW, exclusions=(skip,)))]
    assert len(plan.targets(configuration(NEW, exclusions=(skip,)))) == 3


def test_an_id_that_is_defined_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"targets.toml: the target `tf2.20.0-cp312-cu12` is defined 2 times"):
        plan.targets(configuration(NEW, NEW))


def test_a_selection_is_by_line_and_by_default() -> None:
    everything = plan.targets(configuration(NEW, OLD))
    assert plan.select(everything) == everything
    assert [target.id for target in plan.select(everything, line="cu12", default=True)] == [
        "tf2.20.0-cp39-cu12",
        "tf2.20.0-cp312-cu12",
    ]
    assert len(plan.select(everything, line="cu12")) == 3


def test_a_misspelt_line_gets_a_hint() -> None:
    with pytest.raises(SelectionError, match="no target is on the line `cu21`; did you mean `cu12`"):
        plan.select(plan.targets(configuration(NEW)), line="cu21")


def test_an_empty_selection_is_an_error() -> None:
    with pytest.raises(SelectionError, match="no default target on the line `cu12`"):
        plan.select(plan.targets(configuration(OLD)), line="cu12", default=True)
    with pytest.raises(SelectionError, match="no default target on any line"):
        plan.select([])


def test_a_target_is_found_by_its_id() -> None:
    everything = plan.targets(configuration(NEW))
    assert plan.find(everything, "tf2.20.0-cp312-cpu").line is CPU
    with pytest.raises(SelectionError, match=r"no target `tf2.20.0-cp312-cp`; did you mean `tf2.20.0-cp312-cpu`"):
        plan.find(everything, "tf2.20.0-cp312-cp")


def test_the_base_of_a_target_is_that_of_its_line_version_and_python() -> None:
    right = base("3.12", "tensorflow-cpu")
    wrong = (base("3.12"), base("3.9", "tensorflow-cpu"), base("3.12", "tensorflow-cpu", "2.21.0"))
    made = configuration(NEW, bases=(*wrong, right))
    assert plan.base_of(made, plan.find(plan.targets(made), "tf2.20.0-cp312-cpu")) is right


def test_a_base_that_is_not_locked_is_an_error() -> None:
    made = configuration(NEW, bases=(base("3.9"),))
    with pytest.raises(NotLockedError, match=r"bases.toml has no tensorflow 2.20.0 for Python 3.12") as caught:
        plan.base_of(made, plan.find(plan.targets(made), "tf2.20.0-cp312-cu12"))
    assert "update-pins" in caught.value.remedy


def test_a_line_that_needs_the_source_builder_says_so() -> None:
    made = configuration(NEW.model_copy(update={"lines": ["cu13"]}), bases=(base("3.12"),))
    with pytest.raises(BuilderUnavailableError, match=r"tf2.20.0-cp312-cu13 is built from source"):
        plan.base_of(made, plan.find(plan.targets(made), "tf2.20.0-cp312-cu13"))
