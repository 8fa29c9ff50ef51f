"""State of the fake GitHub server on disk: numbered objects of several kinds in one database."""

from __future__ import annotations

import json
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

Facts = dict[str, Any]


class State:
    """Objects of several kinds, each with a number, in one database; it survives a kill at any moment."""

    def __init__(self, path: Path) -> None:
        """Open the database, or create an empty one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA synchronous = OFF")  # enough to survive a kill of the program, not a power cut
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, kind TEXT, parent INTEGER, data TEXT)"
        )
        self._database.execute("CREATE INDEX IF NOT EXISTS place ON item (kind, parent)")

    def add(self, kind: str, facts: Facts, *, parent: int = 0) -> Facts:
        """Add an object as a part of the one numbered ``parent``; returns it with its number."""
        row = (kind, parent, json.dumps(facts))
        with self._lock:
            cursor = self._database.execute("INSERT INTO item (kind, parent, data) VALUES (?, ?, ?)", row)
            return facts | {"id": cursor.lastrowid}

    def save(self, facts: Facts) -> Facts:
        """Replace an object."""
        kept = json.dumps({name: value for name, value in facts.items() if name != "id"})
        with self._lock:
            self._database.execute("UPDATE item SET data = ? WHERE id = ?", (kept, facts["id"]))
        return facts

    def drop(self, number: int) -> None:
        """Delete an object."""
        with self._lock:
            self._database.execute("DELETE FROM item WHERE id = ?", (number,))

    def all(self, kind: str, *, parent: int = 0) -> list[Facts]:
        """Return all objects of a kind with that parent (0: none), oldest first."""
        query = "SELECT id, data FROM item WHERE kind = ? AND parent = ? ORDER BY id"
        with self._lock:
            rows = self._database.execute(query, (kind, parent)).fetchall()
        return [json.loads(data) | {"id": number} for number, data in rows]

    def find(self, kind: str, number: int) -> Facts | None:
        """Return the object of that kind and number, or None."""
        query = "SELECT data FROM item WHERE kind = ? AND id = ?"
        with self._lock:
            row = self._database.execute(query, (kind, number)).fetchone()
        return json.loads(row[0]) | {"id": number} if row else None

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()
