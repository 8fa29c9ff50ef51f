"""What an imitated host knows, on disk: numbered objects of several kinds, in one database."""

from __future__ import annotations

import json
import sqlite3
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

Facts = dict[str, Any]


class State:
    """Objects of several kinds, each with a number, in one database; it survives a kill at any instant."""

    def __init__(self, path: Path) -> None:
        """Open it, or make an empty one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA synchronous = OFF")  # a kill of this program, not of the machine
        self._database.execute(
            "CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, kind TEXT, parent INTEGER, data TEXT)"
        )
        self._database.execute("CREATE INDEX IF NOT EXISTS place ON item (kind, parent)")

    def add(self, kind: str, facts: Facts, *, parent: int = 0) -> Facts:
        """Keep a new object, a part of the one numbered ``parent``; it is returned with its number."""
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
        """Forget an object."""
        with self._lock:
            self._database.execute("DELETE FROM item WHERE id = ?", (number,))

    def all(self, kind: str, *, parent: int = 0) -> list[Facts]:
        """All objects of a kind that are parts of another, or of none; oldest first."""
        query = "SELECT id, data FROM item WHERE kind = ? AND parent = ? ORDER BY id"
        with self._lock:
            rows = self._database.execute(query, (kind, parent)).fetchall()
        return [json.loads(data) | {"id": number} for number, data in rows]

    def find(self, kind: str, number: int) -> Facts | None:
        """One of them, None where there is none."""
        query = "SELECT data FROM item WHERE kind = ? AND id = ?"
        with self._lock:
            row = self._database.execute(query, (kind, number)).fetchone()
        return json.loads(row[0]) | {"id": number} if row else None

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._database.close()
