"""Scalars of TensorBoard's event files, read by TensorBoard's own library."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from control_room.extra import MissingExtra
from control_room.importing.points import Points
from control_room.importing.reading import ImportOptions, ImportRefused, Reading


def read_event_file(path: Path, options: ImportOptions) -> Reading:
    """Metric points from the scalars that Control Room knows; others are left out and counted.

    Raises ``ImportRefused``, and ``MissingExtra`` without the package tensorboard.
    """
    try:
        from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
        from tensorboard.util.tensor_util import make_ndarray
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"{error.name} is missing: event files are read by `pip install tensorboard`"
        ) from None
    # It tells of a file's last, torn record, which is no news about a run that was killed.
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    points = Points()
    events = 0
    try:
        for event in EventFileLoader(str(path)).Load():
            events += 1
            ts = datetime.fromtimestamp(event.wall_time, UTC)
            values = {
                value.tag: _number(value, make_ndarray)
                for value in event.summary.value
                if not value.tag.startswith("_")
            }
            points.add(event.step, ts, values)
    except (OSError, ValueError, OverflowError) as error:
        raise ImportRefused(f"{path} cannot be read: {error}") from None
    if not events:
        raise ImportRefused(f"{path} is no event file, or empty: there is no event in it.")
    return Reading("TensorBoard event file", [*points.records()], points.left_out)


def _number(value: Any, make_ndarray: Any) -> object:
    """The scalar, or None: text, images and histograms."""
    if value.HasField("simple_value"):
        return value.simple_value
    if value.HasField("tensor") and value.metadata.plugin_data.plugin_name in ("", "scalars"):
        array = make_ndarray(value.tensor)
        return array.item() if array.size == 1 and array.dtype.kind in "fiu" else None
    return None
