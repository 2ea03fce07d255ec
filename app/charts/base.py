"""What every chart is made of: a Plotly figure, the rows it was drawn from, and what it says.

Figures are plain dictionaries, as Plotly's own objects check themselves at a cost on every draw.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from app.text.visible import cell
from control_room.security.spreadsheets import guarded_rows

Figure = dict[str, Any]


# Legible on light and dark pages; told apart by shape or pattern as well wherever they are used.
PALETTE = ("#1b87a6", "#d9722e", "#7a68d8", "#3f9a4f", "#c93f7d", "#9a8700", "#6b7c85")


SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")


DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


HATCHES = ("", "/", ".", "x", "-", "\\", "+", "|")


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure with its rows and its description; no rows, nothing to draw.

    ``left_out`` says in a sentence what of the history is not drawn, where that is so.
    """

    figure: Figure
    description: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    left_out: str = ""

    def csv(self) -> str:
        """The rows as CSV with a header; no text in it is run by a spreadsheet."""
        out = io.StringIO()
        names = list(self.rows[0]) if self.rows else []
        lines: list[list[Any]] = [names, *([row.get(name) for name in names] for row in self.rows)]
        csv.writer(out).writerows(guarded_rows(lines))
        return out.getvalue()


def drawn_of(drawn: int, total: int, what: str) -> str:
    """A sentence for :attr:`Chart.left_out`; empty where all are drawn."""
    if drawn >= total:
        return ""
    return f"Drawn are {drawn:,} of {total:,} {what}, evenly spread over the run."


def figure_of(traces: list[Figure], *, height: int = 320, **layout: Any) -> Figure:
    """Traces in the house layout."""
    common = {
        "height": height,
        "margin": {"l": 10, "r": 10, "t": 30, "b": 10},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "hoverlabel": {"align": "left"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
    }
    layout["xaxis"] = {"automargin": True, **layout.get("xaxis", {})}
    layout["yaxis"] = {"automargin": True, **layout.get("yaxis", {})}
    return {"data": traces, "layout": {**common, **layout}}


def safe(text: str) -> str:
    """As Plotly shows it: it takes some HTML, links too, and names come from logs."""
    return cell(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def pick(choices: Sequence[str], place: int) -> str:
    return choices[place % len(choices)]


GREY = "rgba(128,128,128,0.9)"


BAND_COLOUR = "rgba(27,135,166,0.18)"


RED = "#c0392b"


STEP_AXIS = {"title": {"text": "Step"}}


PERCENT_AXIS = {"tickformat": ".0%", "range": [0, 1.02]}


def line(
    x: Sequence[float], y: Sequence[float | None], hover: str, place: int = 0
) -> dict[str, Any]:
    few = len(x) <= 60
    return {
        "type": "scatter",
        "mode": "lines+markers" if few else "lines",
        "x": list(x),
        "y": list(y),
        "hovertemplate": f"{hover}<extra></extra>",
        "line": {"color": pick(PALETTE, place), "dash": pick(DASHES, place), "width": 2},
        "marker": {"symbol": pick(SYMBOLS, place), "size": 6},
        "showlegend": False,
    }


def band(x: Sequence[float], low: Sequence[Any], high: Sequence[Any]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [*x, *reversed(x)],
        "y": [*high, *reversed(low)],
        "fill": "toself",
        "fillcolor": BAND_COLOUR,
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def vertical_line(step: float) -> dict[str, Any]:
    return {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": step,
        "x1": step,
        "y0": 0,
        "y1": 1,
        "line": {"dash": "dash", "width": 2, "color": RED},
    }


def shortened(text: str) -> str:
    """As a name on an axis or in a legend has room for."""
    return text if len(text) <= 24 else f"{text[:23]}…"
