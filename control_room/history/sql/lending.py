"""Lets other processes read the tables of an index as they are at this moment.

An index on disk is read where it lies. One in memory is copied into a file first, which is kept
until the tables change.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from control_room.extra import load_extra
from control_room.history.database import Database, is_damage
from control_room.history.sql.question import SqlAnswer, SqlRefused

_COPY_PREFIX = "control-room-sql-"


class Lending:
    """For one database. The thread that writes holds :attr:`writing`, and counts in ``written``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.writing = threading.Lock()
        self.written = 0
        self._copying = threading.Lock()
        self._copy: tuple[int, Path] | None = None  # and what was written until then

    def ask(self, ask: Callable[[Path], SqlAnswer], *, wait_s: float) -> SqlAnswer:
        """What ``ask`` makes of the file with the tables, which it has another process read.

        It may be asked twice. Raises :class:`SqlRefused`, also when what
        it needs is not to be had within ``wait_s``.
        """
        if self._database.path is None:
            return self._ask_copy(ask, wait_s)
        return self._ask_in_place(self._database.path, ask, wait_s)

    def close(self) -> None:
        """Remove the copy."""
        if self._copy is not None:
            shutil.rmtree(self._copy[1].parent, ignore_errors=True)
            self._copy = None

    def _ask_in_place(
        self, path: Path, ask: Callable[[Path], SqlAnswer], wait_s: float
    ) -> SqlAnswer:
        if self.writing.acquire(blocking=False):
            try:
                self._database.put_log_in_order()
            finally:
                self.writing.release()
        with self._database.shares.held():
            before = self._database.shares.heads()
            try:
                answer = ask(path)
            except SqlRefused as refused:
                told = refused.__cause__
                in_doubt = isinstance(told, Exception) and is_damage(told)
                if not in_doubt and self._database.shares.heads() == before:
                    raise
            else:
                if self._database.shares.heads() == before:
                    return answer
            # Blocks may have been written over while they were read: now nothing is written.
            if not self.writing.acquire(timeout=wait_s):
                raise SqlRefused("The history is taking in much at once. Ask again in a moment.")
            try:
                return ask(path)
            finally:
                self.writing.release()

    def _ask_copy(self, ask: Callable[[Path], SqlAnswer], wait_s: float) -> SqlAnswer:
        if not self._copying.acquire(timeout=wait_s):
            raise SqlRefused("Others are asking; ask again in a moment.")
        try:
            return ask(self._copied())
        finally:
            self._copying.release()

    def _copied(self) -> Path:
        if self._copy is not None and self._copy[0] == self.written:
            return self._copy[1]
        self.close()
        written = self.written
        try:
            _remove_leftovers()
            directory = Path(tempfile.mkdtemp(prefix=f"{_COPY_PREFIX}{os.getpid()}-"))
            try:
                path = directory / "history.duckdb"
                self._copy_to(path)
            except BaseException:
                shutil.rmtree(directory, ignore_errors=True)
                raise
        except (OSError, load_extra("duckdb").Error) as error:
            raise SqlRefused(
                "The history is held in memory, and the copy of it that a question needs cannot be "
                f"written to {tempfile.gettempdir()}: {error}"
            ) from None
        self._copy = written, path
        return path

    def _copy_to(self, path: Path) -> None:
        source = self._database.connection.cursor()
        source.execute("BEGIN TRANSACTION READ ONLY")
        query = "SELECT table_name, sql FROM duckdb_tables()"
        with load_extra("duckdb").connect(str(path), config={"memory_limit": "256MB"}) as target:
            for name, create in source.execute(query).fetchall():
                target.execute(create)
                target.register("rows", source.sql(f"FROM {name}").to_arrow_reader(10_000))
                target.execute(f"INSERT INTO {name} FROM rows")
                target.unregister("rows")
        source.close()


def _remove_leftovers() -> None:
    """The copies of processes that were killed."""
    for found in Path(tempfile.gettempdir()).glob(f"{_COPY_PREFIX}*"):
        number = found.name.removeprefix(_COPY_PREFIX).partition("-")[0]
        if number.isdecimal() and not _is_alive(int(number)):
            with suppress(OSError):
                if found.lstat().st_uid == os.getuid():
                    shutil.rmtree(found, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
