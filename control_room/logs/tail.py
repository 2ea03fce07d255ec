"""Reads what trainers append to a directory of daily logs: each complete new line, once.

A line that is still being written waits for its end, and a file that was replaced or cut short is
noticed and read again from its start.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import translate
from itertools import chain
from pathlib import Path
from zlib import crc32

from control_room.logs.file_identity import MTIME_GRAIN_S, Turns, Version, few, version_of
from control_room.recording.safe_repr import printable
from control_room.security.inside import Inside

MAX_LINE_BYTES = 16 * 2**20
MAX_READ_BYTES = 8 * 2**20  # in one read(), so that a first look at a long history does not block
_FINGERPRINT_BYTES = 64
_BLOCK_BYTES = 2**16


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
        start = 0
        # One after the other: a list of millions would take many times the block's size.
        for number in range(self.first_number, self.first_number + self.count):
            end = self.data.index(b"\n", start)
            data, start = self.data[start:end], end + 1
            if data.strip():
                yield Line(self.file, number, data)


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that cannot be read, and why; or the newest of ``lines`` such lines of a file."""

    file: Path
    line_number: int
    reason: str
    lines: int = 1


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
    """How far a file has been read, for reading on in another process.

    ``version`` is what the file was then; ``checksum`` is of all that was read, ``fingerprint`` of
    where that begins and ends.
    """

    inode: int
    offset: int
    lines: int
    fingerprint: bytes
    skipping: bool = False  # inside a line that is too long
    version: Version | None = None
    checksum: int | None = None  # None: not known


@dataclass(slots=True, eq=False)
class _File:
    inode: int
    offset: int = 0
    lines_before: int | None = 0  # None: not counted, as reading began in the middle
    fingerprint: bytes = b""
    skipping: bool = False
    version: Version | None = None
    checksum: int | None = 0  # CRC 32, from ``start`` on
    start: int = 0


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

    ``inside`` opens them; without it any link is followed. With ``last_lines`` the first read
    begins about that many lines before the end of the newest files, instead of at the start of all
    of them. With ``positions``, from :meth:`positions` of an earlier tail, it goes on from there. A
    file that was renamed is read on, or without ``renames`` from its start.

    Of more than a few hundred files those that nothing was appended to lately are looked at in
    turns, so that a look at tens of thousands costs no more.
    """

    def __init__(
        self,
        directory: Path,
        globs: tuple[str, ...],
        *,
        inside: Inside | None = None,
        last_lines: int | None = None,
        positions: Mapping[str, Position] | None = None,
        renames: bool = True,
        max_line_bytes: int = MAX_LINE_BYTES,
        max_read_bytes: int = MAX_READ_BYTES,
    ) -> None:
        self._renames = renames
        self._directory = directory
        self._inside = Inside(directory.parent, (Path("/"),)) if inside is None else inside
        self._is_wanted = re.compile("|".join(map(translate, globs))).match
        self.hidden: frozenset[str] = frozenset()  # names of files that are not to be read
        self._last_lines = last_lines
        self._max_line_bytes = max_line_bytes
        self._max_read_bytes = max_read_bytes
        self._files: dict[str, _File] = {
            name: _File(
                *(at.inode, at.offset, at.lines, at.fingerprint, at.skipping),
                *(at.version, at.checksum),
            )
            for name, at in (positions or {}).items()
        }
        self._problems: dict[str, str] = {}
        self._unnameable: tuple[str, ...] = ()
        self._listed: list[str] = []
        self._listed_as: tuple[int, int, int] | None = None
        self._listed_at_ns = 0
        self._names: list[str] = []  # of those listed, what is to be read
        self._names_for: frozenset[str] | None = None  # what was hidden from them
        self._turns = Turns()

    def read(self) -> TailBatch:
        """What has been appended since the last read. Never raises for what is on the disk."""
        try:
            names = self._list()
        except FileNotFoundError:
            self._forget_all()
            return TailBatch()
        except OSError as error:
            return TailBatch(problems=(named(error, self._directory),))
        if self._last_lines is not None and names:
            self._skip_to_last(names, self._last_lines)
            self._last_lines = None
        found = _Found(budget=self._max_read_bytes)
        for name in self._turns.due(names, self._files):
            if found.budget <= 0:
                found.more = True
                break
            self._read_file(name, found)
        return TailBatch(
            blocks=tuple(found.blocks),
            rejects=tuple(found.rejects),
            begun=tuple(found.begun),
            restarted=tuple(found.restarted),
            problems=few((*self._unnameable, *self._problems.values())),
            more=found.more,
        )

    def rewind(self, name: str) -> None:
        """Read the file called ``name`` from its start again."""
        self._files.pop(name, None)

    def _forget_all(self) -> None:
        self._files.clear()
        self._problems.clear()
        self._listed, self._names, self._listed_as = [], [], None

    def _follow_renames(self, names: Sequence[str]) -> None:
        """Forget files that are gone; one that is called otherwise now is read on."""
        there = set(names)
        for name in self._problems.keys() - there:
            del self._problems[name]
        gone = {self._files.pop(name) for name in self._files.keys() - there}
        if not gone or not self._renames:
            return
        by_inode = {state.inode: state for state in gone}
        for name in there - self._files.keys():
            try:
                state = by_inode.get((self._directory / name).stat().st_ino)
            except OSError:
                continue  # gone again: the next look lists anew
            if state is not None:
                self._files[name] = state

    def names(self) -> set[str]:
        """Of the files there are."""
        return set(self._names) or set(self._files)

    def positions(self) -> dict[str, Position]:
        """How far each file has been read, by its name."""
        return {
            name: Position(
                *(state.inode, state.offset, state.lines_before, state.fingerprint),
                *(state.skipping, state.version, state.checksum),
            )
            for name, state in self._files.items()
            if state.lines_before is not None and state.inode >= 0
        }

    def _list(self) -> list[str]:
        found = self._directory.stat()
        listed_as = found.st_dev, found.st_ino, found.st_mtime_ns
        fresh = self._listed_at_ns - found.st_mtime_ns < MTIME_GRAIN_S * 1e9
        is_new = listed_as != self._listed_as or fresh
        if is_new:
            self._listed_at_ns = time.time_ns()
            found_names = self._inside.names(self._directory, self._is_wanted)
            # Neither a table nor a page can hold the name of the others.
            self._listed = [name for name in found_names if name.isprintable()]
            self._unnameable = tuple(
                f"{self._directory}/{printable(name)} is not read: rename it, its name holds "
                "what cannot be shown."
                for name in found_names
                if not name.isprintable()
            )
            self._listed_as = listed_as
        if is_new or self.hidden is not self._names_for:
            self._names = [name for name in self._listed if name not in self.hidden]
            self._names_for = self.hidden
            self._follow_renames(self._names)
        return self._names

    def _skip_to_last(self, names: list[str], wanted: int) -> None:
        for name in reversed(names):
            try:
                with self._inside.open(self._directory / name) as file:
                    fd = file.fileno()
                    start, lines = _start_of_last_lines(fd, wanted)
                    version, fingerprint = version_of(os.fstat(fd)), _fingerprint(fd, start)
            except OSError:
                continue  # read() meets the same trouble and tells it
            known = None if start else 0
            self._files[name] = _File(
                version.inode, start, known, fingerprint, version=version, start=start
            )
            wanted -= lines

    def _read_file(self, name: str, found: _Found) -> None:
        path = self._directory / name
        state = self._files.get(name)
        try:
            version = version_of(path.stat())
            if state is not None and version == state.version and version.size == state.offset:
                return
            with self._inside.open(path) as file:
                fd = file.fileno()
                version = version_of(os.fstat(fd))
                if state is not None and _is_another(fd, version, state):
                    found.restarted.append(path)
                    state = None
                if state is None:
                    found.begun.append(path)
                    state = self._files[name] = _File(version.inode)
                elif version.size > state.offset:
                    self._turns.grew(name)
                self._read_lines(path, fd, version.size, state, found)
                state.version = version
            self._problems.pop(name, None)
        except FileNotFoundError:
            self._files.pop(name, None)
        except OSError as error:
            self._files.setdefault(name, _File(inode=-1))
            self._problems[name] = named(error, path)

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
            if used == 0:
                return
            if state.checksum is not None:
                state.checksum = crc32(memoryview(chunk)[:used], state.checksum)
            state.fingerprint = _fingerprint(fd, state.offset)

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


def _fingerprint(fd: int, end: int) -> bytes:
    """The first bytes up to ``end``, and the last ones before it."""
    size = min(_FINGERPRINT_BYTES, end)
    return os.pread(fd, size, 0) + os.pread(fd, size, end - size)


def _is_another(fd: int, version: Version, state: _File) -> bool:
    """Whether the file is no continuation of what was read: replaced, cut short or rewritten."""
    if state.inode not in (version.inode, -1) or version.size < state.offset:
        return True
    if _fingerprint(fd, state.offset) != state.fingerprint:
        return True
    # Somebody wrote to it, or only touched it, and it did not grow: all of it is compared.
    if version.size > state.offset or state.checksum is None or version == state.version:
        return False
    return _checksum(fd, state.start, state.offset) != state.checksum


def _checksum(fd: int, start: int, end: int) -> int:
    checksum = 0
    while start < end:
        piece = os.pread(fd, min(MAX_READ_BYTES, end - start), start)
        if not piece:
            break
        checksum, start = crc32(piece, checksum), start + len(piece)
    return checksum


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


def named(error: OSError, path: Path) -> str:
    """For a person: which file, and why it cannot be read."""
    return f"{path} cannot be read: {error.strerror or error}."
