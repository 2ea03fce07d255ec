"""Opens the database of an index: shut to everything but its own tables, and trusted only whole.

Nobody who asks it in SQL can read or write a file with it, load code or change its settings. A
database on disk is a cache: one that is damaged is never the end of it, but built again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from control_room.extra import load_extra
from control_room.history.sql.shared_file import SharedFile
from control_room.logs.schema import TABLES, VERSION
from control_room.security.inside import Inside

_FIXED_TABLES = """
CREATE TABLE about (made_for VARCHAR);
CREATE TABLE files (
    kind VARCHAR, name VARCHAR, path VARCHAR, inode BIGINT, "offset" BIGINT, lines BIGINT,
    fingerprint BLOB, skipping BOOLEAN, checksum BIGINT,
    seen_inode BIGINT, seen_size BIGINT, seen_mtime_ns BIGINT, seen_ctime_ns BIGINT,
    PRIMARY KEY (kind, name)
);
CREATE TABLE rejects (kind VARCHAR, file VARCHAR, line BIGINT, reason VARCHAR, lines BIGINT);
CREATE TABLE repeats (file VARCHAR, line BIGINT, first_file VARCHAR, first_line BIGINT);
"""
# All that a database can hold besides rows; asked of the system, as a macro may have any name.
_MADE = """
SELECT 'table', sql FROM system.main.duckdb_tables() WHERE NOT internal
UNION ALL SELECT 'view', view_name FROM system.main.duckdb_views() WHERE NOT internal
UNION ALL SELECT 'index', sql FROM system.main.duckdb_indexes()
UNION ALL SELECT 'macro', function_name FROM system.main.duckdb_functions() WHERE NOT internal
UNION ALL SELECT 'type', type_name FROM system.main.duckdb_types() WHERE NOT internal
UNION ALL SELECT 'sequence', sequence_name FROM system.main.duckdb_sequences()
ORDER BY ALL
"""


# What a kill leaves beside the file: what was committed since the last checkpoint. The file alone
# is whole, with how far each log had been read by then, so it all comes again from there. DuckDB
# would believe a damaged one: its checksums do not see words that changed places.
_LOG_SUFFIXES = (".wal", ".wal.checkpoint", ".wal.recovery")
_LET_GO_S = 2.0
_LONG_LOG_BYTES = 2**18
_MOST_SEALED_BYTES = 2**36  # logs are read anew sooner than this; a file may also be all hole


class IndexInUse(RuntimeError):
    """Another process has the index open."""


class Database:
    """The tables at ``path``, or in memory; empty ones are made where needed.

    ``made_for`` is what rows depend on besides the logs: tables made for something else, or by
    another version, are made anew. So are damaged ones, and ``damage`` says what was found. Raises
    :class:`IndexInUse`, and ``OSError`` where the file cannot be, or is a link that ``inside`` does
    not follow.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        made_for: str,
        memory_limit_mb: int,
        inside: Inside | None = None,
    ) -> None:
        self._duckdb = load_extra("duckdb")
        self._path = path
        self._made_for = f"{VERSION} {made_for}"
        self._shares = SharedFile()
        self.damage: str | None = None
        self._config: dict[str, str] = {
            "memory_limit": f"{memory_limit_mb}MB",
            "enable_external_access": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",
        }
        if path is None:
            # In memory means in memory: no spilling into the working directory.
            config = {**self._config, "temp_directory": ""}
            self.connection = self._opened(":memory:", config)
            self._make_tables()
            return
        if inside is not None:
            with inside.directory(path.parent, make=True):
                pass
            inside.check(path.with_name(f"{path.name}.tmp"))  # a directory
            for suffix in ("", ".seal", *_LOG_SUFFIXES):
                inside.check_file(path.with_name(path.name + suffix))
        path.parent.mkdir(parents=True, exist_ok=True)
        self._seal = _Seal(path)
        try:
            self._open(path)
        except BaseException:
            self._seal.release()
            raise

    def close(self) -> None:
        """Close the connection; a database on disk is sealed, so that damage to it is noticed."""
        if self._path is None:
            self.connection.close()
            return
        written = False
        with suppress(self._duckdb.Error):  # one that failed stays unsealed
            self.connection.execute("CHECKPOINT")
            written = True
        self.connection.close()
        self._shares.release()
        if written:
            self._seal.set()
        self._seal.release()

    def discard(self) -> None:
        """Close the connection and remove what is on disk; it can be built again."""
        with suppress(self._duckdb.Error):  # somebody may be asking it this moment
            self.connection.close()
        self._shares.release()
        if self._path is not None:
            _remove(self._path)
            self._seal.release()

    @property
    def path(self) -> Path | None:
        """Where it is on disk; None in memory."""
        return self._path

    @property
    def shares(self) -> SharedFile:
        """What lets other processes read the file."""
        return self._shares

    def put_log_in_order(self) -> None:
        """Take a long write-ahead log into the file: who opens that reads all of the log."""
        assert self._path is not None
        with suppress(OSError, self._duckdb.Error):  # nobody is worse off for the log as it is
            if _log_of(self._path).stat().st_size > _LONG_LOG_BYTES:
                self.connection.cursor().execute("CHECKPOINT")

    def _open(self, path: Path) -> None:
        try:
            if self._seal.is_broken():
                raise _Damaged("its content is not what was written")
            if self._seal.is_held:
                _remove_logs(path)
            self.connection = self._connect(path)
            if self._found() in (None, self._made_for):
                self._make_tables()
                self._check_made()
                self._shares.take(path)
                return
            self.connection.close()
        except (_Damaged, self._duckdb.Error) as error:
            self.damage = str(error)
        _remove(path)
        self.connection = self._connect(path)
        self._make_tables()
        self._shares.take(path)

    def _opened(self, where: str, config: dict[str, str]) -> Any:
        connection = self._duckdb.connect(where, config=config)
        # It is drawn on the output of whoever reads a history for more than two seconds.
        connection.execute("SET enable_progress_bar = false")
        connection.execute("SET lock_configuration = true")
        return connection

    def _connect(self, path: Path) -> Any:
        # Nobody else of this program has it open. A process that answered a question for one that
        # was killed may, for a moment.
        deadline = time.monotonic() + _LET_GO_S
        while True:
            try:
                return self._opened(str(path), self._config)
            except self._duckdb.IOException as error:
                if "set lock" not in str(error):
                    raise
            if time.monotonic() > deadline:
                raise _in_use(path)
            time.sleep(0.05)

    def _make_tables(self) -> None:
        if self._found() is not None:
            return
        self.connection.begin()
        self.connection.execute(_FIXED_TABLES)
        for table in TABLES.values():
            self.connection.execute(table.create)
        self.connection.execute("INSERT INTO about VALUES (?)", [self._made_for])
        self.connection.commit()

    def _check_made(self) -> None:
        """Views, macros and generated columns are code, which may never end: none is made here."""
        made = Database(None, made_for=self._made_for, memory_limit_mb=64)
        try:
            if (
                self.connection.execute(_MADE).fetchall()
                != made.connection.execute(_MADE).fetchall()
            ):
                self.connection.close()
                raise _Damaged("it holds what this program does not put there")
        finally:
            made.connection.close()

    def _found(self) -> str | None:
        """What the tables were made for; None when there are none."""
        names = self.connection.execute(
            "SELECT table_name FROM system.main.duckdb_tables()"
        ).fetchall()
        if not names:
            return None
        rows = self.connection.execute("SELECT made_for FROM about").fetchall()
        return str(rows[0][0]) if rows else ""


def is_damage(error: Exception) -> bool:
    """Whether DuckDB tells of what it read from the disk, not of the question, time or room."""
    duckdb = load_extra("duckdb")
    of_the_question = (
        duckdb.ProgrammingError,
        duckdb.DataError,
        duckdb.IntegrityError,
        duckdb.NotSupportedError,
        duckdb.PermissionException,
        duckdb.InterruptException,
        duckdb.OutOfMemoryException,
        duckdb.ConnectionException,
        duckdb.TransactionException,
    )
    if not isinstance(error, duckdb.Error) or isinstance(error, of_the_question):
        return False
    told = str(error).lower()
    return not any(words in told for words in ("no space left", "could not write", "quota"))


class _Damaged(Exception):
    """The text says what is wrong with the file."""


class _Seal:
    """What a database's file was when it was closed, in a small file beside it.

    DuckDB checks each block by itself: blocks that changed places pass, and what it makes of them
    may be anything. The seal is also held locked while the database is open, as DuckDB's own lock
    goes as soon as anybody in this process closes the file.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        path = database.with_name(f"{database.name}.seal")
        self.is_held = True
        self._file = os.open(
            path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666
        )
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise _in_use(database) from None
        except OSError:
            self.is_held = False  # a file system without locks; DuckDB's own holds where it can
        self._told = os.pread(self._file, 100, 0)
        os.ftruncate(self._file, 0)  # from here on the file changes

    def is_broken(self) -> bool:
        """Whether the file is another than was sealed; one that a kill left unsealed is not."""
        with suppress(FileNotFoundError):
            if self._told and self._database.stat().st_size > _MOST_SEALED_BYTES:
                return True
        return bool(self._told) and self._told != _digest(self._database)

    def set(self) -> None:
        """Note what the file is now."""
        with suppress(OSError):  # a full disk: unsealed is no harm
            os.pwrite(self._file, _digest(self._database), 0)

    def release(self) -> None:
        """Let others open the database."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _digest(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest().encode()
    except FileNotFoundError:
        return b"gone"


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.wal")


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    _remove_logs(path)


def _remove_logs(path: Path) -> None:
    for suffix in _LOG_SUFFIXES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _in_use(path: Path) -> IndexInUse:
    return IndexInUse(
        f"{path} is open in another process: stop it, ask its API, "
        "or build an index in memory (database=None)."
    )
