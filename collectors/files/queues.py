"""The data queue of a run directory: how many files wait at each priority, which one is in work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from control_room.recording.safe_repr import printable
from control_room.rundir import QUEUE_PRIORITIES, RunDir
from control_room.security.inside import Inside, LeadsOut

NEXT_FILES = 5
# Asking 100 000 files for size and age takes a fifth of a second; listing them, a fifth of that.
MAX_FILES_ASKED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuesReading:
    """Counts of ``*.jsonl`` files. None: that directory does not exist or cannot be read."""

    high: int | None
    normal: int | None
    low: int | None
    processing: int | None
    failed: int | None
    processing_files: tuple[str, ...]  # names, oldest first
    next_files: tuple[str, ...]  # the next few to be taken, in the order high, normal, low
    pending_bytes: int | None  # of the files that wait
    processing_bytes: int | None
    problem: str | None = None  # names the directory and the reason


@dataclass(frozen=True, slots=True)
class _Directory:
    """One directory of the queue. Names and bytes are None where they were not asked for."""

    count: int | None = None
    names: tuple[str, ...] | None = ()  # oldest first
    size_bytes: int | None = 0
    problem: str | None = None


def read_queues(run: RunDir) -> QueuesReading:
    """List the queue's directories. Never raises for what the disk does: the reading says.

    Of a directory with more than MAX_FILES_ASKED files only the count is told.
    """
    inside = run.inside
    waiting = [_read(run.queue(priority), inside) for priority in QUEUE_PRIORITIES]
    processing, failed = (_read(run.queue(each), inside) for each in ("processing", "failed"))
    high, normal, low = (directory.count for directory in waiting)
    problems = [each.problem for each in (*waiting, processing, failed) if each.problem is not None]
    return QueuesReading(
        high=high,
        normal=normal,
        low=low,
        processing=processing.count,
        failed=failed.count,
        processing_files=processing.names or (),
        next_files=_next(waiting),
        pending_bytes=_sum_bytes(waiting),
        processing_bytes=_sum_bytes([processing]),
        problem="; ".join(problems) or None,
    )


def _read(path: Path, inside: Inside) -> _Directory:
    try:
        with inside.directory(path) as directory, os.scandir(directory) as entries:
            found = [entry for entry in entries if _is_data(entry, path, inside)]
            return _told(path, found, inside)
    except FileNotFoundError:
        return _Directory()
    except OSError as error:
        problem = f"cannot read {path}: {error.strerror or error}"
        return _Directory(names=None, size_bytes=None, problem=problem)


def _told(path: Path, found: Sequence[os.DirEntry[str]], inside: Inside) -> _Directory:
    if len(found) > MAX_FILES_ASKED:
        problem = f"{path} holds {len(found)} files: too many to tell their order and size"
        return _Directory(len(found), None, None, problem)
    return _ask(path, found, inside)


def _ask(path: Path, entries: Sequence[os.DirEntry[str]], inside: Inside) -> _Directory:
    files, is_size_known = [], True
    for entry in entries:
        try:
            is_own = not _leads_out(entry, path, inside)
            status = entry.stat(follow_symlinks=is_own)
        except OSError:
            continue  # taken by the trainer since it was listed
        is_size_known &= is_own
        files.append((status.st_mtime_ns, entry.name, status.st_size))
    files.sort()
    names = tuple(printable(name) for _, name, _ in files)
    size_bytes = sum(size for _, _, size in files) if is_size_known else None
    return _Directory(len(files), names, size_bytes)


def _is_data(entry: os.DirEntry[str], directory: Path, inside: Inside) -> bool:
    """Whether it is a data file. Of a link that leads out of the run only the name is known."""
    try:
        if not entry.name.endswith(".jsonl"):
            return False
        return _leads_out(entry, directory, inside) or entry.is_file()
    except OSError:
        return False


def _leads_out(entry: os.DirEntry[str], directory: Path, inside: Inside) -> bool:
    if not entry.is_symlink():
        return False
    try:
        inside.check(directory / entry.name)
    except LeadsOut:
        return True
    return False


def _next(waiting: Sequence[_Directory]) -> tuple[str, ...]:
    names: tuple[str, ...] = ()
    for directory in waiting:
        if directory.names is None:
            break  # what is taken after an unknown order is unknown as well
        names += directory.names
    return names[:NEXT_FILES]


def _sum_bytes(directories: Sequence[_Directory]) -> int | None:
    """None when none of the directories exists, or one's size is unknown."""
    sizes = [directory.size_bytes for directory in directories]
    if all(directory.count is None for directory in directories) or None in sizes:
        return None
    return sum(size for size in sizes if size is not None)
