"""Metrics in a CSV table: what Weights & Biases, trackio and others export."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from control_room.importing.points import Points
from control_room.importing.reading import ImportOptions, ImportRefused, Reading
from control_room.recording.encoding import parse_timestamp

_STEPS = ("train/global_step", "step", "_step", "Step", "global_step")
_TIMES = ("timestamp", "_timestamp")
_OWN = {*_STEPS, *_TIMES, "_runtime", "Relative Time (Process)", "Wall Time"}
_RUN_SEPARATOR = " - "  # "my-run - train/loss", as W&B's charts export them
_BOUNDS = ("__MIN", "__MAX")  # of what W&B's charts took together


def read_table(path: Path, options: ImportOptions) -> Reading:
    """Metric points, one for each step. Raises ``ImportRefused``.

    A table without times has that of its file.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = list(reader.fieldnames or ())
            rows = list(reader)
        written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ImportRefused(f"{path} cannot be read: {error}") from None
    step_column = next((name for name in _STEPS if name in columns), None)
    if step_column is None:
        expected = ", ".join(_STEPS)
        raise ImportRefused(f"{path} has no column of steps. Expected one of: {expected}.")
    time_column = next((name for name in _TIMES if name in columns), None)
    names = _metric_names(path, columns, options.run_name)
    points = Points()
    for number, row in enumerate(rows, start=2):
        step = row[step_column]
        if not step:
            continue
        try:
            ts = written_at if time_column is None else _time(row[time_column])
            points.add(int(float(step)), ts, _values(row, names))
        except (ValueError, OverflowError, OSError) as error:
            raise ImportRefused(f"{path}, line {number}: {error}") from None
    return Reading("table", [*points.records()], points.left_out, has_times=time_column is not None)


def _metric_names(path: Path, columns: Sequence[str], wanted: str | None) -> dict[str, str]:
    """Column to metric, of the one run that is wanted."""
    metrics = [each for each in columns if each not in _OWN and not each.endswith(_BOUNDS)]
    metrics = [each for each in metrics if not each.endswith((" - _step", " - _timestamp"))]
    parts = {each: each.rpartition(_RUN_SEPARATOR) for each in metrics}
    runs = sorted({run for run, _, _ in parts.values() if run})
    if wanted is not None and runs and wanted not in runs:
        raise ImportRefused(f"{path} has no run {wanted}. There are: {', '.join(runs)}.")
    if wanted is None and len(runs) > 1:
        raise ImportRefused(
            f"{path} holds several runs: choose one with --run. There are: {', '.join(runs)}."
        )
    return {each: name for each, (run, _, name) in parts.items() if run in ("", wanted or run)}


def _values(row: Mapping[str, str | None], names: Mapping[str, str]) -> dict[str, object]:
    """Those that are there; text that is no number stays text, and is left out by name."""
    values: dict[str, object] = {}
    for column, name in names.items():
        told = row.get(column)
        if told:
            try:
                values[name] = float(told)
            except ValueError:
                values[name] = told
    return values


def _time(told: str | None) -> datetime:
    """Seconds since 1970, or ISO 8601."""
    try:
        return datetime.fromtimestamp(float(told or ""), UTC)
    except ValueError:
        return parse_timestamp(told or "")
