"""Closed days of a run's logs: compressed after a week (gzip or Parquet), deleted after a month.

A day is at every moment whole in its plain or in its compressed file, so a crash loses nothing:
what one run left half done the next one finishes. Readers take the plain file while it is there.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import IO, Literal, cast

from control_room.history import parquet_day
from control_room.rundir import LOG_KINDS, LogKind, RunDir

COMPRESS_AFTER_DAYS = 7
DELETE_AFTER_DAYS = 30

Form = Literal["gzip", "parquet"]

_SUFFIXES: dict[Form, str] = {"gzip": ".gz", "parquet": parquet_day.SUFFIX}
_DAY = re.compile(r"_(\d{4}-\d{2}-\d{2})\.jsonl(\.gz|\.parquet)?$", re.ASCII)
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

    def __str__(self) -> str:
        what = self.action if self.form == "gzip" else f"{self.action} to {self.form}"
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

    A file's age is that of the day in its name. Raises ``ValueError`` for limits under a day, or
    a deletion that comes before compression.
    """
    if compress_after_days < 1:
        raise ValueError("compress_after_days must be at least 1: today's file is written to")
    if delete_after_days is not None and delete_after_days <= compress_after_days:
        raise ValueError("delete_after_days must be above compress_after_days")
    steps = []
    repacked = (None, ".gz") if form == "parquet" else (None,)
    for kind, path, day, suffix in _days(run):
        age = (today - day).days
        if delete_after_days is not None and age > delete_after_days:
            steps.append(Step("delete", path, day, _size(path), kind))
        elif age > compress_after_days and suffix in repacked:
            steps.append(Step("compress", path, day, _size(path), kind, form))
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
    source = step.path
    packed = source.with_name(source.name.removesuffix(".gz") + _SUFFIXES[step.form])
    before = source.stat()
    digest = _digest_of(source)
    if digest is None:
        return Done(step, problem=f"{source} was left as it is: it is damaged")
    if not (packed.exists() and _digest_of(packed) == digest):
        if source.suffix == ".gz" and packed.exists():
            # Which of them is the day, nobody can tell here.
            return Done(step, problem=f"{source} and {packed.name} differ: look, and remove one")
        unfinished = packed.with_name(f"{packed.name}{_UNFINISHED}")
        try:
            _pack(step, unfinished)
            if _digest_of(unfinished, packed.suffix) != digest:
                return Done(step, problem=f"{source} was left as it is: it changed meanwhile")
            unfinished.replace(packed)
            _sync_directory(packed.parent)
        finally:
            unfinished.unlink(missing_ok=True)
    # Only a file that is what was packed may go.
    after = source.stat()
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        return Done(step, problem=f"{source} is kept beside {packed.name}: it is still written to")
    source.unlink()
    return Done(step, freed_bytes=after.st_size - _size(packed))


def _pack(step: Step, target: Path) -> None:
    with _opened(step.path, step.path.suffix) as source:
        if step.form == "parquet":
            parquet_day.pack(source, target, step.kind)
        else:
            # Without a name and a time in it, the same day packs to the same bytes.
            with (
                target.open("wb") as raw,
                gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as out,
            ):
                shutil.copyfileobj(source, out, _CHUNK_BYTES)
    with target.open("rb") as written:
        os.fsync(written.fileno())


def _opened(path: Path, suffix: str) -> IO[bytes]:
    if suffix == ".gz":
        return cast("IO[bytes]", gzip.open(path, "rb"))
    return path.open("rb")


def _digest_of(path: Path, suffix: str | None = None) -> bytes | None:
    """Of what is in the file, unpacked as its suffix says; None when that cannot be read."""
    suffix = path.suffix if suffix is None else suffix
    try:
        if suffix == parquet_day.SUFFIX:
            return _digest(parquet_day.pieces(path))
        with _opened(path, suffix) as file:
            return _digest(iter(partial(file.read, _CHUNK_BYTES), b""))
    except (OSError, EOFError, zlib.error):  # gzip.BadGzipFile is one: cut off, or no gzip at all
        if suffix not in _SUFFIXES.values():
            raise
        return None


def _digest(pieces: Iterable[bytes]) -> bytes:
    found = hashlib.sha256()
    for piece in pieces:
        found.update(piece)
    return found.digest()


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _days(run: RunDir) -> Iterator[tuple[LogKind, Path, date, str | None]]:
    """Every daily file: its day, and the suffix of its form when it is compressed."""
    for kind in LOG_KINDS:
        for path in run.logs(kind).glob(f"{run.log_glob(kind)}*"):
            found = _DAY.search(path.name)
            if found is None:
                continue
            try:
                day = date.fromisoformat(found[1])
            except ValueError:
                continue  # no day of the calendar: not one of ours
            yield kind, path, day, found[2]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
