"""Which files a kind's daily logs consist of: a day is one part, or several.

A part is plain, gzipped or Parquet. A day that was packed and then written to again (by an import,
by a clock that was wrong) has a second part, and so on. A part that stands in two files is what a
pack that was interrupted left: it is read from the one that holds all of the other.
"""

from __future__ import annotations

import os
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date
from fnmatch import translate
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Literal

from control_room.logs.archive import PACKED, DamagedArchive, archive_pieces
from control_room.logs.file_identity import AT_ONCE, MTIME_GRAIN_S, Version, version_of
from control_room.rundir import LogKind, RunDir
from control_room.security.inside import Inside, opened

Relation = Literal["same", "holds", "is held", "holds what can be read", "other"]

_FILE = re.compile(
    r"(?P<stem>.+_(?P<day>\d{4}-\d{2}-\d{2}))(?:\.part(?P<number>[2-9]|[1-9]\d{1,5}))?\.jsonl"
    r"(?P<suffix>\.gz|\.parquet)?",
    re.ASCII,
)
_CHUNK_BYTES = 2**20
_FINGERPRINT_BYTES = 64
_LISTINGS = 5
_COMPARED_AGAIN_S = 60.0  # where very many files have another of the same day beside them


@dataclass(frozen=True, slots=True)
class DayPart:
    """One part of a day. ``path`` is where it is read from; ``copies`` hold nothing besides.

    ``damaged`` archives hold nothing else that can be read; what else they held nobody knows.
    ``name`` is that of its plain file, ``preview_history_2026-01-31.jsonl`` or
    ``preview_history_2026-01-31.part2.jsonl``, also where it is packed or not yet called so.
    """

    name: str
    path: Path
    day: date
    copies: tuple[Path, ...] = ()
    damaged: tuple[Path, ...] = ()
    inside: Inside | None = field(default=None, repr=False, compare=False)

    @property
    def is_packed(self) -> bool:
        """Whether it is read from an archive, to which nothing is appended."""
        return self.path.suffix in PACKED

    def lines(self) -> Iterator[bytes]:
        """As :func:`lines_of`, but only up to where an archive is damaged."""
        with suppress(DamagedArchive):
            yield from lines_of(self.path, self.inside)


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    stem: str  # up to the day
    number: int
    day: date

    @property
    def name(self) -> str:
        return _name(self.stem, self.number)


class DayParts:
    """Lists the parts of one kind's logs. What was compared is remembered. Not safe for threads."""

    def __init__(self, run: RunDir, kind: LogKind) -> None:
        self._directory = run.logs(kind)
        self._inside = run.inside
        self._files_of = partial(_files, run, kind)
        self._compared: dict[tuple[Path, Path], _Compared] = {}
        self._listed: tuple[DayPart, ...] = ()
        self._listed_as = (-1, -1, -1)
        self._listed_at_ns = 0

    def look(self) -> tuple[DayPart, ...]:
        """All parts, in the order of their days and numbers. Raises ``OSError``."""
        try:
            found = self._directory.stat()
        except (FileNotFoundError, NotADirectoryError):
            return ()
        listed_as = found.st_dev, found.st_ino, found.st_mtime_ns
        fresh = self._listed_at_ns - found.st_mtime_ns < MTIME_GRAIN_S * 1e9
        if listed_as != self._listed_as or fresh or self._may_compare_otherwise():
            self._listed_at_ns = time.time_ns()
            self._listed = self._list()
            self._listed_as = listed_as
        return self._listed

    def _may_compare_otherwise(self) -> bool:
        """Of two files of one part, an append may change which holds the other."""
        if len(self._compared) <= AT_ONCE:
            return bool(self._compared)
        return time.time_ns() - self._listed_at_ns > _COMPARED_AGAIN_S * 1e9

    def _list(self) -> tuple[DayPart, ...]:
        for _ in range(_LISTINGS):
            try:
                return tuple(self._parts())
            except FileNotFoundError:
                continue  # packed or deleted since it was listed
        return tuple(self._parts())

    def _parts(self) -> Iterator[DayPart]:
        days: dict[str, dict[int, list[_File]]] = defaultdict(lambda: defaultdict(list))
        for file in self._files_of():
            days[file.stem][file.number].append(file)
        compared_before, self._compared = self._compared, {}
        for stem in sorted(days):
            yield from self._of_day(stem, days[stem], compared_before)

    def _of_day(
        self,
        stem: str,
        numbered: Mapping[int, list[_File]],
        compared_before: Mapping[tuple[Path, Path], _Compared],
    ) -> Iterator[DayPart]:
        taken, more = set(numbered), []
        for number in sorted(numbered):
            # The oldest form keeps the name: what is plain beside an archive came later.
            first, *others = self._distinct(numbered[number], compared_before)
            yield replace(first, name=_name(stem, number))
            more += others
        for part in more:
            number = next(n for n in range(2, len(taken) + 3) if n not in taken)
            taken.add(number)
            yield replace(part, name=_name(stem, number))

    def _distinct(
        self,
        files: list[_File],
        compared_before: Mapping[tuple[Path, Path], _Compared],
    ) -> list[DayPart]:
        """The files of one number as parts: those that another one holds are copies of it."""
        # Where two are the same, the plain one counts: it may grow.
        files = sorted(files, key=lambda file: ("", *PACKED).index(_suffix(file.path)))
        held_by: dict[Path, Path] = {}
        damaged: set[Path] = set()
        for a, b in combinations([file.path for file in files], 2):
            relation = self._relation(a, b, compared_before)
            if relation in ("same", "holds"):
                held_by.setdefault(b, a)
            elif relation == "is held":
                held_by.setdefault(a, b)
            elif relation == "holds what can be read":
                held_by.setdefault(b, a)
                damaged.add(b)

        def part(file: _File) -> DayPart:
            held = [path for path, holder in held_by.items() if holder == file.path]
            return DayPart(
                file.name,
                file.path,
                file.day,
                tuple(path for path in held if path not in damaged),
                tuple(path for path in held if path in damaged),
                self._inside,
            )

        return [part(file) for file in files[::-1] if file.path not in held_by]

    def _relation(
        self,
        a: Path,
        b: Path,
        compared_before: Mapping[tuple[Path, Path], _Compared],
    ) -> Relation:
        now = _Compared("other", _identity(a), _identity(b))
        before = compared_before.get((a, b))
        if before is None or not before.still_holds(now, partial(self._fingerprint, a)):
            try:
                relation = relation_of(a, b, self._inside)
                before = replace(now, relation=relation, a_ends=self._fingerprint(a, now.a.size))
            except FileNotFoundError:
                raise
            except OSError:
                before = now  # what one of them holds nobody may know; its reader tells
        self._compared[a, b] = before
        return before.relation

    def _fingerprint(self, path: Path, end: int) -> bytes:
        """The first bytes of a file up to ``end``, and the last ones before it."""
        with opened(path, self._inside) as file:
            first = file.read(min(_FINGERPRINT_BYTES, end))
            file.seek(max(0, end - _FINGERPRINT_BYTES))
            return first + file.read(min(_FINGERPRINT_BYTES, end))


@dataclass(frozen=True, slots=True)
class _Compared:
    """What was found of two files, and what each was then."""

    relation: Relation
    a: Version
    b: Version
    a_ends: bytes = b""  # the ends of what ``a`` was

    def still_holds(self, now: _Compared, ends_of_a: Callable[[int], bytes]) -> bool:
        """Whether the same would be found now. Appending cannot undo a difference."""
        if (self.a, self.b) == (now.a, now.b):
            return True
        grown = self.a.inode == now.a.inode and self.a.size < now.a.size
        if not grown or self.b != now.b or self.relation not in ("holds", "same", "other"):
            return False
        return ends_of_a(self.a.size) == self.a_ends  # and else it was written anew


def relation_of(a: Path, b: Path, inside: Inside | None = None) -> Relation:
    """Whether the content of ``a`` holds all of that of ``b`` (is, or begins with it), or is held.

    What a damaged archive holds besides what can be read nobody knows. Raises ``OSError``.
    """
    first, second = _Reading(a, inside), _Reading(b, inside)
    left, right = b"", b""
    while True:
        left = left or first.piece()
        right = right or second.piece()
        common = min(len(left), len(right))
        if not common:
            break
        if left[:common] != right[:common]:
            return "other"
        left, right = left[common:], right[common:]
    # The longer one is read to its end, as it must not turn out to be damaged there.
    while first.piece() or second.piece():
        pass
    if first.is_damaged:
        return "other"
    if second.is_damaged:
        return "other" if right else "holds what can be read"
    return "holds" if left else "is held" if right else "same"


class _Reading:
    """A file's content, and whether it turned out damaged."""

    def __init__(self, path: Path, inside: Inside | None) -> None:
        self._pieces = _pieces(path, inside)
        self.is_damaged = False

    def piece(self) -> bytes:
        """The next piece; empty at the end, and where it is damaged."""
        try:
            return next(self._pieces, b"")
        except DamagedArchive:
            self.is_damaged = True
            return b""


def lines_of(path: Path, inside: Inside | None = None) -> Iterator[bytes]:
    """Each line with a newline, one that is still being written too; packed ones unpacked.

    Raises ``OSError``, :class:`~control_room.logs.archive.DamagedArchive` after the last whole
    line, and ``MissingExtra`` for Parquet without pyarrow.
    """
    rest = b""
    for piece in _pieces(path, inside):
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line + b"\n" for line in whole)
    if rest:
        yield rest + b"\n"


def day_parts(run: RunDir, kind: LogKind, days: Iterable[date] | None = None) -> list[DayPart]:
    """The parts of these days, or of all. Raises ``OSError``."""
    wanted = None if days is None else set(days)
    return [part for part in DayParts(run, kind).look() if wanted is None or part.day in wanted]


def day_files(run: RunDir, kind: LogKind) -> Iterator[tuple[Path, date]]:
    """Every file of every part, and its day."""
    for file in _files(run, kind):
        yield file.path, file.day


def part_file(path: Path, name: str) -> Path:
    """Where ``path`` belongs when it is the part called ``name``: the same form of it."""
    return path.with_name(name + _suffix(path))


def _files(run: RunDir, kind: LogKind) -> Iterator[_File]:
    globs = [glob + suffix for glob in run.log_globs(kind) for suffix in ("", *PACKED)]
    is_wanted = re.compile("|".join(map(translate, globs))).match
    directory = run.logs(kind)
    try:
        with run.inside.directory(directory) as listing, os.scandir(listing) as entries:
            found = [entry for entry in entries if is_wanted(entry.name)]
            names = [entry.name for entry in found if _is_file(entry, directory, run.inside)]
    except (FileNotFoundError, NotADirectoryError):
        return
    yield from filter(None, (_file(directory, name) for name in names))


def _is_file(entry: os.DirEntry[str], directory: Path, inside: Inside) -> bool:
    """Whether it can be read; a directory, a pipe, a link that leads out or to nothing cannot."""
    if not entry.is_symlink():
        return entry.is_file(follow_symlinks=False)
    try:
        inside.open(directory / entry.name).close()
    except OSError:
        return False
    return True


def _file(directory: Path, name: str) -> _File | None:
    found = _FILE.fullmatch(name)
    try:
        day = None if found is None else date.fromisoformat(found["day"])
    except ValueError:
        return None  # no day of the calendar: not one of ours
    if found is None or day is None:
        return None
    return _File(directory / name, found["stem"], int(found["number"] or 1), day)


def _name(stem: str, number: int) -> str:
    return f"{stem}.jsonl" if number == 1 else f"{stem}.part{number}.jsonl"


def _suffix(path: Path) -> str:
    return path.suffix if path.suffix in PACKED else ""


def _pieces(path: Path, inside: Inside | None) -> Iterator[bytes]:
    """The content in pieces, none of them empty. Raises :class:`DamagedArchive`."""
    if path.suffix in PACKED:
        yield from filter(None, archive_pieces(path, inside))
    else:
        with opened(path, inside) as file:
            yield from iter(partial(file.read, _CHUNK_BYTES), b"")


def _identity(path: Path) -> Version:
    return version_of(path.stat())
