"""Reads what trainers append to a directory of daily logs: each complete new line, once.

A line that is still being written waits for its end, and a file that was replaced or cut short is
noticed and read again from its start.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

from control_room.shown import printable

MAX_LINE_BYTES = 16 * 2**20
MAX_READ_BYTES = 8 * 2**20  # in one read(), so that a first look at a long history does not block
_FINGERPRINT_BYTES = 64
_BLOCK_BYTES = 2**16
# A directory's modification time may stand still for changes this close together.
_MTIME_GRAIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Line:
    """A complete line, without its newline. ``number`` counts from 1."""

    file: Path
    number: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Block:
    """Complete lines that stand one after the other in a file, each with its newline."""

    file: Path
    first_number: int
    data: bytes
    count: int  # of lines

    def lines(self) -> Iterator[Line]:
        """Each line that is not blank."""
        for number, data in enumerate(self.data[:-1].split(b"\n"), start=self.first_number):
            if data.strip():
                yield Line(self.file, number, data)


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that cannot be read, and why."""

    file: Path
    line_number: int
    reason: str


@dataclass(frozen=True, slots=True)
class TailBatch:
    """What one read found, in the order of files by name, then lines."""

    blocks: tuple[Block, ...] = ()
    rejects: tuple[Reject, ...] = ()
    begun: tuple[Path, ...] = ()  # files whose first lines are among these
    restarted: tuple[Path, ...] = ()  # of these, files that were read before and are others now
    problems: tuple[str, ...] = ()  # what cannot be read at all, and what to do
    more: bool = False  # there is more to read at once

    @property
    def lines(self) -> Iterator[Line]:
        """The lines of all blocks, without blank ones."""
        return chain.from_iterable(block.lines() for block in self.blocks)


def together(batches: Sequence[TailBatch]) -> TailBatch:
    """What several tails found, in their order."""
    if len(batches) == 1:
        return batches[0]
    return TailBatch(
        blocks=tuple(chain.from_iterable(batch.blocks for batch in batches)),
        rejects=tuple(chain.from_iterable(batch.rejects for batch in batches)),
        begun=tuple(chain.from_iterable(batch.begun for batch in batches)),
        restarted=tuple(chain.from_iterable(batch.restarted for batch in batches)),
        problems=tuple(chain.from_iterable(batch.problems for batch in batches)),
        more=any(batch.more for batch in batches),
    )


@dataclass(frozen=True, slots=True)
class Position:
    """How far a file has been read, for reading on in another process."""

    inode: int
    offset: int
    lines: int
    fingerprint: bytes
    skipping: bool = False  # inside a line that is too long


@dataclass(slots=True, eq=False)
class _File:
    inode: int
    offset: int = 0
    lines_before: int | None = 0  # None: not counted, as reading began in the middle
    fingerprint: bytes = b""
    skipping: bool = False
    problem: str | None = None


@dataclass(slots=True)
class _Found:
    blocks: list[Block] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    begun: list[Path] = field(default_factory=list)
    restarted: list[Path] = field(default_factory=list)
    budget: int = MAX_READ_BYTES
    more: bool = False


class LogTail:
    """Follows the files of one directory that match one of ``globs``. Not safe for threads.

    With ``last_lines`` the first read begins about that many lines before the end of the newest
    files, instead of at the start of all of them. With ``positions``, from :meth:`positions` of an
    earlier tail, it goes on from there. A file that was renamed is read on, or without ``renames``
    from its start.
    """

    def __init__(
        self,
        directory: Path,
        globs: tuple[str, ...],
        *,
        last_lines: int | None = None,
        positions: Mapping[str, Position] | None = None,
        renames: bool = True,
        max_line_bytes: int = MAX_LINE_BYTES,
        max_read_bytes: int = MAX_READ_BYTES,
    ) -> None:
        self._renames = renames
        self._directory = directory
        self._globs = globs
        self.hidden: frozenset[str] = frozenset()  # names of files that are not to be read
        self._last_lines = last_lines
        self._max_line_bytes = max_line_bytes
        self._max_read_bytes = max_read_bytes
        self._files: dict[Path, _File] = {
            directory / name: _File(at.inode, at.offset, at.lines, at.fingerprint, at.skipping)
            for name, at in (positions or {}).items()
        }
        self._listed: list[Path] = []
        self._unnameable: tuple[str, ...] = ()
        self._listed_mtime_ns: int | None = None
        self._listed_at_ns = 0

    def read(self) -> TailBatch:
        """What has been appended since the last read. Never raises for what is on the disk."""
        try:
            paths = self._list()
        except FileNotFoundError:
            self._files.clear()
            return TailBatch()
        except OSError as error:
            return TailBatch(problems=(_named(error, self._directory),))
        self._follow_renames(paths)
        if self._last_lines is not None and paths:
            self._skip_to_last(paths, self._last_lines)
            self._last_lines = None
        found = _Found(budget=self._max_read_bytes)
        for path in paths:
            self._read_file(path, found)
        problems = (*self._unnameable, *(state.problem for state in self._files.values()))
        return TailBatch(
            blocks=tuple(found.blocks),
            rejects=tuple(found.rejects),
            begun=tuple(found.begun),
            restarted=tuple(found.restarted),
            problems=tuple(problem for problem in problems if problem is not None),
            more=found.more,
        )

    def rewind(self, name: str) -> None:
        """Read the file called ``name`` from its start again."""
        self._files.pop(self._directory / name, None)

    def _follow_renames(self, paths: Sequence[Path]) -> None:
        """Forget files that are gone; one that is called otherwise now is read on."""
        gone = {self._files.pop(path) for path in self._files.keys() - set(paths)}
        if not gone or not self._renames:
            return
        by_inode = {state.inode: state for state in gone}
        for path in set(paths) - self._files.keys():
            try:
                state = by_inode.get(path.stat().st_ino)
            except OSError:
                continue  # gone again: the next look lists anew
            if state is not None:
                self._files[path] = state

    def names(self) -> set[str]:
        """Of the files there are."""
        return {path.name for path in self._files}

    def positions(self) -> dict[str, Position]:
        """How far each file has been read, by its name."""
        return {
            path.name: Position(
                state.inode, state.offset, state.lines_before, state.fingerprint, state.skipping
            )
            for path, state in self._files.items()
            if state.lines_before is not None and state.inode >= 0
        }

    def _list(self) -> list[Path]:
        mtime_ns = self._directory.stat().st_mtime_ns
        fresh = self._listed_at_ns - mtime_ns < _MTIME_GRAIN_S * 1e9
        if mtime_ns != self._listed_mtime_ns or fresh:
            self._listed_at_ns = time.time_ns()
            found = sorted(path for glob in self._globs for path in self._directory.glob(glob))
            # Neither a table nor a page can hold the name of the others.
            self._listed = [path for path in found if path.name.isprintable()]
            self._unnameable = tuple(
                f"{self._directory}/{printable(path.name)} is not read: rename it, its name holds "
                "what cannot be shown."
                for path in found
                if not path.name.isprintable()
            )
            self._listed_mtime_ns = mtime_ns
        if self.hidden:
            return [path for path in self._listed if path.name not in self.hidden]
        return self._listed

    def _skip_to_last(self, paths: list[Path], wanted: int) -> None:
        for path in reversed(paths):
            try:
                with _open_regular(path) as file:
                    start, lines = _start_of_last_lines(file.fileno(), wanted)
                    inode = os.fstat(file.fileno()).st_ino
                    fingerprint = os.pread(file.fileno(), min(_FINGERPRINT_BYTES, start), 0)
            except OSError:
                continue  # read() meets the same trouble and tells it
            self._files[path] = _File(inode, start, None if start else 0, fingerprint)
            wanted -= lines

    def _read_file(self, path: Path, found: _Found) -> None:
        state = self._files.get(path)
        try:
            status = path.stat()
            if state is not None and (status.st_ino, status.st_size) == (state.inode, state.offset):
                state.problem = None
                return
            with _open_regular(path) as file:
                status = os.fstat(file.fileno())
                if state is not None and _is_another(file.fileno(), status, state):
                    found.restarted.append(path)
                    state = None
                if state is None:
                    found.begun.append(path)
                    state = self._files[path] = _File(status.st_ino)
                self._read_lines(path, file.fileno(), status.st_size, state, found)
                state.problem = None
        except FileNotFoundError:
            self._files.pop(path, None)
        except OSError as error:
            state = self._files.setdefault(path, _File(inode=-1))
            state.problem = _named(error, path)

    def _read_lines(self, path: Path, fd: int, size: int, state: _File, found: _Found) -> None:
        while state.offset < size:
            if found.budget <= 0:
                found.more = True
                return
            chunk = os.pread(fd, min(self._max_read_bytes, size - state.offset), state.offset)
            if len(chunk) == self._max_read_bytes and b"\n" not in chunk:
                # A long line; one byte more than is allowed tells whether it is too long.
                chunk = os.pread(fd, self._max_line_bytes + 1, state.offset)
            if not chunk:
                return
            used = self._take(path, fd, chunk, state, found)
            found.budget -= max(used, 1)
            if len(state.fingerprint) < _FINGERPRINT_BYTES:
                state.fingerprint = os.pread(fd, min(_FINGERPRINT_BYTES, state.offset), 0)
            if used == 0:
                return

    def _take(self, path: Path, fd: int, chunk: bytes, state: _File, found: _Found) -> int:
        """Take the complete lines of ``chunk``; return how many bytes they are."""
        end = chunk.rfind(b"\n") + 1
        if end == 0:
            if len(chunk) <= self._max_line_bytes and not state.skipping:
                return 0
            state.skipping = True
            state.offset += len(chunk)
            return len(chunk)
        if state.lines_before is None:
            state.lines_before = _count_lines(fd, state.offset)
        start = 0
        if state.skipping:
            start = chunk.index(b"\n") + 1
            self._reject_long(path, state, found)
        if end - start > self._max_line_bytes:
            start = self._pass_long_lines(path, chunk, start, state, found)
        self._add_block(path, chunk[start:end], state, found)
        state.offset += end
        return end

    def _pass_long_lines(
        self, path: Path, chunk: bytes, start: int, state: _File, found: _Found
    ) -> int:
        """Take everything up to the last line that is too long; return where the rest starts."""
        taken = at = start
        while (newline := chunk.find(b"\n", at)) >= 0:
            if newline - at > self._max_line_bytes:
                self._add_block(path, chunk[taken:at], state, found)
                self._reject_long(path, state, found)
                taken = newline + 1
            at = newline + 1
        return taken

    def _reject_long(self, path: Path, state: _File, found: _Found) -> None:
        assert state.lines_before is not None
        state.lines_before += 1
        state.skipping = False
        reason = f"longer than {self._max_line_bytes:,} bytes"
        found.rejects.append(Reject(path, state.lines_before, reason))

    def _add_block(self, path: Path, data: bytes, state: _File, found: _Found) -> None:
        assert state.lines_before is not None
        if data:
            count = data.count(b"\n")
            found.blocks.append(Block(path, state.lines_before + 1, data, count))
            state.lines_before += count


def _open_regular(path: Path) -> BinaryIO:
    """The file at ``path``. Raises ``OSError`` for a pipe or device, which might never answer."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return os.fdopen(descriptor, "rb")


def _is_another(fd: int, status: os.stat_result, state: _File) -> bool:
    """Whether the file is no continuation of what was read: replaced, cut short or rewritten."""
    if state.inode not in (status.st_ino, -1) or status.st_size < state.offset:
        return True
    return os.pread(fd, len(state.fingerprint), 0) != state.fingerprint


def _start_of_last_lines(fd: int, wanted: int) -> tuple[int, int]:
    """The offset at which the last ``wanted`` complete lines start, and how many there are."""
    position = os.fstat(fd).st_size
    newlines = 0
    if wanted <= 0:
        return _after_last_newline(fd, position), 0
    for start, block in _blocks_backwards(fd, position):
        at = len(block)
        while (at := block.rfind(b"\n", 0, at)) >= 0:
            newlines += 1
            if newlines > wanted:
                return start + at + 1, wanted
    return 0, newlines


def _after_last_newline(fd: int, size: int) -> int:
    for start, block in _blocks_backwards(fd, size):
        if (at := block.rfind(b"\n")) >= 0:
            return start + at + 1
    return 0


def _blocks_backwards(fd: int, size: int) -> Iterator[tuple[int, bytes]]:
    while size > 0:
        start = max(0, size - _BLOCK_BYTES)
        yield start, os.pread(fd, size - start, start)
        size = start


def _count_lines(fd: int, size: int) -> int:
    lines = position = 0
    while position < size:
        block = os.pread(fd, min(2**20, size - position), position)
        if not block:
            break
        lines += block.count(b"\n")
        position += len(block)
    return lines


def _named(error: OSError, path: Path) -> str:
    return f"{path} cannot be read: {error.strerror or error}."
