"""Takes previews that another system kept in files of its own into a run's preview log.

What a foreign file does not tell stays unknown. What is in the log already is not added again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from control_room.daily_log import DailyLog
from control_room.encoding import iso_timestamp, parse_timestamp
from control_room.records import PreviewRecord, parse_line, to_json_line
from control_room.rundir import RunDir


class ImportRefused(ValueError):
    """A file that cannot be imported. The message names it and says why."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What one file brought."""

    path: Path
    format: str
    added: int
    already_there: int


def import_files(sources: Iterable[Path], run: RunDir) -> Iterator[Imported | ImportRefused]:
    """Import each file, and each ``*.json`` file below a directory; one outcome for each file.

    Known formats, told by their keys: evolution snapshots (``training_step`` and ``examples``)
    and preview rounds (``training_step`` and ``results``). Raises ``OSError`` when the run's
    directory cannot be written.
    """
    target = _Target(run)
    try:
        for source in sources:
            for path in sorted(source.rglob("*.json")) if source.is_dir() else [source]:
                try:
                    name, records = _read(path)
                except ImportRefused as refused:
                    yield refused
                else:
                    yield Imported(path, name, *target.add(records))
    finally:
        target.close()


def _read(path: Path) -> tuple[str, list[PreviewRecord]]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ImportRefused(f"{path} cannot be read: {error}") from None
    for format_ in _FORMATS:
        if isinstance(data, dict) and isinstance(data.get(format_.items), list):
            try:
                return format_.name, [format_.record(data, item) for item in data[format_.items]]
            except KeyError as error:
                raise ImportRefused(f"{path} is no {format_.name}: it lacks {error}.") from None
            except (ValueError, TypeError, AttributeError) as error:
                raise ImportRefused(f"{path} is no {format_.name}: {error}") from None
    known = " nor ".join(f"a {format_.name} ({format_.items})" for format_ in _FORMATS)
    raise ImportRefused(f"{path} is neither {known}.")


class _Target:
    """The run's preview log, and what of each day is in it already."""

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._log = DailyLog(lambda day: run.log_file("preview", day), fsync=False)
        self._known: dict[date, set[tuple[object, ...]]] = {}

    def add(self, records: Iterable[PreviewRecord]) -> tuple[int, int]:
        """Append what is new; return how many were, and how many were not."""
        added = already_there = 0
        for record in records:
            assert record.ts is not None
            day = record.ts.date()
            known = self._known.get(day)
            if known is None:
                known = self._known[day] = self._identities(day)
            if _identity(record) in known:
                already_there += 1
                continue
            known.add(_identity(record))
            line = to_json_line(record, run_id=self._run.path.resolve().name, now="")
            self._log.append(line, day)
            added += 1
        return added, already_there

    def close(self) -> None:
        self._log.close()

    def _identities(self, day: date) -> set[tuple[object, ...]]:
        found = set()
        try:
            with self._run.log_file("preview", day).open("rb") as file:
                for line in file:
                    try:
                        found.add(_identity(parse_line(PreviewRecord, line)))
                    except ValueError:
                        continue  # a line that cannot be read is no preview
        except FileNotFoundError:
            pass
        return found


def _identity(record: PreviewRecord) -> tuple[object, ...]:
    ts = None if record.ts is None else iso_timestamp(record.ts)
    return ts, record.step, record.dataset_id, record.example_id, record.prompt


def _snapshot_preview(snapshot: Mapping[str, Any], example: Mapping[str, Any]) -> PreviewRecord:
    step = example.get("step", snapshot["training_step"])
    # The examples of a snapshot belong to its dataset, which its name starts with.
    dataset = str(snapshot.get("snapshot_id") or "").rpartition("_step_")[0]
    return PreviewRecord(
        ts=parse_timestamp(snapshot["timestamp"]),
        step=step,
        example_id=example.get("example_id"),
        dataset_id=dataset or None,
        prompt=example["input"],
        golden=example["expected_output"],
        model_answer=example["model_output"],
        exact_match=example.get("exact_match"),
        ce=example.get("loss"),
    )


def _round_preview(preview_round: Mapping[str, Any], result: Mapping[str, Any]) -> PreviewRecord:
    return PreviewRecord(
        ts=parse_timestamp(preview_round["timestamp"]),
        step=preview_round["training_step"],
        checkpoint_id=preview_round.get("checkpoint_id"),
        example_id=result.get("puzzle_id"),
        prompt=result["prompt"],
        golden=result["expected"],
        model_answer=result["generated"],
        exact_match=result.get("exact_match"),
        generation_time_ms=result.get("inference_time_ms"),
    )


@dataclass(frozen=True, slots=True)
class _Format:
    name: str
    items: str  # the key under which the previews stand
    record: Callable[[Mapping[str, Any], Mapping[str, Any]], PreviewRecord]


_FORMATS = (
    _Format("snapshot", "examples", _snapshot_preview),
    _Format("preview round", "results", _round_preview),
)
