"""A wheel is judged in both directions, and never for what is wrong without it."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from smallruntime import EXTRA, GPUS, KNOWN, PINS, REQUIRES, RUNTIME, wheel
from tfwheel.colab import fit

if TYPE_CHECKING:
    from tfwheel.colab.distributions import Distributions
    from tfwheel.colab.runtimes import Runtime

REFUSED = "has modules made for protobuf 6.31.1: with protobuf 5.29.6 they raise VersionError."


def judged(runtime: Runtime = RUNTIME, known: Distributions = KNOWN, **changes: Any) -> fit.Fit:  # noqa: ANN401 -- as the fields
    return fit.judge(wheel(**changes), runtime, known, GPUS[:1])


def test_a_wheel_that_changes_nothing_else_fits() -> None:
    found = judged()
    assert (found.verdict, found.reasons, found.words) == ("fits", (), "fits")
    assert found.plain() == {"verdict": "fits", "reasons": [], "changes": []}


def test_a_wheel_that_changes_others_and_breaks_nothing_says_which() -> None:
    found = judged(requires=(*REQUIRES, "gast", "h5py<3.15"))
    assert found.plain() == {
        "verdict": "changes",
        "reasons": ["gast 0.7.0 is added.", "h5py 3.16.0 becomes 3.14.0."],
        "changes": [["gast", None, "0.7.0"], ["h5py", "3.16.0", "3.14.0"]],
    }
    assert found.words == "changes 2"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pythons": ("3.11",)}, "It is for Python 3.11, and this runtime has 3.12."),
        ({"requires_python": ">=3.13"}, "It requires Python >=3.13, and this runtime has 3.12.13."),
        ({"platforms": ("manylinux_2_39_x86_64",)}, "It is for glibc 2.39 or newer, and this runtime has 2.35."),
        ({"platforms": ("manylinux_2_17_aarch64",)}, "It is for manylinux_2_17_aarch64, and Colab is x86_64 Linux."),
    ],
)
def test_what_an_installer_refuses_is_not_looked_at_further(changes: dict[str, Any], reason: str) -> None:
    found = judged(**changes)
    assert (found.broken, found.installable, found.words) == ((reason,), False, "breaks 1")


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        (
            {"version": "2.21.0+cu125.2"},
            ["tf-keras 2.20.1 requires tensorflow<2.21,>=2.20, and gets tensorflow 2.21.0."],
        ),
        (
            {"requires": ("protobuf>=6.31.1",), "gencode": "6.31.1"},
            [
                "grpcio-status 1.71.2 requires protobuf<6.0dev,>=5.26.1, and gets protobuf 6.33.0.",
                "protobuf 5.29.6 becomes 6.33.0.",
            ],
        ),
        (
            {"gencode": "6.31.1"},
            [
                f"tensorflow 2.20.0 {REFUSED}",
            ],
        ),
        ({"cuda": "13.0.2"}, ["It is built with CUDA 13.0.2, and this runtime has the libraries of CUDA 12."]),
        (
            {"requires": (*REQUIRES, EXTRA.replace("9.3.0.75", "9.11.0.1"))},
            ["It needs cuDNN 9.11.0 or newer of the same major version, and this runtime loads 9.10.2.21."],
        ),
        (
            {"requires": (*REQUIRES, EXTRA.replace("9.3.0.75", "8.9.0.1"))},
            ["It needs cuDNN 8.9.0 or newer of the same major version, and this runtime loads 9.10.2.21."],
        ),
        ({"gpu_code": {"fatbin": ("sm_90",)}}, ["No GPU of Colab runs its GPU code."]),
        (
            {"requires": ("numpy<1",)},
            ["No set of versions satisfies it: tensorflow 2.20.0+cu125.3 requires numpy<1."],
        ),
    ],
)
def test_each_way_to_break_has_its_reason(changes: dict[str, Any], reasons: list[str]) -> None:
    found = judged(**changes)
    assert (found.verdict, list(found.reasons)) == ("breaks", reasons)


def test_extensions_for_numpy_1_do_not_meet_numpy_2() -> None:
    runtime = replace(RUNTIME, pins={"tensorflow": "2.17.0", "numpy": "2.0.2"})
    found = judged(runtime, version="2.17.1+cpu.1", requires=("numpy",), gpu_code={}, cuda=None)
    assert found.broken == ("Its extensions are built for numpy 1, and numpy 2.0.2 is there.",)


def test_another_distribution_with_the_same_files_is_named() -> None:
    runtime = replace(RUNTIME, pins={**PINS, "tf-nightly": "2.22.0.dev1"})
    assert judged(runtime).broken == ("tf-nightly 2.22.0.dev1 is there, too, and both own the folder tensorflow/.",)


def test_what_is_wrong_without_the_wheel_is_listed_apart() -> None:
    pins = {**PINS, "tensorflow-metadata": "1.21.0", "needy": "1"}
    known = msgspec.structs.replace(
        KNOWN,
        requires={**KNOWN.requires, "needy": {"1": ("gast>=1",)}},
        gencode={**KNOWN.gencode, "tensorflow-metadata": {"1.21.0": "6.31.1"}},
    )
    runtime = replace(RUNTIME, pins=pins)
    assert judged(runtime, known).verdict == "fits"
    assert fit.faults(runtime, known) == (
        "needy 1 requires gast>=1, and it is not there.",
        f"tensorflow-metadata 1.21.0 {REFUSED}",
    )
    assert fit.faults(RUNTIME, KNOWN) == ()


def test_a_distribution_that_stays_and_refuses_the_older_protobuf_is_the_wheels_doing() -> None:
    known = msgspec.structs.replace(KNOWN, requires=KNOWN.requires, gencode={"tf-keras": {"2.20.1": "5.28.3"}})
    found = judged(known=known, requires=("protobuf<5",), gencode="")
    assert found.broken == (
        "grpcio-status 1.71.2 requires protobuf<6.0dev,>=5.26.1, and gets protobuf 4.25.0.",
        "tf-keras 2.20.1 has modules made for protobuf 5.28.3: with protobuf 4.25.0 they raise VersionError.",
    )


def test_what_comes_from_a_url_without_a_version_is_there() -> None:
    known = msgspec.structs.replace(KNOWN, requires={**KNOWN.requires, "h5py": {"3.16.0": ("google-colab",)}})
    assert fit.faults(RUNTIME, known) == ()


def test_a_gpu_that_runs_nothing_of_it_is_a_note() -> None:
    found = fit.judge(wheel(), RUNTIME, KNOWN, GPUS)
    assert (found.verdict, found.notes) == ("fits", ("K80 runs nothing of some of its GPU code.",))


def test_what_the_data_lacks_is_a_note_and_no_fault() -> None:
    found = judged(replace(RUNTIME, python="3.14.2"), pythons=("3.14",), requires=("h5py<3.15",))
    assert (found.verdict, found.notes) == ("fits", ("Nothing is known of h5py for Python 3.14.",))
    newer = replace(RUNTIME, pins={**PINS, "tf_keras": "2.99.0"}, requires={"h5py": ()})
    assert fit.unknown(newer, KNOWN) == ("tf-keras 2.99.0",)
    assert fit.unknown(RUNTIME, KNOWN) == ()


def test_what_is_not_known_of_a_runtime_is_held_against_nobody() -> None:
    runtime = replace(RUNTIME, glibc=None, cuda=None, cudnn={}, pins={})
    found = judged(runtime, platforms=("manylinux_2_39_x86_64",), cuda="13.0", requires=(EXTRA,))
    assert (found.verdict, found.installable) == ("fits", True)


@pytest.mark.parametrize(
    ("platforms", "glibc"),
    [
        (("manylinux_2_27_x86_64",), "2.27"),
        (("manylinux2014_x86_64", "manylinux_2_28_x86_64"), "2.17"),
        (("manylinux1_x86_64",), "2.5"),
        (("linux_x86_64",), None),
        (("any", "manylinux_2_39_x86_64"), None),
        ((), None),
    ],
)
def test_the_platform_tags_tell_the_oldest_c_library(platforms: tuple[str, ...], glibc: str | None) -> None:
    assert fit.glibc_of(platforms) == glibc


@pytest.mark.parametrize(
    ("asked", "breaks"),
    [("==9.3.*", False), ("==8.9.*", True), ("~=9.3", False), (">=9.99", True), ("===weird", False)],
)
def test_every_spelling_of_the_cudnn_that_is_needed_is_understood(asked: str, breaks: bool) -> None:  # noqa: FBT001 -- a column
    found = judged(requires=(*REQUIRES, f'nvidia-cudnn-cu12{asked}; extra == "and-cuda"'))
    assert any("It needs cuDNN" in one for one in found.broken) is breaks


def test_a_requirement_that_nobody_can_evaluate_breaks_nothing_and_is_named() -> None:
    found = judged(requires=(*REQUIRES, 'foo; python_version ~= "abc"'))
    assert not found.broken
    assert 'Nobody can evaluate `foo; python_version ~= "abc"`.' in found.notes


def test_what_takes_too_long_is_not_judged() -> None:
    versions = {f"1.{number}": "12" for number in range(200, 0, -1)}
    requires = {"a": {one: (f"b=={one}",) for one in versions}, "b": {one: (f"a!={one}",) for one in versions}}
    known = msgspec.structs.replace(
        KNOWN, versions={**KNOWN.versions, "a": versions, "b": versions}, requires={**KNOWN.requires, **requires}
    )
    found = judged(known=known, requires=("a", "b"))
    assert found.broken == ("Not judged: pip's algorithm has no answer after 2000 rounds.",)
    assert found.satisfiable
    many = judged(requires=tuple(f"p{number}" for number in range(5001)))
    assert many.broken == ("Not judged: it has more than 5000 requirements.",)


def test_no_requirement_ends_a_judgement() -> None:
    chosen = random.Random(7)  # noqa: S311 -- the same requirements each time
    names = ("numpy", "nvidia-cudnn-cu12", "foo", "keras[x]", "nvidia-cudnn-cu12[a]")
    versions = ("9.3.*", "abc", "1" * 5000, "1!9", "9.3.0+x.y", "9", "2004d", "9.3.0.post1.dev2")
    variables = ("python_version", "extra", "platform_version", "os_name", "extras", "dependency_groups", '"b"')
    operators = ("==", "~=", ">=", "===", "<", "!=", "in", "not in")
    for _ in range(1500):
        name, operator, version = chosen.choice(names), chosen.choice(operators), chosen.choice(versions)
        marker = f'; {chosen.choice(variables)} {chosen.choice(operators)} "{chosen.choice((*versions, "and-cuda"))}"'
        judged(requires=(f"{name}{operator}{version}{chosen.choice(('', marker))}", EXTRA))
