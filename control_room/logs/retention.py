"""Closed days of a run's logs: compressed after a week (gzip or Parquet), deleted after a month.

A part of a day (:mod:`~control_room.logs.day_parts`) is at every moment whole in its plain or in
its compressed file, so a crash loses nothing: what one run left half done the next one finishes. A
file is replaced or removed only where another one holds all of it, by count and checksum.
"""

from __future__ import annotations

import errno
import fcntl
import gzip
import hashlib
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from stat import S_ISREG
from typing import IO, BinaryIO, Literal, cast

from control_room.logs import parquet_day
from control_room.logs.archive import PACKED
from control_room.logs.day_parts import DayPart, day_files, day_parts, part_file
from control_room.logs.file_identity import Version, version_of
from control_room.rundir import LOG_KINDS, LogKind, RunDir
from control_room.security.inside import Inside

COMPRESS_AFTER_DAYS = 7
DELETE_AFTER_DAYS = 30

Form = Literal["gzip", "parquet"]

_SUFFIXES: dict[Form, str] = {"gzip": ".gz", "parquet": parquet_day.SUFFIX}
_CHUNK_BYTES = 2**20
_UNFINISHED = ".unfinished"


@dataclass(frozen=True, slots=True)
class Step:
    """Something to be done to one file: written small and then removed, or only removed."""

    action: Literal["compress", "delete"]
    path: Path
    day: date
    size_bytes: int
    kind: LogKind
    form: Form = "gzip"  # that it is compressed to
    follow_links: tuple[Path, ...] = ()  # see :class:`~control_room.rundir.RunDir`

    @property
    def run(self) -> RunDir:
        """The run whose log it is."""
        return RunDir(self.path.parents[2], self.follow_links)  # of .../logs/kind/file

    def __str__(self) -> str:
        packs = self.action == "compress" and self.form != "gzip"
        what = f"{self.action} to {self.form}" if packs else self.action
        return f"{what} {self.path} ({self.size_bytes / 2**20:.1f} MiB)"


@dataclass(frozen=True, slots=True)
class Done:
    """How a step went. ``freed_bytes`` is what the disk got back."""

    step: Step
    freed_bytes: int = 0
    problem: str | None = None  # why it was left as it is


def plan(
    run: RunDir,
    today: date,
    *,
    compress_after_days: int = COMPRESS_AFTER_DAYS,
    delete_after_days: int | None = DELETE_AFTER_DAYS,
    form: Form = "gzip",
) -> list[Step]:
    """What is due, oldest first; nothing is touched. ``delete_after_days`` None keeps all.

    With ``form`` "parquet" days that were gzipped before are packed anew, too.

    A file's age is that of the day in its name. What a link leads to outside the run is never due;
    :func:`left_alone` names it. Raises ``ValueError`` for limits under a day, or a deletion that
    comes before compression.
    """
    if compress_after_days < 1:
        raise ValueError("compress_after_days must be at least 1: today's file is written to")
    if delete_after_days is not None and delete_after_days <= compress_after_days:
        raise ValueError("delete_after_days must be above compress_after_days")
    steps = []
    for kind, path, day, packed in _days(run):
        age = (today - day).days
        if delete_after_days is not None and age > delete_after_days:
            steps.append(Step("delete", path, day, _size(path), kind, form, run.follow_links))
        elif age > compress_after_days and (not packed or _is_packed_anew(path, form)):
            steps.append(Step("compress", path, day, _size(path), kind, form, run.follow_links))
    return sorted(steps, key=lambda step: (step.day, step.path))


def left_alone(run: RunDir) -> list[str]:
    """Which directories of logs cannot be looked after, and why."""
    found = []
    for kind in LOG_KINDS:
        try:
            any(day_files(run, kind))
        except OSError as error:
            reason = error.strerror or str(error)
            found.append(f"{run.logs(kind)} was left as it is: {reason}.")
    return found


def carry_out(step: Step) -> Done:
    """Do one step. Never raises for what the disk does: the day is then left as it was.

    Raises ``MissingExtra`` for Parquet without pyarrow.
    """
    try:
        with _alone(step) as directory:
            if step.action == "compress":
                return _compress(step, directory)
            directory.remove(step.path)
    except _Busy as reason:
        return Done(step, problem=str(reason))
    except OSError as error:
        reason_given = error.strerror or str(error)
        return Done(step, problem=f"{step.path} was left as it is: {reason_given}")
    return Done(step, freed_bytes=step.size_bytes)


def _compress(step: Step, directory: _Directory) -> Done:
    try:
        version = directory.version(step.path)  # before anything is compared: what comes is new
    except FileNotFoundError:
        return Done(step)  # packed, or deleted, since it was planned
    part = _part_of(step)
    if part is None:
        return Done(step)
    if step.path in part.damaged:
        return Done(step, problem=f"{step.path} was left as it is: it is damaged")
    _require_closed(step.path, directory)
    if step.path in part.copies:
        # All of it stands in another file: what an interrupted pack, or unpacking by hand, left.
        _remove(step.path, version, directory)
        return Done(step, freed_bytes=step.size_bytes)
    if part.damaged:
        names = ", ".join(path.name for path in part.damaged)
        return Done(step, problem=f"{step.path} was left as it is: {names} beside it is damaged")
    source = part_file(step.path, part.name)
    if source != step.path:
        if directory.holds(source):
            raise _Busy(f"{step.path} was left as it is: {source.name} is in its way")
        directory.rename(step.path, source)
    packed = source.with_name(part.name + _SUFFIXES[step.form])
    content = _content_of(source, directory)
    if content is None:
        return Done(step, problem=f"{source} was left as it is: it is damaged")
    size = _write_packed(source, packed, step, content, directory)
    for copy in part.copies:
        if copy != packed and copy.suffix in PACKED:
            directory.remove(copy)
    _remove(source, version, directory)
    return Done(step, freed_bytes=version.size - size)


def _part_of(step: Step) -> DayPart | None:
    """The part that the step's file is, or is a copy of."""
    for part in day_parts(step.run, step.kind):
        if step.path in (part.path, *part.copies, *part.damaged):
            return part
    return None


def _write_packed(
    source: Path, packed: Path, step: Step, content: _Content, directory: _Directory
) -> int:
    """``packed`` appears whole, or stays what it was, which ``source`` holds all of; its size."""
    unfinished = packed.with_name(f"{packed.name}{_UNFINISHED}")
    try:
        with directory.made(unfinished) as target:
            _pack(source, target, step, directory)
            os.fsync(target.fileno())
            size = os.fstat(target.fileno()).st_size
        if _content_of(unfinished, directory, packed.suffix) != content:
            raise _Busy(f"{source} was left as it is: it changed meanwhile")
        directory.rename(unfinished, packed)
        os.fsync(directory.descriptor)
    finally:
        directory.remove(unfinished)
    return size


class _Busy(Exception):
    """Somebody else is at work here. The text says what was left as it is."""


@dataclass(frozen=True, slots=True)
class _Directory:
    """A directory of logs that is open: a link that is put in its place changes nothing."""

    descriptor: int
    inside: Inside

    def open(self, path: Path) -> BinaryIO:
        """One of its files, to be read. Raises ``OSError`` for what is none."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(path.name, flags, dir_fd=self.descriptor)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            return self.inside.open(path)  # a link that may lead elsewhere in the run
        if not S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        return os.fdopen(descriptor, "rb")

    def made(self, path: Path) -> BinaryIO:
        """A new file, to be written and read; what was called so is removed."""
        self.remove(path)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.fdopen(os.open(path.name, flags, 0o666, dir_fd=self.descriptor), "w+b")

    def holds(self, path: Path) -> bool:
        """Whether anything is called so."""
        try:
            os.stat(path.name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def rename(self, path: Path, other: Path) -> None:
        """Call one of its files otherwise; what is called so is replaced."""
        descriptor = self.descriptor
        os.replace(path.name, other.name, src_dir_fd=descriptor, dst_dir_fd=descriptor)

    def remove(self, path: Path) -> None:
        """Remove one of its files, or the link that is in its place."""
        with suppress(FileNotFoundError):
            os.unlink(path.name, dir_fd=self.descriptor)

    def version(self, path: Path) -> Version:
        """What one of its files is now."""
        with self.open(path) as file:
            return version_of(os.fstat(file.fileno()))


@contextmanager
def _alone(step: Step) -> Iterator[_Directory]:
    """Only one process packs or deletes in a directory at a time."""
    path, inside = step.path.parent, step.run.inside
    with inside.directory(path) as descriptor:
        if not _locked(descriptor):
            raise _Busy(f"{path} was left as it is: another process packs its days")
        yield _Directory(descriptor, inside)


def _require_closed(path: Path, directory: _Directory) -> None:
    """Raise :class:`_Busy` when a process has the file open that may append to it."""
    with directory.open(path) as file:
        if not _locked(file.fileno()):
            raise _Busy(
                f"{path} was left as it is: a process has it open to write to it. It is packed "
                "once that has ended."
            )


def _remove(path: Path, version: Version, directory: _Directory) -> None:
    """Remove a file that is still what was packed. Raises :class:`_Busy` when it is not."""
    with directory.open(path) as file:
        # The lock lasts until the file is gone: whoever opens it now would write into nothing.
        if not _locked(file.fileno()) or not _is_same(os.fstat(file.fileno()), version):
            raise _Busy(f"{path} is kept beside what was packed: it is still written to")
        directory.remove(path)


def _is_same(found: os.stat_result, version: Version) -> bool:
    # Not by its time of change: to be called otherwise changes that.
    now = version_of(found)
    return (now.inode, now.size, now.mtime_ns) == (version.inode, version.size, version.mtime_ns)


def _locked(descriptor: int) -> bool:
    """Whether the lock that every writer shares was to be had alone."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks: what has changed is seen by its size and time
    return True


@dataclass(frozen=True, slots=True)
class _Content:
    """What two files have in common that hold the same."""

    lines: int
    sha256: bytes


def _pack(source: Path, target: BinaryIO, step: Step, directory: _Directory) -> None:
    with directory.open(source) as file, _unpacked(file, source.suffix) as lines:
        if step.form == "parquet":
            parquet_day.pack(lines, target, step.kind)
        else:
            # Without a name and a time in it, the same day packs to the same bytes.
            with gzip.GzipFile(filename="", mode="wb", fileobj=target, mtime=0) as out:
                shutil.copyfileobj(lines, out, _CHUNK_BYTES)
            target.flush()


def _unpacked(file: BinaryIO, suffix: str) -> IO[bytes]:
    if suffix == ".gz":
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file, mode="rb"))
    return file


def _content_of(path: Path, directory: _Directory, suffix: str | None = None) -> _Content | None:
    """Of what is in the file, unpacked as its suffix says; None when that cannot be read whole."""
    suffix = path.suffix if suffix is None else suffix
    try:
        with directory.open(path) as file:
            if suffix == parquet_day.SUFFIX:
                return _content(parquet_day.pieces(file))
            with _unpacked(file, suffix) as lines:
                return _content(iter(partial(lines.read, _CHUNK_BYTES), b""))
    except (OSError, EOFError, zlib.error):  # gzip.BadGzipFile is one: cut off, or no gzip at all
        if suffix not in _SUFFIXES.values():
            raise
        return None


def _content(pieces: Iterable[bytes]) -> _Content:
    lines, digest = 0, hashlib.sha256()
    for piece in pieces:
        lines += piece.count(b"\n")
        digest.update(piece)
    return _Content(lines, digest.digest())


def _days(run: RunDir) -> Iterator[tuple[LogKind, Path, date, bool]]:
    """Every file of every part of every day, and whether it is packed."""
    for kind in LOG_KINDS:
        with suppress(OSError):
            for path, day in day_files(run, kind):
                yield kind, path, day, path.suffix in PACKED


def _is_packed_anew(path: Path, form: Form) -> bool:
    return form == "parquet" and path.suffix == _SUFFIXES["gzip"]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
