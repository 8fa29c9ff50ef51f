"""History: nothing of an earlier ledger vanishes, and two branches of it become one."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from ledgers import entry
from tfwheel.index import ledger, ledger_history
from tfwheel.index.errors import LedgerHistoryError, NameTakenError

if TYPE_CHECKING:
    from tfwheel.index.ledger import Ledger
    from tfwheel.index.ledger_entry import LedgerEntry

ONE, TWO, THREE = entry(1), entry(2), entry(3)


def of(*entries: LedgerEntry) -> Ledger:
    """A ledger of these entries."""
    ordered = sorted(entries, key=lambda entry: entry.place)
    return ledger.parse(b"".join(ledger.encode(entry) + b"\n" for entry in ordered), name="ledger")


@pytest.mark.parametrize(
    "new",
    [
        of(ONE, TWO),
        of(ONE, TWO, THREE),
        of(replace(ONE, yanked="bad"), TWO),
        of(replace(ONE, removed="gone"), TWO),
        of(replace(ONE, gpu_smoke={"passed": True}, attestation="https://example.org"), TWO),
    ],
)
def test_growing_and_editing_are_allowed(new: Ledger) -> None:
    ledger_history.compare(new, since=of(ONE, TWO), name="HEAD")


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (of(TWO), "vanished"),
        (of(), "vanished"),
        (of(replace(ONE, sha256="0" * 64), TWO), "was changed .sha256"),
        (of(replace(ONE, uploaded="2020-01-01T00:00:00Z"), TWO), "was changed .uploaded"),
        (of(replace(ONE, url=f"https://example.org/x/{ONE.file}"), TWO), "was changed .url"),
    ],
)
def test_a_lost_or_changed_file_is_named(new: Ledger, said: str) -> None:
    with pytest.raises(LedgerHistoryError, match=said) as failure:
        ledger_history.compare(new, since=of(ONE, TWO), name="HEAD")
    assert ONE.file in failure.value.message


@pytest.mark.parametrize("now", [None, "another reason"])
def test_a_removal_is_for_good(now: str | None) -> None:
    with pytest.raises(LedgerHistoryError, match="no longer recorded"):
        ledger_history.compare(of(replace(ONE, removed=now)), since=of(replace(ONE, removed="gone")), name="HEAD")


def test_many_lost_files_are_counted() -> None:
    with pytest.raises(LedgerHistoryError, match="and 5 more"):
        ledger_history.compare(of(), since=of(*map(entry, range(15))), name="HEAD")


def test_the_files_of_both_branches_are_kept() -> None:
    assert set(map(str, ledger_history.join(of(ONE), of(ONE, TWO), of(ONE, THREE)))) == set(map(str, (ONE, TWO, THREE)))


YANKED, OTHER = replace(ONE, yanked="bad"), replace(ONE, attestation="https://example.org")


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "merged"),
    [
        (ONE, YANKED, ONE, YANKED),
        (ONE, ONE, YANKED, YANKED),
        (ONE, YANKED, YANKED, YANKED),
        (YANKED, ONE, YANKED, ONE),
        (YANKED, YANKED, ONE, ONE),
        (None, ONE, YANKED, YANKED),
        (ONE, YANKED, OTHER, replace(YANKED, attestation=OTHER.attestation)),
    ],
)
def test_the_edits_of_both_branches_are_kept(
    base: LedgerEntry | None, ours: LedgerEntry, theirs: LedgerEntry, merged: LedgerEntry
) -> None:
    assert ledger_history.join(of(*([base] if base else [])), of(ours), of(theirs)) == [merged]


def test_one_file_published_on_both_branches_stands_once_with_its_first_time() -> None:
    later = replace(ONE, uploaded="2027-01-01T00:00:00Z")
    for ours, theirs in ((ONE, later), (later, ONE)):
        assert ledger_history.join(of(), of(ours), of(theirs)) == [ONE]


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "said"),
    [
        (of(ONE), of(replace(ONE, yanked="a")), of(replace(ONE, yanked="b")), "both branches changed `yanked`"),
        (of(ONE, TWO), of(ONE, TWO), of(ONE), r"\(theirs\).*vanished"),
        (of(ONE, TWO), of(TWO), of(ONE, TWO), r"\(ours\).*vanished"),
    ],
)
def test_branches_that_contradict_each_other_are_refused(base: Ledger, ours: Ledger, theirs: Ledger, said: str) -> None:
    with pytest.raises(LedgerHistoryError, match=f"(?s){said}"):
        ledger_history.join(base, ours, theirs)


def test_a_name_that_stands_for_two_files_is_taken() -> None:
    with pytest.raises(NameTakenError, match="is the name of two files: sha256"):
        ledger_history.join(of(), of(ONE), of(replace(ONE, sha256="0" * 64)))


def test_no_merge_ever_loses_a_file() -> None:
    for left, right in product(range(8), repeat=2):
        files = [entry(number) for number in range(6)]
        ours = [files[number] for number in range(3) if left >> number & 1]
        theirs = [files[number + 2] for number in range(3) if right >> number & 1]
        merged = {entry.file for entry in ledger_history.join(of(), of(*ours), of(*theirs))}
        assert merged == {entry.file for entry in [*ours, *theirs]}
