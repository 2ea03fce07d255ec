"""Closed days of a run's logs: compressed after a week, deleted after a month.

A day is at every moment whole in its plain or in its compressed file, so a crash loses nothing:
what one run left half done the next one finishes. Readers take the plain file while it is there.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, Literal

from control_room.rundir import LOG_KINDS, RunDir

COMPRESS_AFTER_DAYS = 7
DELETE_AFTER_DAYS = 30

_DAY = re.compile(r"_(\d{4}-\d{2}-\d{2})\.jsonl(\.gz)?$", re.ASCII)
_CHUNK_BYTES = 2**20
_UNFINISHED = ".unfinished"


@dataclass(frozen=True, slots=True)
class Step:
    """Something to be done to one file: written small and then removed, or only removed."""

    action: Literal["compress", "delete"]
    path: Path
    day: date
    size_bytes: int

    def __str__(self) -> str:
        return f"{self.action} {self.path} ({self.size_bytes / 2**20:.1f} MiB)"


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
) -> list[Step]:
    """What is due, oldest first; nothing is touched. ``delete_after_days`` None keeps all.

    A file's age is that of the day in its name. Raises ``ValueError`` for limits under a day, or
    a deletion that comes before compression.
    """
    if compress_after_days < 1:
        raise ValueError("compress_after_days must be at least 1: today's file is written to")
    if delete_after_days is not None and delete_after_days <= compress_after_days:
        raise ValueError("delete_after_days must be above compress_after_days")
    steps = []
    for path, day, packed in _days(run):
        age = (today - day).days
        if delete_after_days is not None and age > delete_after_days:
            steps.append(Step("delete", path, day, _size(path)))
        elif age > compress_after_days and not packed:
            steps.append(Step("compress", path, day, _size(path)))
    return sorted(steps, key=lambda step: (step.day, step.path))


def carry_out(step: Step) -> Done:
    """Do one step. Never raises for what the disk does: the day is then left as it was."""
    try:
        if step.action == "compress":
            return _compress(step)
        step.path.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        return Done(step, problem=f"{step.path} was left as it is: {reason}")
    return Done(step, freed_bytes=step.size_bytes)


def _compress(step: Step) -> Done:
    plain = step.path
    packed = plain.with_name(f"{plain.name}.gz")
    before = plain.stat()
    digest = _digest(plain.open("rb"))
    if not (packed.exists() and _unpacks_to(packed, digest)):
        unfinished = packed.with_name(f"{packed.name}{_UNFINISHED}")
        try:
            _pack(plain, unfinished)
            if not _unpacks_to(unfinished, digest):
                return Done(step, problem=f"{plain} was left as it is: it changed meanwhile")
            unfinished.replace(packed)
            _sync_directory(packed.parent)
        finally:
            unfinished.unlink(missing_ok=True)
    # Only a file that is what was packed may go.
    after = plain.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        return Done(step, problem=f"{plain} is kept beside {packed.name}: it is still written to")
    plain.unlink()
    return Done(step, freed_bytes=after.st_size - _size(packed))


def _pack(plain: Path, target: Path) -> None:
    with plain.open("rb") as source, target.open("wb") as raw:
        # Without a name and a time in it, the same day packs to the same bytes.
        with gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as out:
            while chunk := source.read(_CHUNK_BYTES):
                out.write(chunk)
        raw.flush()
        os.fsync(raw.fileno())


def _unpacks_to(packed: Path, digest: bytes) -> bool:
    try:
        return _digest(gzip.open(packed, "rb")) == digest
    except (OSError, EOFError):  # gzip.BadGzipFile is one: cut off, or no gzip at all
        return False


def _digest(file: IO[bytes] | gzip.GzipFile) -> bytes:
    found = hashlib.sha256()
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            found.update(chunk)
    return found.digest()


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _days(run: RunDir) -> Iterator[tuple[Path, date, bool]]:
    """Every daily file: its day, and whether it is compressed."""
    for kind in LOG_KINDS:
        directory, glob = run.logs(kind), run.log_glob(kind)
        for path in (*directory.glob(glob), *directory.glob(f"{glob}.gz")):
            found = _DAY.search(path.name)
            if found is None:
                continue
            try:
                day = date.fromisoformat(found[1])
            except ValueError:
                continue  # no day of the calendar: not one of ours
            yield path, day, found[2] is not None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
