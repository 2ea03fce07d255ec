"""A chart on a page: its title, a download of its rows, what it says, or why it is empty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import streamlit as st

from app.cards import kit
from app.cards.draw_html import draw_html
from app.charts.base import Chart
from app.charts.notes import with_notes
from app.text.visible import cell
from control_room.history.questions.notes import Note


def chart_box(
    key: str,
    title: str,
    chart: Chart,
    empty: str,
    *,
    note: str = "",
    notes: Sequence[Note] = (),
    axis: Literal["step", "time"] = "step",
    **selection: Any,
) -> Any:
    """Draw ``chart``, and return what is selected in it; without rows, say ``empty``.

    ``key`` names it in the app and its file; ``note`` stands below, in place of its description.
    What the chart leaves out is said in any case.
    ``notes`` are those of the run, for a chart over steps or time, as ``axis`` says.
    """
    if not chart.rows:
        draw_html(kit.empty(title, "Nothing to show.", empty))
        return None
    with st.container(horizontal=True):
        draw_html(kit.card(title))
        csv_button(key, chart)
    drawn = st.plotly_chart(
        with_notes(chart, notes, axis).figure,
        key=f"{key}-chart",
        alt=cell(chart.description),
        config={"displaylogo": False, "displayModeBar": False},
        **selection,
    )
    said = " ".join(filter(None, (note or chart.description, chart.left_out)))
    draw_html(kit.bare(kit.note(said)))
    return drawn


def csv_button(key: str, chart: Chart) -> None:
    """A button that downloads the chart's rows."""
    st.download_button(
        "CSV",
        chart.csv(),
        file_name=f"{key}.csv",
        mime="text/csv",
        key=f"{key}-csv",
        on_click="ignore",
        type="tertiary",
        icon=":material/download:",
    )
