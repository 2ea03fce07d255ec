"""Files of the training system that the specification describes.

Evolution snapshots (``step_*.json``), preview rounds (``preview_step_*.json``) and inference logs
(``inference_*.log``, a JSON object a line).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from control_room.encoding import parse_timestamp
from control_room.importing.reading import ImportedRecord, ImportOptions, ImportRefused, Reading
from control_room.records import MetricPoint, PreviewRecord


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
            return Reading(format_.name, [*records], {})
    known = " nor ".join(f"a {format_.name} ({format_.items})" for format_ in _FORMATS)
    raise ImportRefused(f"{path} is neither {known}.")


def read_inference_log(path: Path, options: ImportOptions) -> Reading:
    """A preview and a metric point for each line; a torn line is left out and counted."""
    records: list[ImportedRecord] = []
    unreadable = 0
    try:
        with path.open("rb") as lines:
            for line in lines:
                try:
                    records += _inference(json.loads(line))
                except (ValueError, TypeError, KeyError, RecursionError):
                    unreadable += 1
    except OSError as error:
        raise ImportRefused(f"{path} cannot be read: {error}") from None
    if unreadable and not records:
        raise ImportRefused(f"{path} is no inference log: no line of it is of one.")
    left_out = {"lines that cannot be read": unreadable} if unreadable else {}
    return Reading("inference log", records, left_out)


def _inference(line: Mapping[str, Any]) -> list[ImportedRecord]:
    ts = parse_timestamp(line["ts"])
    preview = PreviewRecord(
        ts=ts,
        step=line["step"],
        prompt=line["prompt"],
        golden=line["golden"],
        model_answer=line["model_output"],
        exact_match=line.get("matches"),
    )
    point = MetricPoint(
        ts=ts,
        step=line["step"],
        loss=line.get("loss"),
        learning_rate=line.get("lr"),
        epoch=line.get("epoch"),
    )
    return [preview, point]


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
