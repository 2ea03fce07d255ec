"""What tells that a file is another, and which of very many files are looked at this time."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

# A directory's modification time may stand still for changes this close together.
MTIME_GRAIN_S = 2.0
AT_ONCE = 500  # so many files are all looked at each time; of more, so many in turn
_LATELY_S = 600.0
_NEWEST = 16
_TOLD = 10


@dataclass(frozen=True, slots=True)
class Version:
    """What a file is now. Whoever writes to it changes this, also where the size stays the same.

    Its time of modification can be set back, the time of its change cannot.
    """

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


def version_of(found: os.stat_result) -> Version:
    """The version that a look at a file tells."""
    return Version(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def look_at(path: Path) -> Version | None:
    """The version of the file at ``path``; None when it is gone."""
    try:
        return version_of(path.stat())
    except OSError:
        return None


class Turns:
    """Of very many files: those that are new, the newest by name, those that grew, some others."""

    def __init__(self) -> None:
        self._next = 0
        self._grew_at: dict[str, float] = {}

    def grew(self, name: str) -> None:
        """Something was appended to the file."""
        self._grew_at[name] = time.monotonic()

    def due(self, names: Sequence[str], known: Collection[str]) -> Sequence[str]:
        """The names to look at, in their order. What is not ``known`` is always due."""
        if len(names) <= AT_ONCE:
            return names
        since = time.monotonic() - _LATELY_S
        self._grew_at = {name: at for name, at in self._grew_at.items() if at >= since}
        due = {*names[-_NEWEST:], *self._grew_at.keys(), *self.some(names)}
        if len(known) < len(names):
            due.update(name for name in names if name not in known)
        return sorted(due.intersection(names) if self._grew_at else due)

    def some(self, names: Sequence[str]) -> Sequence[str]:
        """Some of them, others each time."""
        first = self._next if self._next < len(names) else 0
        self._next = first + AT_ONCE
        return names[first : self._next]


def few(problems: Collection[str]) -> tuple[str, ...]:
    """The first problems, and how many more there are."""
    if len(problems) <= _TOLD:
        return tuple(problems)
    return (*islice(problems, _TOLD), f"{len(problems) - _TOLD:,} more files cannot be read.")
