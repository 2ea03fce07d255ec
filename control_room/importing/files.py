"""Imports files by what they are, one after the other; one that is refused stops no other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from control_room.importing import daemon_trainer, table, tensorboard, trackio, trl
from control_room.importing.reading import ImportOptions, ImportRefused, Reading
from control_room.importing.target import Target
from control_room.rundir import RunDir
from control_room.security.inside import Inside, LeadsOut

# What is found in a directory, by name; a file that is named itself may be called otherwise.
_READERS: tuple[tuple[str, Callable[[Path, ImportOptions], Reading]], ...] = (
    ("*tfevents*", tensorboard.read_event_file),
    ("completions_*.parquet", trl.read_completions),
    ("inference_*.log", daemon_trainer.read_inference_log),
    ("step_*.json", daemon_trainer.read_json),
    ("preview_step_*.json", daemon_trainer.read_json),
    ("*.csv", table.read_table),
    ("*.db", trackio.read_project),
)
_BY_SUFFIX = {
    ".parquet": trl.read_completions,
    ".log": daemon_trainer.read_inference_log,
    ".json": daemon_trainer.read_json,
}
PATTERNS = tuple(pattern for pattern, _ in _READERS)

# A file may be read while it is being written; until it has rested this long that is no error.
_SETTLED_S = 10.0


@dataclass(frozen=True, slots=True)
class Imported:
    """What one file brought. ``left_out`` counts, by name, what the logs have no place for."""

    path: Path
    format: str
    added: int
    already_there: int
    left_out: Mapping[str, int]


def import_files(
    sources: Iterable[Path], run: RunDir, options: ImportOptions | None = None
) -> Iterator[Imported | ImportRefused]:
    """Import each file, and each below a directory that has a known name; one outcome for each.

    Event files of more than one directory below a source are refused: each is a run of its own.
    Raises ``OSError`` when the run's directory cannot be written, ``MissingExtra`` when a library
    that reads the files is not installed.
    """
    target = Target(run)
    try:
        for source in sources:
            own, strange = _files(source)
            yield from strange
            yield from _import(own, target, options or ImportOptions())
    finally:
        target.close()


class Watch:
    """Imports what appears below a directory; :meth:`look` takes in what is new since the last."""

    def __init__(self, source: Path, run: RunDir, options: ImportOptions | None = None) -> None:
        self._source, self._run = source, run
        self._options = options or ImportOptions()
        self._seen: dict[Path, tuple[int, int]] = {}  # size and time of change
        self._told: set[str] = set()  # of what is not followed
        self._target = Target(run)

    def look(self) -> Iterator[Imported | ImportRefused]:
        """One outcome for each file that is new or has changed."""
        own, strange = _files(self._source)
        yield from (each for each in strange if str(each) not in self._told)
        self._told |= set(map(str, strange))
        for path in own:
            try:
                found = path.stat()
            except OSError:
                continue  # gone since it was listed
            version = (found.st_size, found.st_mtime_ns)
            if self._seen.get(path) == version:
                continue
            (outcome,) = _import([path], self._target, self._options)
            if isinstance(outcome, ImportRefused) and time.time() - found.st_mtime < _SETTLED_S:
                continue  # being written
            self._seen[path] = version
            yield outcome

    def close(self) -> None:
        """Close the logs."""
        self._target.close()


def _import(
    paths: Iterable[Path], target: Target, options: ImportOptions
) -> Iterator[Imported | ImportRefused]:
    events_of: Path | None = None
    for path in paths:
        try:
            if not path.exists():
                raise ImportRefused(f"{path}: there is no such file.")
            reader = _reader(path)
            if reader is tensorboard.read_event_file:
                events_of = events_of or path.parent
                if path.parent != events_of:
                    raise ImportRefused(
                        f"{path} is of another run than {events_of}: import it into a run "
                        "directory of its own."
                    )
            reading = reader(path, options)
        except ImportRefused as refused:
            yield refused
        else:
            added, already_there = target.add(reading)
            yield Imported(path, reading.format, added, already_there, reading.left_out)


def _files(source: Path) -> tuple[list[Path], list[ImportRefused]]:
    """The files to import, and those of a directory that are links which lead out of it."""
    if not source.is_dir():
        return [source], []
    found, refused, inside = set[Path](), list[ImportRefused](), Inside(source)
    for path in sorted({path for pattern in PATTERNS for path in source.rglob(pattern)}):
        try:
            inside.check(path)
        except LeadsOut:
            refused.append(
                ImportRefused(f"{path} is a link that leads out of {source}: name it by itself.")
            )
            continue
        if path.is_file():
            found.add(path)
    return sorted(found), refused


def _reader(path: Path) -> Callable[[Path, ImportOptions], Reading]:
    for pattern, reader in _READERS:
        if fnmatchcase(path.name, pattern):
            return reader
    if path.suffix in _BY_SUFFIX:
        return _BY_SUFFIX[path.suffix]
    raise ImportRefused(f"{path} is none of the known files: {', '.join(PATTERNS)}.")
