"""The preview history: filter it, page through it, and read one preview whole."""

from __future__ import annotations

import math

import streamlit as st

from app.cards import kit, preview
from app.current import monitor
from app.history import HistoryNotReady
from app.preview_filter import describe, from_query, to_query
from app.views import Preview
from control_room.history import queries
from control_room.history.filters import CHOICES, PreviewFilter
from control_room.history.queries import PreviewRow

ROWS = monitor().settings.history.rows_per_page
PAGE_KEY = "previews-page"
LABELS = {
    "regime": "Regime",
    "source_pool": "Source",
    "failure_mode": "Failure mode",
    "dataset_id": "Dataset",
    "pattern": "Pattern",
    "checkpoint_id": "Checkpoint",
}
MATCHES = {"Any": None, "Exact match": True, "No exact match": False}


def main() -> None:
    """Draw the page."""
    st.html('<div class="cr"><h3>Preview history</h3></div>')
    for text in monitor().views.preview.history_problems:
        st.warning(text)
    try:
        cursor = monitor().history.cursor()
    except HistoryNotReady:
        wait_for_history()
        return
    wanted, ignored = from_query(st.query_params.to_dict())
    for text in ignored:
        st.warning(text)
    wanted = choose(wanted, cursor)
    st.query_params.from_dict(to_query(wanted))
    page_number = int(st.session_state.get(PAGE_KEY, 1))
    offset = (page_number - 1) * ROWS
    page = queries.preview_page(cursor, wanted, limit=ROWS, offset=offset)
    st.caption(describe(page, offset))
    if page.rows:
        table(page.rows, wanted, page_number)
    else:
        st.info("No preview matches. Clear a filter to see more.")
    st.pagination(max(1, math.ceil(page.total / ROWS)), key=PAGE_KEY)
    left_out = [
        f"{file}: {count:,} lines cannot be read and are left out; "
        f"the newest is line {line}: {reason}"
        for file, count, line, reason in queries.reject_counts(cursor)
    ]
    if left_out:
        st.html(f'<div class="cr">{kit.problems(left_out)}</div>')


@st.fragment(run_every=1.0)
def wait_for_history() -> None:
    """Say what is missing until it is there."""
    try:
        monitor().history.cursor()
    except HistoryNotReady as reason:
        st.info(str(reason))
    else:
        st.rerun()


def choose(wanted: PreviewFilter, cursor: queries.Cursor) -> PreviewFilter:
    """The filter widgets, set to ``wanted``; returns what they say now."""
    chosen: dict[str, str | None] = {}
    with st.grid(4, min_column_width=150, gap="xsmall"):
        for name in CHOICES:
            options = queries.choices(cursor, name)
            current = getattr(wanted, name)
            if current is not None and current not in options:
                options = [current, *options]
            chosen[name] = st.selectbox(
                LABELS[name],
                options,
                index=options.index(current) if current is not None else None,
                placeholder="Any",
                key=f"previews-{name}",
                on_change=to_first_page,
            )
        matches = list(MATCHES.values())
        match = st.selectbox(
            "Match",
            list(MATCHES),
            index=matches.index(wanted.exact_match),
            key="previews-match",
            on_change=to_first_page,
        )
        text = st.text_input(
            "Text in prompt or answers",
            wanted.text or "",
            key="previews-text",
            on_change=to_first_page,
        )
    return PreviewFilter(
        regime=chosen["regime"],
        source_pool=chosen["source_pool"],
        failure_mode=chosen["failure_mode"],
        dataset_id=chosen["dataset_id"],
        pattern=chosen["pattern"],
        checkpoint_id=chosen["checkpoint_id"],
        exact_match=MATCHES[match],
        text=text or None,
    )


def to_first_page() -> None:
    """Another filter has other pages."""
    st.session_state[PAGE_KEY] = 1


def table(rows: tuple[PreviewRow, ...], wanted: PreviewFilter, page_number: int) -> None:
    """The rows of a page; a click on one opens it."""
    shown = [
        {
            "Time": row.ts,
            "Step": row.step,
            "Dataset": row.dataset_id,
            "Pattern": row.pattern,
            "Regime": row.regime,
            "Source": row.source_pool,
            "EM": _match(row.exact_match),
            "CE": row.ce,
            "Failure mode": (row.failure_mode or "").replace("_", " "),
            "Prompt": row.prompt,
        }
        for row in rows
    ]
    selection = st.dataframe(
        shown,
        hide_index=True,
        height=560,
        # A table of other rows is another table: a selection must not carry over.
        key=f"previews-{page_number}-{hash(wanted)}",
        on_select="rerun",
        selection_mode="single-row",
        column_config={
            "Time": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm:ss"),
            "CE": st.column_config.NumberColumn(format="%.3f"),
        },
        alt="Previews, newest first; select a row to read it",
    )
    if selection.selection.rows:
        st.session_state["previews-seq"] = rows[selection.selection.rows[0]].seq
        detail(wanted)


@st.dialog("Preview", width="large")
def detail(wanted: PreviewFilter) -> None:
    """One preview whole, and its neighbours in the filter."""
    cursor = monitor().history.cursor()
    seq = int(st.session_state["previews-seq"])
    row = queries.preview(cursor, seq)
    if row is None:
        st.info("This preview is no longer in the logs.")
        return
    newer, older = queries.preview_neighbours(cursor, wanted, seq)
    with st.container(horizontal=True):
        for label, target in (("Newer", newer), ("Older", older)):
            if st.button(label, disabled=target is None, key=f"previews-{label}"):
                st.session_state["previews-seq"] = target
                st.rerun(scope="fragment")
    shown = Preview.model_validate({name: getattr(row, name) for name in Preview.model_fields})
    st.html(preview.detail_html(shown))
    same_example(row, cursor)


def same_example(row: PreviewRow, cursor: queries.Cursor) -> None:
    """The answers to the same example at other steps: when did it start, or stop, being right?"""
    others = queries.same_example(cursor, row, limit=50)
    if len(others) < 2:
        return
    chips = [
        kit.chip(
            f"step {other.step:,}",
            "unknown" if other.exact_match is None else "ok" if other.exact_match else "critical",
        )
        for other in reversed(others)
    ]
    st.html(f'<div class="cr">{kit.heading("The same example, over time")}{kit.chips(chips)}</div>')


def _match(exact_match: bool | None) -> str:
    return "" if exact_match is None else "✓" if exact_match else "✕"


main()
