"""The store: whole files under names that mean the same bytes for ever."""

from __future__ import annotations

import hashlib
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from tfwheel.errors import UsageError
from tfwheel.index.errors import NameTakenError
from tfwheel.publish import stores
from tfwheel.publish.errors import StoreError, WheelChangedError
from tfwheel.publish.stores import FolderStore

if TYPE_CHECKING:
    from pathlib import Path

NAME = "a-1.0+cu125.1-py3-none-any.whl"
DATA = b"the wheel"
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def shelf(tmp_path: Path) -> FolderStore:
    """An empty store."""
    return FolderStore(folder=tmp_path / "store", address="https://assets.example/v1/")


def files(shelf: FolderStore) -> list[str]:
    return sorted(path.name for path in shelf.folder.iterdir() if path.name != ".lock")


def test_a_file_is_kept_and_has_a_percent_encoded_address(shelf: FolderStore) -> None:
    assert not shelf.holds(NAME, sha256=DIGEST)
    shelf.put(NAME, BytesIO(DATA), sha256=DIGEST)
    assert shelf.holds(NAME, sha256=DIGEST)
    assert (shelf.folder / NAME).read_bytes() == DATA
    assert shelf.url(NAME) == "https://assets.example/v1/a-1.0%2Bcu125.1-py3-none-any.whl"


def test_a_file_that_is_there_is_not_written_again(shelf: FolderStore) -> None:
    shelf.put(NAME, BytesIO(DATA), sha256=DIGEST)
    inode = (shelf.folder / NAME).stat().st_ino
    shelf.put(NAME, BytesIO(b"is not even read"), sha256=DIGEST)
    assert (shelf.folder / NAME).stat().st_ino == inode


def test_a_name_that_is_taken_is_not_used_for_other_bytes(shelf: FolderStore) -> None:
    shelf.put(NAME, BytesIO(DATA), sha256=DIGEST)
    other = hashlib.sha256(b"other").hexdigest()
    with pytest.raises(NameTakenError, match="cannot become"):
        shelf.put(NAME, BytesIO(b"other"), sha256=other)
    assert (shelf.folder / NAME).read_bytes() == DATA


def test_bytes_that_are_not_the_announced_ones_are_not_kept(shelf: FolderStore) -> None:
    with pytest.raises(WheelChangedError, match="changed while it was published"):
        shelf.put(NAME, BytesIO(b"other"), sha256=DIGEST)
    assert files(shelf) == []


def test_what_a_killed_upload_left_is_removed_by_the_next(shelf: FolderStore) -> None:
    shelf.folder.mkdir()
    (shelf.folder / f".{NAME}.x1y2").write_bytes(b"the wh")
    shelf.put(f"{NAME}.metadata", BytesIO(DATA), sha256=DIGEST)
    assert files(shelf) == [f"{NAME}.metadata"]


def test_a_disk_that_does_not_keep_what_it_was_given_is_found_out(
    shelf: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "sha256_of", lambda _: "0" * 64)
    with pytest.raises(StoreError, match="did not return the bytes"):
        shelf.put(NAME, BytesIO(DATA), sha256=DIGEST)
    assert files(shelf) == []


def test_a_place_that_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        FolderStore(folder=tmp_path / "file", address="").put(NAME, BytesIO(DATA), sha256=DIGEST)


def test_a_file_gets_no_address_while_nobody_said_where_the_folder_is_served(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the URL of .* is not known"):
        FolderStore(folder=tmp_path).url(NAME)


@pytest.mark.parametrize("address", ["https://assets.example/v1", "https://files.example", "javascript:x/"])
def test_there_is_no_store_at_what_is_no_url_of_a_folder(tmp_path: Path, address: str) -> None:
    with pytest.raises(UsageError, match="--store-url cannot be the URL of a folder"):
        FolderStore(folder=tmp_path, address=address)
