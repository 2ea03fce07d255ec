"""Whether a SQLite database has the tables that a program made, and nothing else.

Views, triggers and generated columns are code that whoever opens the file runs: a query on one that
never ends does not end either.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path


def has_only(file: Path, statements: Sequence[str]) -> bool:
    """Whether all in the database was made by some of ``statements``; of no file: it was.

    Raises ``sqlite3.OperationalError`` where it cannot be told: locked, or not to be read.
    """
    if not file.exists():
        return True
    with closing(sqlite3.connect(":memory:")) as pattern:
        for statement in statements:
            pattern.executescript(statement)
        known = _schema(pattern)
    with closing(sqlite3.connect(file, timeout=1.0)) as database:
        try:
            return _schema(database) <= known
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            return False


def _schema(database: sqlite3.Connection) -> set[tuple[str, str, str | None]]:
    return set(database.execute("SELECT type, name, sql FROM sqlite_master"))
