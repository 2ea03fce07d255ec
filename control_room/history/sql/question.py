"""Somebody's own question in SQL: what its answer is, and what it may be about.

What keeps it from doing harm: a process of its own answers it (see
:mod:`~control_room.history.sql.processes`), bounded in memory and time, on tables that it can only
read; files, extensions and settings are shut, and only one ``SELECT`` is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from control_room.history.queries import Cursor
from control_room.logs.schema import TABLES


class SqlRefused(ValueError):
    """The question cannot be asked, or has no answer. The message is for the one who asked."""


@dataclass(frozen=True, slots=True)
class SqlAnswer:
    """Rows as an Arrow table; ``cut`` when there were more than were wanted.

    ``large``: as many bytes as are taken held fewer rows than were wanted. What has no form in
    Arrow or Python (an infinite date, an interval, a year beyond 9999) is text as DuckDB writes it.
    """

    table: Any
    cut: bool
    seconds: float
    large: bool = False


# What a question may be about: the records, and the lines that are none.
ASKED_TABLES = (*(table.name for table in TABLES.values()), "rejects")


def schema_of(cursor: Cursor) -> dict[str, dict[str, str]]:
    """The columns of each of :data:`ASKED_TABLES`, with their SQL types."""
    query = (
        "SELECT table_name, column_name, data_type FROM duckdb_columns() "
        "WHERE table_name IN (SELECT unnest(?)) ORDER BY column_index"
    )
    tables: dict[str, dict[str, str]] = {name: {} for name in ASKED_TABLES}
    for table, column, kind in cursor.execute(query, [list(ASKED_TABLES)]).fetchall():
        tables[table][column] = kind
    return tables
