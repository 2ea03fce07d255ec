"""The preview history: filter it, page through it, and read one preview whole."""

from __future__ import annotations

import math
from urllib.parse import urlencode

import streamlit as st

from app.cards import kit, preview, preview_table
from app.cards.draw_html import draw_html
from app.text.html import NOTHING, fill, join
from app.text.markdown import plain
from app.ui.current import is_in_api, monitor
from app.ui.filter_bar import filter_bar, write_address
from app.ui.page_files import Page
from app.ui.waiting import history_errors_told, history_or_wait
from app.views.preview_filter import describe, to_query
from control_room.history import queries
from control_room.history.filters import FILTERS, PreviewFilter
from control_room.history.queries import PreviewPage, PreviewRow

PAGE = Page(title="Previews", icon=":material/table_rows:", order=20)

settings = monitor().settings
ROWS = settings.history.rows_per_page
PAGE_KEY = "previews-page"
MOST_ANSWERS, MOST_TURNS = 50, 8  # of one example that are shown


def main() -> None:
    """Draw the page."""
    draw_html(kit.card("Preview history"))
    for text in monitor().views.preview.history_problems:
        st.warning(plain(text))
    cursor = history_or_wait()
    if cursor is None:
        return
    wanted = filter_bar(cursor, "previews", settings.heatmap.bin_edges, to_first_page)
    page_number = current_page()
    page = queries.preview_page(cursor, wanted, limit=ROWS, offset=(page_number - 1) * ROWS)
    pages = max(1, math.ceil(page.total / ROWS))
    if page_number > pages:  # there were more when the address was made
        page_number = pages
        page = queries.preview_page(cursor, wanted, limit=ROWS, offset=(page_number - 1) * ROWS)
    heading(page, wanted, (page_number - 1) * ROWS)
    if page.rows:
        table(page.rows, wanted, page_number)
    else:
        st.info("No preview matches. Clear a filter to see more.")
    st.pagination(pages, default=page_number, key=PAGE_KEY)
    write_address(to_query(wanted) | ({"page": str(page_number)} if page_number > 1 else {}))
    left_out = [
        f"{file}: {count:,} lines cannot be read and are left out; "
        f"the newest is line {line}: {reason}"
        for file, count, line, reason in queries.reject_counts(cursor)
    ]
    if left_out:
        draw_html(kit.bare(kit.problems(left_out)))


def current_page() -> int:
    """The page that the pagination says, else the address; the first when that is garbage."""
    if PAGE_KEY in st.session_state:
        return int(st.session_state[PAGE_KEY])
    asked = st.query_params.get("page", "1")
    if asked.isascii() and asked.isdigit() and int(asked[:9]) > 0:
        return int(asked[:9])
    note = f"page={asked[:40]} in the address is ignored: it is a whole number from 1."
    st.warning(plain(note))
    return 1


def heading(page: PreviewPage, wanted: PreviewFilter, offset: int) -> None:
    """How many there are, and the files that hold all that match."""
    query = urlencode({FILTERS[name].parameter: text for name, text in to_query(wanted).items()})
    links = join(
        kit.download(label, f"api/preview/history.{kind}?{query}", f"previews.{kind}")
        for label, kind in (("CSV", "csv"), ("Parquet", "parquet"))
    )
    if not is_in_api():
        links = fill("<small>Start the app for this run to download it.</small>")
    draw_html(
        fill(
            '<div class="cr cr-above"><span>{}</span><span>{}</span></div>',
            describe(page, offset),
            links,
        )
    )


def to_first_page() -> None:
    """Another filter has other pages."""
    st.session_state[PAGE_KEY] = 1


def table(rows: tuple[PreviewRow, ...], wanted: PreviewFilter, page_number: int) -> None:
    """The rows of a page; a click on one opens it."""
    if ahead := sum(map(preview.is_ahead, rows)):
        were = "1 of these is" if ahead == 1 else f"{ahead} of these are"
        told = f"{were} stamped in the future: the clock of a machine is, or was, wrong."
        draw_html(kit.bare(kit.note(told)))
    selection = st.dataframe(
        [preview_table.table_row(row) for row in rows],
        hide_index=True,
        height=560,
        # A table of other rows is another table: a selection must not carry over.
        key=f"previews-{page_number}-{hash(wanted)}",
        on_select="rerun",
        selection_mode=("single-row", "single-cell"),
        column_config=preview_table.column_config(),
        alt="Previews, newest first; select a row to read it",
    )
    chosen = [*selection.selection.rows, *(row for row, _ in selection.selection.cells)]
    if chosen:
        st.session_state["previews-seq"] = rows[chosen[0]].seq
        detail(wanted)


@st.dialog("Preview", width="large")
def detail(wanted: PreviewFilter) -> None:
    """One preview whole, and its neighbours in the filter."""
    with history_errors_told():
        _detail(wanted, monitor().history.cursor())


def _detail(wanted: PreviewFilter, cursor: queries.Cursor) -> None:
    # A dialog hangs outside of the app's element, which alone says whether it is dark.
    scheme = "dark" if st.context.theme.type == "dark" else "light"
    draw_html(fill("<style>[role=dialog] {{ color-scheme: {}; }}</style>", scheme))
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
    draw_html(preview.detail_html(row, in_api=is_in_api()))
    same_example(row, cursor)


def same_example(row: PreviewRow, cursor: queries.Cursor) -> None:
    """The answers to the same example at other steps: when did it start, or stop, being right?"""
    others = queries.same_example(cursor, row, limit=MOST_ANSWERS)
    if len(others) < 2:
        return
    oldest_first = tuple(reversed(others))
    chips = [
        kit.chip(
            f"step {other.step:,}",
            "unknown" if other.exact_match is None else "ok" if other.exact_match else "critical",
        )
        for other in oldest_first
    ]
    turns = queries.turning_points(cursor, row)
    told = [f"{'right' if right else 'wrong'} from step {step:,}" for step, right in turns]
    if len(told) > MOST_TURNS:
        told = [told[0], f"{len(told):,} turns in all, the last:", *told[1 - MOST_TURNS :]]
    title = kit.heading("The same example, over time")
    parts = [title, kit.note(" · ".join(told)) if told else NOTHING, kit.chips(chips)]
    if len(others) == MOST_ANSWERS:
        parts.append(kit.note(f"The newest {MOST_ANSWERS} answers; the turns are over all."))
    draw_html(kit.bare(*parts))


main()
