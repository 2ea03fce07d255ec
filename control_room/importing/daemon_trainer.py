"""Files of the daemon trainer.

Evolution snapshots (``step_*.json``), preview rounds (``preview_step_*.json``) and inference logs
(``inference_*.log``, a JSON object a line). All are previews.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from control_room.importing.reading import ImportedRecord, ImportOptions, ImportRefused, Reading
from control_room.judging.scoring import judged_elsewhere
from control_room.logs.imported_names import fields_in, names_in
from control_room.logs.inference_log import inference_preview, left_out_of, load_inference_line
from control_room.recording.encoding import parse_timestamp
from control_room.recording.records import PREVIEW_ROUND, SNAPSHOT, PreviewRecord


def read_json(path: Path, options: ImportOptions) -> Reading:
    """A snapshot or a preview round, told by its keys. Raises ``ImportRefused``."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ImportRefused(f"{path} cannot be read: {error}") from None
    for format_ in _FORMATS:
        if isinstance(data, dict) and isinstance(data.get(format_.items), list):
            try:
                records = [format_.record(data, item) for item in data[format_.items]]
            except KeyError as error:
                raise ImportRefused(f"{path} is no {format_.name}: it lacks {error}.") from None
            except (ValueError, TypeError, AttributeError) as error:
                raise ImportRefused(f"{path} is no {format_.name}: {error}") from None
            return Reading(format_.name, [*map(judged_elsewhere, records)], format_.left_out(data))
    known = " nor ".join(f"a {format_.name} ({format_.items})" for format_ in _FORMATS)
    raise ImportRefused(f"{path} is neither {known}.")


def read_inference_log(path: Path, options: ImportOptions) -> Reading:
    """A preview for each line; a torn line is left out and counted."""
    records: list[ImportedRecord] = []
    left_out: Counter[str] = Counter()
    try:
        with path.open("rb") as lines:
            for line in filter(bytes.strip, lines):
                try:
                    told = load_inference_line(line)
                    records.append(inference_preview(told))
                except ValueError:
                    left_out["lines that cannot be read"] += 1
                else:
                    left_out.update(left_out_of(told))
    except OSError as error:
        raise ImportRefused(f"{path} cannot be read: {error}") from None
    if left_out and not records:
        raise ImportRefused(f"{path} is no inference log: no line of it is of one.")
    return Reading("inference log", records, left_out)


def _snapshot_preview(snapshot: Mapping[str, Any], example: Mapping[str, Any]) -> PreviewRecord:
    """Its ``loss`` is no cross-entropy but 5 * (1 - ``similarity``), of the texts."""
    step = example.get("step", snapshot["training_step"])
    # The examples of a snapshot belong to its dataset, which its name starts with.
    dataset = str(snapshot.get("snapshot_id") or "").rpartition("_step_")[0]
    return PreviewRecord(
        ts=parse_timestamp(snapshot["timestamp"]),
        step=step,
        dataset_id=dataset or None,
        **fields_in(SNAPSHOT, example),
    )


def _round_preview(preview_round: Mapping[str, Any], result: Mapping[str, Any]) -> PreviewRecord:
    return PreviewRecord(
        ts=parse_timestamp(preview_round["timestamp"]),
        step=preview_round["training_step"],
        checkpoint_id=preview_round.get("checkpoint_id"),
        **fields_in(PREVIEW_ROUND, result),
    )


@dataclass(frozen=True, slots=True)
class _Format:
    name: str
    items: str  # the key under which the previews stand
    record: Callable[[Mapping[str, Any], Mapping[str, Any]], PreviewRecord]
    taken: frozenset[str]
    taken_of_items: frozenset[str]

    def left_out(self, data: Mapping[str, Any]) -> Counter[str]:
        """What says something and has no place in a preview, by name."""
        left = Counter(_untaken(data, self.taken | {self.items}))
        for item in data[self.items]:
            left.update(_untaken(item, self.taken_of_items))
        return left


def _untaken(told: Mapping[str, Any], taken: frozenset[str]) -> list[str]:
    return [name for name, value in told.items() if value is not None and name not in taken]


_FORMATS = (
    _Format(
        SNAPSHOT,
        "examples",
        _snapshot_preview,
        frozenset({"snapshot_id", "training_step", "timestamp"}),
        names_in(SNAPSHOT) | {"step"},
    ),
    _Format(
        PREVIEW_ROUND,
        "results",
        _round_preview,
        frozenset({"training_step", "checkpoint_id", "timestamp"}),
        names_in(PREVIEW_ROUND),
    ),
)
