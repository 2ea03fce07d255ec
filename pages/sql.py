"""SQL: any question to the history that reads, answered as a table, a chart and a file."""

from __future__ import annotations

import csv
import io
from typing import Any

import streamlit as st

from app.cards import kit
from app.cards.draw_html import draw_html
from app.text.html import fill
from app.text.markdown import plain
from app.text.short_cells import short_cells
from app.text.visible import cell
from app.ui.current import monitor
from app.ui.page_files import Page
from app.ui.waiting import history_or_wait, wait_for_history
from app.watch.run_history import HistoryNotReady
from control_room.history.queries import Cursor
from control_room.history.sql.question import SqlAnswer, SqlRefused, schema_of
from control_room.security.spreadsheets import guarded_rows

PAGE = Page(title="SQL", icon=":material/database:", order=100)

settings = monitor().settings.history
EXAMPLES = {
    "Hardest examples": """\
SELECT dataset_id, example_id, count(*) AS asked, avg(exact_match::INT) AS em
FROM previews
WHERE exact_match IS NOT NULL AND example_id IS NOT NULL
GROUP BY ALL HAVING asked >= 3
ORDER BY em, asked DESC LIMIT 50""",
    "EM by checkpoint": """\
SELECT checkpoint_id, quantile_disc(step, 0.5) AS step, avg(exact_match::INT) AS em,
       count(*) AS previews
FROM previews WHERE exact_match IS NOT NULL
GROUP BY checkpoint_id ORDER BY step""",
    "Right once, wrong now": """\
SELECT dataset_id, example_id, max(step) FILTER (exact_match) AS last_right,
       max(step) AS last_asked, arg_max(model_answer, seq) AS latest_answer
FROM previews WHERE example_id IS NOT NULL
GROUP BY ALL
HAVING bool_or(exact_match) AND NOT arg_max(exact_match, seq)
ORDER BY last_right""",
    "Broken contracts": """\
SELECT check_name, regime, count(*) AS asked, avg(kept::INT) AS kept
FROM (SELECT regime, unnest(map_keys(contract_status)) AS check_name,
             unnest(map_values(contract_status)) AS kept FROM previews)
GROUP BY ALL ORDER BY kept""",
    "Without an answer": """\
SELECT error, finish_reason, host, count(*) AS previews, max(step) AS last_step
FROM previews WHERE error IS NOT NULL OR (model_answer = '' AND golden <> '')
GROUP BY ALL ORDER BY previews DESC""",
    "Rounds that fell short": """\
SELECT step, kind, checkpoint_id, outcome, reason, answered, examples, errors, time_s
FROM rounds WHERE outcome <> 'completed' OR errors > 0 ORDER BY seq DESC""",
    "Loss over steps": """\
SELECT step, loss FROM metrics WHERE loss IS NOT NULL ORDER BY step""",
    "Lines that cannot be read": """\
SELECT file, line, reason FROM rejects ORDER BY file, line""",
}
TEXT_KEY = "sql-text"


def main() -> None:
    """Draw the page."""
    draw_html(kit.card("SQL"))
    cursor = history_or_wait()
    if cursor is None:
        return
    monitor().history.expect_questions()
    question, tables = st.columns([3, 1], gap="small")
    with tables:
        schema(cursor)
    with question:
        examples()
        with st.form("sql-form", border=False):
            text = st.text_area(
                "Question (one SELECT)",
                key=TEXT_KEY,
                height=190,
                help="It only reads. Ctrl+Enter asks.",
            )
            asked = st.form_submit_button("Ask", type="primary")
        limits = f"At most {settings.sql_max_rows:,} rows and {settings.sql_timeout_s:g} seconds."
        draw_html(kit.bare(kit.note(limits)))
        if asked:
            st.session_state["sql-asked"] = text
        answer(st.session_state.get("sql-asked", ""))


def examples() -> None:
    """Questions to start from."""
    st.session_state.setdefault(TEXT_KEY, next(iter(EXAMPLES.values())))
    st.pills("Examples", list(EXAMPLES), key="sql-example", on_change=_use_example, wrap=True)


def _use_example() -> None:
    chosen = st.session_state["sql-example"]
    if chosen is not None:
        st.session_state[TEXT_KEY] = EXAMPLES[chosen]
        st.session_state["sql-asked"] = EXAMPLES[chosen]


def schema(cursor: Cursor) -> None:
    """The tables and what is in them."""
    parts = []
    for table, columns in schema_of(cursor).items():
        rows = kit.rows((name, kit.text(kind.lower())) for name, kind in columns.items())
        parts.append(fill("<details><summary>{}</summary>{}</details>", table, rows))
    times = kit.note("ts is in UTC. seq numbers the rows by time, from 1.")
    draw_html(kit.card("Tables", *parts, times))


def answer(text: str) -> None:
    """The rows that answer the question, or why there are none."""
    if not text.strip():
        return
    try:
        found = monitor().history.ask(text)
    except HistoryNotReady:
        wait_for_history()
        return
    except SqlRefused as reason:
        st.error(plain(str(reason)))
        return
    count = f"{found.table.num_rows:,} rows in {1e3 * found.seconds:,.0f} ms"
    if found.cut:
        count = f"The first {count}; there are more"
    if found.large:
        count += f", but these are {settings.sql_answer_mb} MB (history.sql_answer_mb)"
    with st.container(horizontal=True):
        draw_html(kit.bare(kit.note(count)))
        st.download_button(
            "CSV",
            lambda: _csv(found),  # made when somebody wants it
            file_name="answer.csv",
            mime="text/csv",
            key="sql-csv",
            on_click="ignore",
            type="tertiary",
            icon=":material/download:",
        )
    table_tab, chart_tab = st.tabs(["Table", "Chart"])
    with table_tab:
        st.dataframe(short_cells(found.table), hide_index=True, alt="The answer")
    with chart_tab:
        chart(found.table)


def chart(table: Any) -> None:
    """A line through one column over another, both of the reader's choice."""
    numbers = [field.name for field in table.schema if _is_number(field.type)]
    if not numbers or table.num_columns < 2:
        st.info("A chart needs two columns, one of them of numbers.")
        return
    names = table.column_names
    with st.container(horizontal=True):
        x = st.selectbox("Across", names, key="sql-x")
        y = st.selectbox(
            "Up", numbers, index=min(1, len(numbers) - 1) if numbers[0] == x else 0, key="sql-y"
        )
    if x == y:
        st.info("Choose two different columns.")
        return
    draw = st.line_chart if x in numbers else st.bar_chart
    # What points at a chart shows its columns, and one called "image" as a picture from anywhere.
    drawn = table.select([x, y]).rename_columns([f"{x} ", f"{y} "])
    draw(drawn.to_pandas(), x=f"{x} ", y=f"{y} ", alt=cell(f"{y} over {x}"))


def _is_number(kind: Any) -> bool:
    return any(word in str(kind) for word in ("int", "double", "float", "decimal"))


def _csv(found: SqlAnswer) -> str:
    out = io.StringIO()
    rows = zip(*(column.to_pylist() for column in found.table.columns), strict=True)
    csv.writer(out).writerows(guarded_rows([found.table.column_names, *rows]))
    return out.getvalue()


main()
