"""A chart on a page: its title, a download of its rows, what it says, or why it is empty."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.cards import kit
from app.charts import Chart


def chart_box(
    key: str, title: str, chart: Chart, empty: str, *, note: str = "", **selection: Any
) -> Any:
    """Draw ``chart``, and return what is selected in it; without rows, say ``empty``.

    ``key`` names it in the app and its file.
    """
    if not chart.rows:
        st.html(kit.empty(title, "Nothing to show.", empty))
        return None
    with st.container(horizontal=True):
        st.html(kit.card(title))
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
    drawn = st.plotly_chart(
        chart.figure,
        key=f"{key}-chart",
        alt=chart.description,
        config={"displaylogo": False, "displayModeBar": False},
        **selection,
    )
    st.html(f'<div class="cr">{kit.note(note or chart.description)}</div>')
    return drawn
