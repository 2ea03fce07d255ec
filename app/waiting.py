"""What a page shows while the history is being read."""

from __future__ import annotations

import streamlit as st

from app.current import monitor
from app.history import HistoryNotReady


@st.fragment(run_every=1.0)
def wait_for_history() -> None:
    """Say what is missing until it is there, then draw the page."""
    try:
        monitor().history.cursor()
    except HistoryNotReady as reason:
        st.info(str(reason))
    else:
        st.rerun()
