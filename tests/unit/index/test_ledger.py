"""Ledger: what it holds, what it finds, what it refuses."""

from __future__ import annotations

import gc
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ledgers import entry
from tfwheel.errors import UsageError
from tfwheel.index import ledger
from tfwheel.index.errors import LedgerDamagedError, NameTakenError, NotInLedgerError

if TYPE_CHECKING:
    from pathlib import Path

ONE, TWO, THREE = entry(1), entry(2), entry(3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A ledger of three files."""
    found = tmp_path / "index" / "ledger.jsonl"
    ledger.append(found, [ONE, TWO, THREE])
    return found


def lines_of(path: Path) -> list[bytes]:
    """The lines of a file, with their newlines."""
    return path.read_bytes().splitlines(keepends=True)


def forged(**facts: object) -> bytes:
    """A line whose digest is right and whose fields are these."""
    rest = json.dumps(facts, sort_keys=True, separators=(",", ":"))[1:].encode()
    return b'{"_check":"%s",%s' % (hashlib.sha256(rest).hexdigest()[:16].encode(), rest)


def test_what_was_appended_is_read_back(path: Path) -> None:
    found = ledger.read(path)
    assert found.entries == (ONE, TWO, THREE)
    assert found.by_file[TWO.file] == TWO
    assert gc.isenabled()


def test_a_ledger_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert ledger.read(tmp_path / "none").entries == ()


def test_a_line_is_canonical_json_that_begins_with_its_digest(path: Path) -> None:
    line = lines_of(path)[0]
    fields = json.loads(line)
    assert line.decode() == json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"
    assert next(iter(fields)) == "_check"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=1000), st.integers(1, 1 << 40))
def test_any_reason_and_size_survive(reason: str, size: int) -> None:
    odd = replace(ONE, yanked=reason, size=size)
    assert ledger.parse(ledger.encode(odd) + b"\n", name="x").entries == (odd,)


def test_any_order_of_appending_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    for one in (THREE, ONE, TWO):
        ledger.append(other, [one])
    assert other.read_bytes() == path.read_bytes()
    assert ledger.write(other, [TWO, THREE, ONE]).entries == (ONE, TWO, THREE)
    assert other.read_bytes() == path.read_bytes()


def test_appending_again_changes_nothing_even_at_another_time(path: Path) -> None:
    before = path.read_bytes()
    assert ledger.append(path, [replace(ONE, uploaded="2027-01-01T00:00:00Z", smoke=None)]).entries[0] == ONE
    assert path.read_bytes() == before


def test_appending_leaves_the_lines_that_are_there(path: Path) -> None:
    before = path.read_bytes()
    ledger.append(path, [entry(4)])
    assert path.read_bytes() == before + ledger.encode(entry(4)) + b"\n"


def test_a_line_of_an_older_version_lacks_what_the_fit_is_judged_by(tmp_path: Path) -> None:
    path, newer = tmp_path / "ledger.jsonl", replace(ONE, requires=("numpy>=1.26.0",), gencode="5.28.3")
    fields = json.loads(ledger.encode(ONE))
    path.write_bytes(
        forged(**{name: fields[name] for name in fields if name not in {"_check", "requires", "gencode"}}) + b"\n"
    )
    before = path.read_bytes()
    assert ledger.read(path).entries == (ONE,)
    assert (ONE.requires, ONE.gencode) == (None, None)
    ledger.append(path, [newer])  # the same file, published again by this version
    assert path.read_bytes() == before


# --- refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [({"sha256": "0" * 64}, "sha256"), ({"size": 5}, "size"), ({"line": "cpu"}, "line"), ({"url": ""}, "url")],
)
def test_a_name_never_stands_for_another_file_or_place(path: Path, change: dict[str, Any], said: str) -> None:
    before = path.read_bytes()
    with pytest.raises(NameTakenError, match=said) as failure:
        ledger.append(path, [entry(4), replace(ONE, **change)])
    assert ONE.file in failure.value.message
    assert ("at the URL that it has" if said == "url" else "Raise `build`") in failure.value.remedy
    assert path.read_bytes() == before


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {}, {"line": "cpu", "uploaded": "2027-01-01T00:00:00Z"}])
def test_one_name_twice_in_one_append_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(NameTakenError, match=r"lines 1 and 2.*twice"):
        ledger.append(tmp_path / "l", [ONE, replace(ONE, **change)])
    assert not (tmp_path / "l").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"sha256": "A" * 64},
        {"metadata_sha256": ""},
        {"size": 0},
        {"file": "tensorflow-2.20.0.tar.gz"},
        {"file": "a b.whl"},
        {"file": "../a.whl"},
        {"line": "cu12/x"},
        {"uploaded": "2026-11-21 04:00"},
        {"uploaded": "2026-11-21T04:00:00+01:00"},
        {"url": "relative/a.whl"},
        {"url": "https://x/a b.whl"},
    ],
)
def test_a_field_that_no_page_can_show_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(LedgerDamagedError, match=next(iter(change))):
        ledger.append(tmp_path / "l", [replace(ONE, **change)])
    assert not (tmp_path / "l").exists()


def edited(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[1].replace(b'"size":1002', b'"size":1003'), lines[2]]


def cut_line(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[1][:100] + b"\n", lines[2]]


def foreign(lines: list[bytes]) -> list[bytes]:
    return [lines[0], b'{"file":"x"}\n', lines[2]]


def blank(lines: list[bytes]) -> list[bytes]:
    return [lines[0], b"\n", *lines[1:]]


def reordered(lines: list[bytes]) -> list[bytes]:
    return [lines[1], lines[0], lines[2]]


def windows_newlines(lines: list[bytes]) -> list[bytes]:
    return [line.replace(b"\n", b"\r\n") for line in lines]


def without_fields(lines: list[bytes]) -> list[bytes]:
    return [lines[0], forged(gpu_code={}) + b"\n"]


@pytest.mark.parametrize(
    ("damage", "line"),
    [(edited, 2), (cut_line, 2), (foreign, 2), (blank, 2), (reordered, 2), (windows_newlines, 1), (without_fields, 2)],
)
def test_a_damaged_line_is_found_and_named(path: Path, damage: Any, line: int) -> None:  # noqa: ANN401 -- a function
    path.write_bytes(b"".join(damage(lines_of(path))))
    with pytest.raises(LedgerDamagedError, match=f"ledger.jsonl, line {line}: ") as failure:
        ledger.read(path)
    assert "nox -s ledger" in failure.value.remedy
    assert "named above" in failure.value.remedy


@pytest.mark.parametrize("length", [1, 40, 500])
def test_a_file_cut_anywhere_in_its_last_line_is_found(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:-length])
    with pytest.raises(LedgerDamagedError, match="line 3: cut short"):
        ledger.read(path)


def test_every_single_changed_byte_is_found(path: Path) -> None:
    data = ledger.encode(ONE) + b"\n"
    for place in range(len(data)):
        with pytest.raises((LedgerDamagedError, NameTakenError)):
            ledger.parse(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :], name="x")
    assert path.exists()


def test_a_right_digest_on_wrong_fields_is_found_when_they_are_read() -> None:
    line = forged(uploaded=ONE.uploaded, file=ONE.file, size="many")
    with pytest.raises(LedgerDamagedError, match="x, line 1: not an entry"):
        _ = ledger.parse(line + b"\n", name="x").entries
    assert gc.isenabled()


def test_conflict_markers_point_to_merge(path: Path) -> None:
    path.write_bytes(b"<<<<<<< ours\n" + path.read_bytes())
    with pytest.raises(LedgerDamagedError, match="two branches were not merged") as failure:
        ledger.read(path)
    assert "nox -s ledger -- merge" in failure.value.remedy


def test_the_same_line_twice_is_refused(path: Path) -> None:
    lines = lines_of(path)
    path.write_bytes(b"".join([*lines, lines[0]]))
    with pytest.raises(NameTakenError, match=r"lines 1 and 4.*the same file twice"):
        ledger.read(path)


def test_two_files_of_one_name_are_refused_with_both_hashes(path: Path) -> None:
    other = replace(ONE, sha256="0" * 64, uploaded="2027-01-01T00:00:00Z")
    path.write_bytes(path.read_bytes() + ledger.encode(other) + b"\n")
    with pytest.raises(NameTakenError, match=rf"lines 1 and 4.*{ONE.sha256}.*{'0' * 64}"):
        ledger.read(path)


# --- edits -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["", 'crashes on "T4"\n— see <issue 7>'])
def test_yank_changes_one_field_of_one_line_and_unyank_takes_it_back(path: Path, reason: str) -> None:
    before = lines_of(path)
    assert ledger.yank(path, TWO.file, reason) == replace(TWO, yanked=reason)
    assert ledger.read(path).entries == (ONE, replace(TWO, yanked=reason), THREE)
    assert [lines_of(path)[0], lines_of(path)[2]] == [before[0], before[2]]
    assert ledger.unyank(path, TWO.file) == TWO
    assert lines_of(path) == before


def test_yanking_again_is_no_change(path: Path) -> None:
    ledger.yank(path, ONE.file, "bad")
    stamp = path.stat().st_mtime_ns
    ledger.yank(path, ONE.file, "bad")
    assert path.stat().st_mtime_ns == stamp


def test_a_removed_file_keeps_its_line_and_its_name(path: Path) -> None:
    ledger.remove(path, ONE.file, "the asset was deleted")
    assert ledger.read(path).entries[0].removed == "the asset was deleted"
    for again in (ONE, replace(ONE, sha256="0" * 64)):
        with pytest.raises(NameTakenError):
            ledger.append(path, [again])
    with pytest.raises(NameTakenError, match="was removed"):
        ledger.yank(path, ONE.file)


def test_a_removal_needs_a_reason(path: Path) -> None:
    with pytest.raises(UsageError, match="reason"):
        ledger.remove(path, ONE.file, " ")
    assert ledger.read(path).entries[0] == ONE


@pytest.mark.parametrize("edit", [ledger.yank, ledger.unyank])
def test_a_file_that_is_not_there_cannot_be_edited(path: Path, edit: Any) -> None:  # noqa: ANN401 -- a function
    with pytest.raises(NotInLedgerError, match=r"has no file 'x\.whl'"):
        edit(path, "x.whl")


def test_what_was_not_published_is_taken_back(path: Path) -> None:
    old = ledger.read(path)
    rest = ledger.without(old, [TWO.file])
    assert rest.entries == (ONE, THREE)
    assert ledger.parse(rest.data, name="x").entries == (ONE, THREE)
    assert ledger.without(old, ["x.whl"]) is old
