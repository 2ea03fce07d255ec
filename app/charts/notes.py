"""Notes on a chart over steps or time: a line each, with its text where the pointer rests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Literal

from app.charts.base import Chart, safe
from control_room.history.questions.notes import Note

_COLOUR = "rgba(128,128,128,0.8)"


def with_notes(
    chart: Chart, notes: Sequence[Note], axis: Literal["step", "time"] = "step"
) -> Chart:
    """The chart with those notes that lie within what it shows."""
    values = [value for trace in chart.figure["data"] for value in trace.get("x") or ()]
    places = [value for value in values if value is not None]
    if not places or not notes:
        return chart
    first, last = min(places), max(places)
    layout = dict(chart.figure["layout"])
    shapes, annotations = list(layout.get("shapes", ())), list(layout.get("annotations", ()))
    shown = 0
    for note in notes:
        # As Plotly writes times, in the zone of the server.
        x = note.step if axis == "step" else _local(note.ts)
        if x is None or not first <= x <= last:
            continue
        shown += 1
        shapes.append(
            {
                "type": "line",
                "xref": "x",
                "yref": "paper",
                "x0": x,
                "x1": x,
                "y0": 0,
                "y1": 1,
                "line": {"dash": "dot", "width": 1.5, "color": _COLOUR},
            }
        )
        annotations.append(
            {
                "x": x,
                "y": 1,
                "xref": "x",
                "yref": "paper",
                "xanchor": "left",
                "yanchor": "top",
                "text": "✎",
                "hovertext": safe(note.text),
                "showarrow": False,
                "font": {"size": 13},
            }
        )
    if not shown:
        return chart
    figure = {**chart.figure, "layout": {**layout, "shapes": shapes, "annotations": annotations}}
    return replace(chart, figure=figure)


def _local(moment: datetime) -> str:
    return moment.astimezone().replace(tzinfo=None).isoformat()
