"""The files that one kind of record is read from, each under the name of the part that it is.

A day's plain file beside its archive is a further part of that day, and a copy of what is packed is
none. What another system logs of the kind is followed as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path

from control_room.logs.day_parts import DayPart, DayParts
from control_room.logs.inference_log import INFERENCE_GLOB
from control_room.logs.tail import LogTail, Position, TailBatch, together
from control_room.rundir import LogKind, RunDir


class FollowedFiles:
    """``positions`` are those of an earlier process: by part, its plain file and how far it got.

    Not safe for threads, except that :meth:`read` may run in another one than the rest.
    """

    def __init__(
        self, run: RunDir, kind: LogKind, positions: Mapping[str, tuple[str, Position]]
    ) -> None:
        self._parts = DayParts(run, kind)
        self._seen: tuple[DayPart, ...] | None = None
        self._names = {file: part for part, (file, _) in positions.items()}
        own = {file: at for part, (file, at) in positions.items() if not _is_foreign(part)}
        # A part that is called otherwise is read anew, under its new name.
        self._own = LogTail(
            run.logs(kind),
            run.log_globs(kind),
            inside=run.inside,
            positions=own,
            renames=False,
        )
        self._foreign: LogTail | None = None
        if kind == "preview":
            theirs = {file: at for part, (file, at) in positions.items() if _is_foreign(part)}
            self._foreign = LogTail(
                run.inference_logs,
                (INFERENCE_GLOB,),
                inside=run.inside,
                positions=theirs,
                renames=False,
            )

    def new_parts(self) -> tuple[DayPart, ...] | None:
        """The parts of all days, when they were listed anew; None when nothing came or went.

        From then on plain files are read under their names. Raises ``OSError``.
        """
        parts = self._parts.look()
        if parts is self._seen:
            return None
        self._seen = parts
        names = {part.path.name: part.name for part in parts if not part.is_packed}
        copies = {copy.name for part in parts for copy in (*part.copies, *part.damaged)}
        called_otherwise = {
            file for file in self._names.keys() & names.keys() if self._names[file] != names[file]
        }
        for file in called_otherwise | copies:
            self._own.rewind(file)
        self._own.hidden = frozenset(copies)
        self._names = names
        return parts

    def list_again(self) -> None:
        """Have :meth:`new_parts` tell all of them."""
        self._seen = None

    def read(self) -> TailBatch:
        """What was appended, under the names of parts."""
        batch = together([tail.read() for tail in self._tails()])

        def named(path: Path) -> Path:
            return path.with_name(self._names.get(path.name, path.name))

        return replace(
            batch,
            blocks=tuple(replace(block, file=named(block.file)) for block in batch.blocks),
            rejects=tuple(replace(reject, file=named(reject.file)) for reject in batch.rejects),
            begun=tuple(map(named, batch.begun)),
        )

    def read_again(self, parts: Collection[str]) -> None:
        """Read parts from their start, plain or packed."""
        files = [file for file, name in self._names.items() if name in parts]
        for file in {*files, *(set(parts) - set(self._names.values()))}:
            for tail in self._tails():
                tail.rewind(file)
        self.list_again()

    def positions(self) -> dict[str, tuple[str, Position]]:
        """By part, its plain file and how far it was read."""
        found = chain.from_iterable(tail.positions().items() for tail in self._tails())
        return {self._names.get(file, file): (file, at) for file, at in found}

    def gone(self, parts: Iterable[str]) -> set[str]:
        """Those that were not there any more at the last look."""
        there = {part.name for part in self._seen or ()}
        if self._foreign is not None:
            there |= self._foreign.names()
        return set() if self._seen is None else set(parts) - there

    def _tails(self) -> list[LogTail]:
        return [self._own] if self._foreign is None else [self._own, self._foreign]


def _is_foreign(part: str) -> bool:
    return fnmatchcase(part, INFERENCE_GLOB)
