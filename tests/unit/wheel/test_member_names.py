"""Names of members: which are taken for the same file somewhere, and which are nowhere."""

from __future__ import annotations

import pytest

from tfwheel.wheel import member_names


def test_names_of_files_that_are_different_everywhere_are_accepted() -> None:
    member_names.check(
        ["a", "a-", "a.b", "ab/", "ab/c", "b/", "c/d", "\u00e9", "x-1.0.data/scripts/a", "x-1.0.data/data/a"]
    )


def test_a_folder_may_be_in_both_places_that_are_installed_as_one() -> None:
    member_names.check(["demo/", "demo/a", "demo-1.0.data/purelib/demo/", "demo-1.0.data/purelib/demo/b"])


@pytest.mark.parametrize(
    "names",
    [
        ["a", "A"],
        ["a/", "A"],
        ["a-", "a", "A/b"],
        ["\u212b", "\u00e5"],
        ["\u1e9e", "SS"],
        ["demo/a", "demo-1.0.data/platlib/Demo/A"],
        ["demo", "demo-1.0.data/purelib/demo/b"],
    ],
)
def test_names_that_are_the_same_file_somewhere_are_refused(names: list[str]) -> None:
    for order in (names, names[::-1]):
        with pytest.raises(ValueError, match=r"listed twice|a file and a folder at once"):
            member_names.check(order)


def test_200_000_long_names_are_compared_in_the_memory_that_they_take() -> None:
    member_names.check([f"{'x/' * 400}{number}" for number in range(2000)])
