"""The data queue of a run directory: files of examples, written, taken up and worked through.

A file waits in ``queue/{high,normal,low}`` and lies in ``queue/processing`` while in work. One that
cannot be read goes to ``queue/rejected``, and training goes on with the next.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from control_room import RunDir
from control_room.atomic import whole_file
from control_room.rundir import QUEUE_PRIORITIES, QueuePriority
from examples.tasks import Example

_FIELD_TYPES = {field.name: int if field.name == "level" else str for field in fields(Example)}


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file in work."""

    path: Path
    examples: list[Example]

    @property
    def dataset_id(self) -> str:
        """The name without its number: ``demo_course_0007.jsonl`` is of ``demo_course``."""
        return self.path.stem.rpartition("_")[0] or self.path.stem


class DataQueue:
    """One trainer's view of the queue; other processes may add files at any time."""

    def __init__(self, run_dir: RunDir) -> None:
        self._processing = run_dir.queue("processing")
        self._waiting = {priority: run_dir.queue(priority) for priority in QUEUE_PRIORITIES}
        self._rejected = self._processing.with_name("rejected")
        for directory in (self._processing, *self._waiting.values()):
            directory.mkdir(parents=True, exist_ok=True)

    def __len__(self) -> int:
        """How many files wait."""
        return sum(len(list(path.glob("*.jsonl"))) for path in self._waiting.values())

    def add(self, priority: QueuePriority, name: str, examples: Iterable[Example]) -> None:
        """Write a file into the queue; it appears there whole or not at all."""
        path = self._waiting[priority] / f"{name}.jsonl"
        with whole_file(path) as file:
            for example in examples:
                file.write(json.dumps(asdict(example), ensure_ascii=False).encode() + b"\n")

    def take(self) -> DataFile | None:
        """The next file, moved to ``processing``: what an interrupted run left, then by priority.

        None when nothing waits.
        """
        for directory in (self._processing, *(self._waiting[each] for each in QUEUE_PRIORITIES)):
            for path in sorted(directory.glob("*.jsonl")):
                work = path.rename(self._processing / path.name)
                try:
                    return DataFile(work, _read(work))
                except ValueError as error:
                    self._rejected.mkdir(exist_ok=True)
                    aside = work.rename(self._rejected / work.name)
                    print(f"{error}. The file was moved to {aside}.", file=sys.stderr, flush=True)
        return None

    def finish(self, file: DataFile) -> None:
        """The file has been worked through."""
        file.path.unlink(missing_ok=True)


def _read(path: Path) -> list[Example]:
    examples = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            try:
                examples.append(_example(json.loads(line)))
            except ValueError as error:
                raise ValueError(f"{path}, line {number}: {error}") from error
    if not examples:
        raise ValueError(f"{path} holds no examples")
    return examples


def _example(line: object) -> Example:
    if not isinstance(line, dict):
        raise ValueError("not a JSON object")
    for name, kind in _FIELD_TYPES.items():
        if type(line.get(name)) is not kind:
            raise ValueError(f"{name}: expected {kind.__name__}, got {line.get(name)!r}")
    return Example(**{name: line[name] for name in _FIELD_TYPES})
