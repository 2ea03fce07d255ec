"""Opens the database of an index: shut to everything but its own tables, and trusted only whole.

Nobody who asks it in SQL can read or write a file with it, load code or change its settings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from control_room.history.extra import extra
from control_room.history.schema import TABLES, VERSION

_FIXED_TABLES = """
CREATE TABLE about (made_for VARCHAR);
CREATE TABLE files (
    kind VARCHAR, name VARCHAR, path VARCHAR, inode BIGINT, "offset" BIGINT, lines BIGINT,
    fingerprint BLOB, skipping BOOLEAN,
    PRIMARY KEY (kind, name)
);
CREATE TABLE rejects (kind VARCHAR, file VARCHAR, line BIGINT, reason VARCHAR);
"""


class IndexInUse(RuntimeError):
    """Another process has the index open."""


def open_database(path: Path | None, *, made_for: str, memory_limit_mb: int) -> Any:
    """A connection to the tables at ``path``, or in memory; empty ones are made where needed.

    ``made_for`` is what rows depend on besides the logs: an index made for something else, or by
    another version, or a damaged one, is replaced. Raises :class:`IndexInUse`.
    """
    duckdb = extra("duckdb")
    config: dict[str, str] = {
        "memory_limit": f"{memory_limit_mb}MB",
        "enable_external_access": "false",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "python_enable_replacements": "false",
        "lock_configuration": "true",
    }
    made_for = f"{VERSION} {made_for}"
    if path is None:
        # In memory means in memory: no spilling into the working directory.
        connection = duckdb.connect(":memory:", config={**config, "temp_directory": ""})
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = _reopen(duckdb, path, config, made_for)
        if connection is None:
            discard_database(path)
            connection = duckdb.connect(str(path), config=config)
    if _made_for(duckdb, connection) is None:
        connection.begin()
        connection.execute(_FIXED_TABLES)
        for table in TABLES.values():
            connection.execute(table.create)
        connection.execute("INSERT INTO about VALUES (?)", [made_for])
        connection.commit()
    return connection


def discard_database(path: Path) -> None:
    """Remove what is kept at ``path``; nothing is lost, as it can be built again."""
    for leftover in (path, path.with_name(f"{path.name}.wal")):
        leftover.unlink(missing_ok=True)


def _reopen(duckdb: Any, path: Path, config: dict[str, str], made_for: str) -> Any:
    """The database as it was left; None when it is to be built again."""
    try:
        connection = duckdb.connect(str(path), config=config)
    except duckdb.IOException as error:
        if "lock" not in str(error):
            return None
        raise IndexInUse(
            f"{path} is open in another process: stop it, ask its API, "
            "or build an index in memory (database=None)."
        ) from None
    except duckdb.Error:
        return None
    if _made_for(duckdb, connection) in (None, made_for):
        return connection
    connection.close()
    return None


def _made_for(duckdb: Any, connection: Any) -> str | None:
    """What the tables were made for, None when there are none; "" when they cannot be read."""
    try:
        rows = connection.execute("SELECT made_for FROM about").fetchall()
    except duckdb.CatalogException:
        return None
    except duckdb.Error:
        return ""
    return str(rows[0][0]) if rows else ""
