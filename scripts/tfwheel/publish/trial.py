"""Shows a new ledger and its pages together, on trial: all is written first, and two renames show it.

What two other renames take it back to is written before as well, so taking it back needs no space on any disk. A note
beside the site lists what is on trial; it is there from before the first rename until all is verified.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from tfwheel.errors import PublishError
from tfwheel.index import atomic_tree, ledger, manifest
from tfwheel.system import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from tfwheel.index.atomic_tree import Part
    from tfwheel.index.ledger import Ledger
    from tfwheel.index.ledger_entry import LedgerEntry


@dataclass(frozen=True, kw_only=True)
class Note:
    """What is on trial.

    ``files`` are listed but not verified. ``good`` is the sha256 of the manifest of the last good index, empty if there
    was none; ``existed`` says whether there was a ledger before.
    """

    files: tuple[str, ...] = ()
    good: str = ""
    existed: bool = True


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A ledger and the site that shows it; one process at a time may use it."""

    ledger: Path
    site: Path

    @property
    def note(self) -> Path:
        """The file that says what is on trial; it exists only while something is."""
        return self.site.with_name(f".{self.site.name}.trial.json")

    @property
    def next(self) -> Path:
        """The new ledger, until it is shown."""
        return self.ledger.with_name(f".{self.ledger.name}.next")

    @property
    def good(self) -> Path:
        """The last good ledger, while another one is on trial."""
        return self.ledger.with_name(f".{self.ledger.name}.good")

    def recover(self) -> Note:
        """Return what a killed run left on trial. What it listed but did not show is taken back, which needs no space.

        Raises PublishError when the note cannot be read.
        """
        left, seen = self._left(), self._seen()
        if left and left.good != seen:
            return left
        if left:
            self._take_back_ledger(left)
        self.end()
        return Note(good=seen, existed=self.ledger.exists())

    def show(
        self,
        left: Note,
        entries: Iterable[LedgerEntry],
        render: Callable[[Ledger], Mapping[str, Part]],
        *,
        on_step: Callable[[str], object],
    ) -> Note:
        """Add entries to the ledger and show it with its pages; returns what is on trial now.

        ``left`` is the result of ``recover``, ``render`` returns the parts of the site for a ledger. Calls
        ``on_step`` with "list" before anything is written, and with "show" before the two renames. Raises the errors of
        ``ledger.append`` and ``atomic_tree.prepare``; then ``take_back`` leaves all as it was.
        """
        with ledger.lock(self.ledger):  # until both are shown: an edit in between would get lost
            on_step("list")
            known = ledger.read(self.ledger)
            new, good = ledger.grown(known, entries), ledger.without(known, left.files)
            note = replace(left, files=tuple(sorted(new.by_file.keys() - good.by_file.keys())))
            if new is not known:
                files.write_atomically(self.next, new.data)
            if note.files:
                self._keep(known, good)
            trusted = left.good == self._seen()
            made = atomic_tree.prepare(self.site, render(new), seal=manifest.seal, trusted=trusted)
            files.write_atomically(self.note, json.dumps(asdict(note)).encode())
            on_step("show")
            if new is not known:
                self.next.replace(self.ledger)
            if made:
                atomic_tree.show(self.site)
        return note

    def take_back(self, note: Note) -> None:
        """Delete the lines of unverified files from the ledger, and show the last good index again.

        Needs no space, unless someone else changed the ledger since it was shown; raises DiskFullError then, with
        ledger, pages and note left as they are.
        """
        self._take_back_ledger(note)
        if note.good != self._seen():
            if note.good:
                atomic_tree.restore(self.site)
            else:
                atomic_tree.hide(self.site)
        self.end()

    def end(self) -> None:
        """Forget the trial: what is shown now is good."""
        for path in (self.note, self.next, self.good):
            path.unlink(missing_ok=True)
            for cut_short in path.parent.glob(f".{path.name}.*"):  # by a kill
                cut_short.unlink()

    # --- parts -------------------------------------------------------------------------------------------

    def _keep(self, known: Ledger, good: Ledger) -> None:
        """Keep the last good ledger, as a second name of the file where it is the current one."""
        self.good.unlink(missing_ok=True)
        if good is known and self.ledger.exists():
            with suppress(OSError):  # a file system without hard links
                os.link(self.ledger, self.good)
        if not self.good.exists():
            files.write_atomically(self.good, good.data)

    def _take_back_ledger(self, note: Note) -> None:
        """Delete the lines of unverified files: put the last good ledger back where that comes to the same."""
        with ledger.lock(self.ledger):
            known = ledger.read(self.ledger)
            good = ledger.without(known, note.files)
            if good is known:
                return
            if not good.lines and not note.existed:
                self.ledger.unlink()
            elif self.good.exists() and self.good.read_bytes() == good.data:
                self.good.replace(self.ledger)
            else:
                files.write_atomically(self.ledger, good.data)

    def _left(self) -> Note | None:
        try:
            return msgspec.json.decode(self.note.read_bytes(), type=Note)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            message = f"{self.note} is not the note of a publication: {error}"
            remedy = f"Compare {self.ledger} with git, delete the note, and run the same command again."
            raise PublishError(message, remedy=remedy) from error

    def _seen(self) -> str:
        """Return the sha256 of the manifest of the current index; empty without one."""
        path = self.site / manifest.NAME
        return files.sha256_of(path) if path.exists() else ""
