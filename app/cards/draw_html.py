"""The one way in which HTML comes onto a page."""

from __future__ import annotations

from typing import Literal

import streamlit as st
from markupsafe import Markup
from streamlit.delta_generator import DeltaGenerator


def draw_html(
    html: Markup,
    *,
    place: DeltaGenerator | None = None,
    width: Literal["stretch", "content"] = "stretch",
) -> None:
    """Draw ``html`` in ``place``, or where the page is at."""
    (st if place is None else place).html(html, width=width)
