"""What an installer would change is what pip would: what is installed stays, else the newest that satisfies all."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from packaging.requirements import Requirement

from smallruntime import KNOWN, PINS, RUNTIME
from tfwheel.colab import requirements, resolution
from tfwheel.colab.resolution import Candidate


def change(*requires: str, python: str = "3.12.13", **pins: str) -> dict[str, str]:
    """The versions that a wheel with these requirements brings, without its own."""
    runtime = replace(RUNTIME, pins={**PINS, **pins}, python=python)
    outcome = resolution.resolve(Candidate(name="tensorflow", version="2.21.0", requires=requires), runtime, KNOWN)
    assert outcome.chosen is not None, outcome.conflict
    found = resolution.changed(runtime.installed, outcome.chosen)
    assert found.pop("tensorflow") == "2.21.0"
    return found


def test_what_is_installed_and_satisfies_stays_though_newer_is_there() -> None:
    assert change("protobuf>=5.28", "numpy", "keras>=3.10.0") == {}


def test_the_newest_that_satisfies_takes_the_place_of_what_does_not() -> None:
    assert change("protobuf>=6.31.1,<8", "h5py<3.15") == {"h5py": "3.14.0", "protobuf": "6.33.0"}


def test_what_is_not_there_is_added_with_what_it_requires() -> None:
    assert change("gast", "keras>3.13.2") == {"gast": "0.7.0", "keras": "3.14.0", "optree": "0.18.0"}


def test_a_marker_for_another_system_or_extra_asks_for_nothing() -> None:
    needs = ('numpy<2; platform_system == "Windows"', 'numpy<2; extra == "x"', 'numpy<2; python_version < "3.12"')
    assert change(*needs) == {}
    assert change('numpy<2; python_version >= "3.12"', 'h5py; sys_platform == "linux"') == {"numpy": "1.26.4"}


def test_an_extra_brings_its_requirements() -> None:
    requires = {**KNOWN.requires, "gast": {"0.7.0": ('numpy>2.0.2; extra == "new"',)}}
    known = replace_requires(requires)
    wheel = Candidate(name="tensorflow", version="2.21.0", requires=("gast[new]",))
    outcome = resolution.resolve(wheel, RUNTIME, known)
    assert outcome.chosen
    assert resolution.changed(RUNTIME.installed, outcome.chosen) == {
        "gast": "0.7.0",
        "numpy": "2.3.0",
        "tensorflow": "2.21.0",
    }


def replace_requires(requires: dict[str, dict[str, tuple[str, ...]]]) -> resolution.Distributions:
    return msgspec.structs.replace(KNOWN, requires=requires)


def test_requirements_that_contradict_each_other_are_named() -> None:
    wheel = Candidate(name="tensorflow", version="2.21.0", requires=("numpy<1", "h5py"))
    outcome = resolution.resolve(wheel, RUNTIME, KNOWN)
    assert outcome.chosen is None
    assert outcome.conflict == "tensorflow 2.21.0 requires numpy<1"


def test_it_goes_back_to_an_older_version_where_the_newest_contradicts_another_one() -> None:
    requires = {**KNOWN.requires, "keras": {"3.14.0": ("numpy>=2.3",), "3.13.2": ("numpy",)}}
    wheel = Candidate(name="tensorflow", version="2.21.0", requires=("keras", "numpy<2.1"))
    runtime = replace(RUNTIME, pins={"tensorflow": "2.20.0"})
    outcome = resolution.resolve(wheel, runtime, replace_requires(requires))
    assert outcome.chosen == {"tensorflow": "2.21.0", "keras": "3.13.2", "numpy": "2.0.2"}


def test_what_the_data_lacks_is_said() -> None:
    wheel = Candidate(name="tensorflow", version="2.21.0", requires=("gast", "optree"))
    assert resolution.resolve(wheel, RUNTIME, KNOWN).unread == (("optree", "0.18.0"),)
    unknown = resolution.resolve(replace(wheel, requires=("never-heard", "gast")), RUNTIME, KNOWN)
    assert (unknown.chosen, unknown.unknown) == ({"tensorflow": "2.21.0", "gast": "0.7.0"}, ("never-heard",))
    newer = resolution.resolve(
        replace(wheel, requires=("h5py<3.15", "numpy")), replace(RUNTIME, python="3.14.2"), KNOWN
    )
    assert newer.unknown == ("h5py",)


def test_what_pip_freeze_leaves_out_is_there() -> None:
    assert change("setuptools", "wheel>=0.1") == {}
    assert change("setuptools>=77", setuptools="78.0") == {}


def test_a_snapshot_taken_inside_is_believed_before_the_data() -> None:
    runtime = replace(RUNTIME, requires={"keras": ("gast",)})
    assert resolution.requires_of(runtime, KNOWN, "keras", "3.13.2") == ("gast",)
    assert resolution.requires_of(runtime, KNOWN, "keras", "3.14.0") == ("numpy", "h5py", "optree")


@pytest.mark.parametrize(
    ("specifier", "version", "holds"),
    [
        ("<2.21,>=2.20", "2.20.0+cu125.3", True),
        ("==2.20.0", "2.20.0+cu125.3", True),
        (">=1", "2.0.dev1", True),
        (">=1", "2004d", False),
    ],
)
def test_a_local_version_satisfies_what_its_public_one_does(specifier: str, version: str, holds: bool) -> None:  # noqa: FBT001 -- a column
    assert requirements.satisfies(specifier, version) is holds


SENSELESS = ['foo; python_version ~= "abc"', 'foo; platform_version ~= "5"', 'foo; "a" ~= "b"', 'foo; "a" in extras']
SENSELESS += [f"foo=={'1' * 5000}", f'foo; python_version < "{"1" * 5000}"', "foo==x.y", 'foo; extra == "a" and']


@pytest.mark.parametrize("text", SENSELESS)
def test_what_cannot_be_evaluated_is_unread_and_asks_for_nothing(text: str) -> None:
    assert requirements.parsed(text) is None
    assert change(text) == {}
    assert requirements.applicable([text, "bar"], "3.12.13", ["a"]) == [Requirement("bar")]
