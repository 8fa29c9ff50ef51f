"""Inventory: wheels on this machine, and the ledger against what the host has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from ledgers import entry
from tfwheel.publish import inventory
from tfwheel.publish.errors import InventoryError
from tfwheel.publish.inventory import Asset

if TYPE_CHECKING:
    from tfwheel.index.ledger_entry import LedgerEntry


def asset(listed: LedgerEntry, **facts: str | int) -> Asset:
    """The asset that an entry is about."""
    names = ("file", "url", "sha256", "size", "project", "version", "requires_python", "metadata_sha256")
    values: dict[str, Any] = {name: getattr(listed, name) for name in names}
    return Asset(**(values | {"tag": "v1", "updated": listed.uploaded, "immutable": True} | facts))


def test_what_the_ledger_lacks_is_returned() -> None:
    assert inventory.compare([entry(1)], [asset(entry(1)), asset(entry(2))]) == [asset(entry(2))]


def test_a_yanked_file_must_be_there_and_a_removed_one_need_not() -> None:
    inventory.compare([replace(entry(1), removed="gone"), replace(entry(2), yanked="bad")], [asset(entry(2))])
    with pytest.raises(InventoryError, match="in no release"):
        inventory.compare([replace(entry(2), yanked="bad")], [])


@pytest.mark.parametrize("field", ["sha256", "size", "url", "metadata_sha256", "requires_python"])
def test_an_asset_that_is_not_the_one_in_the_ledger_is_named(field: str) -> None:
    with pytest.raises(InventoryError, match=f"{field} is") as failure:
        inventory.compare([entry(1)], [asset(entry(1), **{field: 7 if field == "size" else "0" * 64})])
    assert entry(1).file in failure.value.message


def test_a_file_that_the_host_renamed_is_refused() -> None:
    with pytest.raises(InventoryError, match=r"renamed it to tensorflow-1\.2\.whl"):
        inventory.compare([entry(1)], [asset(entry(1), file="tensorflow-1.2.whl")])


def test_many_missing_files_are_counted() -> None:
    with pytest.raises(InventoryError, match="and 5 more"):
        inventory.compare(map(entry, range(15)), [])
