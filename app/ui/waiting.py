"""What a page shows while the history is being read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import streamlit as st

from app.text.markdown import plain
from app.ui.current import monitor
from app.watch.monitor import Monitor
from app.watch.run_history import HistoryFailed, HistoryNotReady
from control_room.history.queries import Cursor


@st.fragment(run_every=1.0)
def wait_for_history(of: Sequence[Monitor] | None = None) -> None:
    """Say what is missing until it is there, then draw the page. ``of`` None: the page's run."""
    missing = []
    for each in [monitor()] if of is None else of:
        try:
            each.history.cursor()
        except HistoryNotReady as reason:
            name = f"{each.settings.run_dir.name}: " if of is not None else ""
            missing.append(f"{name}{reason}")
    if not missing:
        st.rerun()
    st.info("\n\n".join(map(plain, missing)))


def history_or_wait() -> Cursor | None:
    """A cursor over the history of the page's run; until there is one, None, and the page waits."""
    try:
        return monitor().history.cursor()
    except HistoryNotReady:
        wait_for_history()
        return None


@contextmanager
def history_errors_told() -> Iterator[None]:
    """Say on the page what the history has no answer to; wait for it while it is built again."""
    try:
        yield
    except HistoryNotReady:
        wait_for_history()
    except HistoryFailed as reason:
        st.error(plain(str(reason)), icon=":material/error:")
