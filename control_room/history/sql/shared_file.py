"""Lets other processes read a database that this one has open, without a copy of it."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_HEADS_BYTES = 3 * 4_096  # what the file is, and two states of it, the newest of which counts


class SharedFile:
    """Turns DuckDB's lock of its file into one that lets others read, while anybody wants that.

    Such locks are the process's, not the descriptor's: this one may change what DuckDB took, and
    closing any descriptor of the file would let it go. So there is one, open as long as DuckDB's.

    What others read is whole as long as :meth:`heads` stays what it was. DuckDB writes over what is
    in use only after it has written a new head: so it survives being killed at any moment, and so
    does who reads beside it. What was committed since stands in the write-ahead log.
    """

    def __init__(self) -> None:
        self._file = -1
        self._held = 0
        self._lock = threading.Lock()

    def take(self, path: Path) -> None:
        """Begin, once DuckDB has the file open."""
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def release(self) -> None:
        """End, before DuckDB closes it."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let others open the file to read, until the block ends."""
        with self._lock:
            self._held += 1
            self._change(fcntl.LOCK_SH)
        try:
            yield
        finally:
            with self._lock:
                self._held -= 1
                if not self._held:
                    self._change(fcntl.LOCK_EX)

    def heads(self) -> bytes:
        """What says which content is the newest."""
        with self._lock:
            return os.pread(self._file, _HEADS_BYTES, 0) if self._file >= 0 else b""

    def _change(self, kind: int) -> None:
        if self._file >= 0:
            with suppress(OSError):  # no locks there, or somebody reads it still
                fcntl.lockf(self._file, kind | fcntl.LOCK_NB)
