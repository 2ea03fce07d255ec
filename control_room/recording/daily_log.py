"""One kind of log as one process appends to it: a file per day, a write per line.

Files are opened for appending, so writers in several processes may share them. An open file is
locked (shared): whoever packs old days leaves one alone that somebody may still append to.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from control_room.security.inside import Inside

_NEWLINE = ord("\n")
_MAX_OPENINGS = 200  # a file is being removed for some microseconds


class DailyLog:
    """Appends lines to the file of the day, which stays open. Every method may raise ``OSError``.

    Not safe for threads: its owner holds a lock.
    """

    def __init__(
        self, path_of: Callable[[date], Path], *, fsync: bool, inside: Inside | None = None
    ) -> None:
        """``inside`` opens the files; without it links are followed: a trainer means its own."""
        self._path_of = path_of
        self._inside = inside
        self._fsync = fsync
        self._file: io.FileIO | None = None
        self._day: date | None = None
        self._torn = False  # the file ends with a line that has no newline

    def append(self, line: bytes, day: date) -> None:
        """Write the line, newline included. On return the kernel has all of it.

        Raises ``OSError`` when it cannot; the line may then be appended again, since what was
        written of it is no record.
        """
        file = self._file
        if file is None or day != self._day:
            file = self._open(day)
        if self._torn:
            line = b"\n" + line
        size = len(line)
        written = file.write(line)
        self._torn = False
        while written < size:
            self._torn = written > 0 and line[written - 1] != _NEWLINE
            rest = line[written:]
            if rest == b"\n":
                break  # the record is whole: writing it again would double it
            count = file.write(rest)
            if not count:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            written += count
            self._torn = False
        if self._fsync:
            os.fsync(file.fileno())

    def close_if_over(self, day: date) -> None:
        """Close a file of another day: nothing is to be written to it any more."""
        if self._day != day:
            self.close()

    def close_if_replaced(self) -> bool:
        """Close a file that is no longer the one at its path: the next append makes a new one."""
        if self._file is None or self._day is None:
            return False
        opened = os.fstat(self._file.fileno())
        try:
            found = self._path_of(self._day).stat()
            if (found.st_dev, found.st_ino) == (opened.st_dev, opened.st_ino):
                return False
        except (FileNotFoundError, NotADirectoryError):
            pass  # gone
        self.close()
        return True

    def close(self) -> None:
        """Close the file; appending opens it again."""
        file, self._file, self._torn = self._file, None, False
        if file is not None:
            file.close()

    def __del__(self) -> None:
        self.close()  # a recorder that nobody closes is no leak to be warned about

    def _open(self, day: date) -> io.FileIO:
        self.close()
        path = self._path_of(day)
        if self._inside is None:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._file = file = _open_to_append(path, self._inside)
        self._day = day
        size = os.fstat(file.fileno()).st_size
        self._torn = size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n"
        if self._fsync and size == 0:
            _fsync_directory(path.parent)
        return file


def _open_to_append(path: Path, inside: Inside | None) -> io.FileIO:
    """The file at ``path``, made where there is none, and marked as written to."""
    for _ in range(_MAX_OPENINGS):
        file = path.open("a+b", buffering=0) if inside is None else inside.open_to_append(path)
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()  # it is being removed this moment: what is written now would be lost
            continue
        except OSError:
            return file  # a file system without locks
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()
    raise OSError(errno.EAGAIN, "locked by another process", str(path))


def _fsync_directory(path: Path) -> None:
    """A new file survives power loss only once its directory entry does."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
