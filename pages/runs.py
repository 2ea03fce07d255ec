"""Runs: several runs side by side, their curves, their settings and what came of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import streamlit as st

from app.cards import kit
from app.cards.draw_html import draw_html
from app.charts import runs as charts
from app.charts.runs import CURVES, EM
from app.text.visible import cell
from app.ui.chart_box import chart_box
from app.ui.current import runs
from app.ui.filter_bar import write_address
from app.ui.page_files import Page
from app.ui.waiting import wait_for_history
from app.watch.run_history import HistoryNotReady
from app.watch.run_table import EVERY_S, RunSummary, differing, setting_text
from control_room.history.queries import metric_series
from control_room.history.questions.evaluations import evaluations
from control_room.history.questions.notes import Note, notes

PAGE = Page(title="Runs", icon=":material/stacks:", order=80)

MOST_CURVES = 8
POINTS = 1_000
MORE_RUNS = 'Name more of them in control_room.toml: runs = ["runs/*"]'


def main() -> None:
    """Draw the page."""
    draw_html(kit.card("Runs"))
    with st.container(border=True, key="card-table"):
        table_zone()
    with st.container(border=True, key="card-curves"):
        curves(list(runs().directories()))
    summaries = runs().table.summaries()
    if len(summaries) > 1:
        with st.container(border=True, key="card-parallel"):
            chart_box(
                "runs-parallel",
                "Settings and outcome",
                charts.parallel(summaries, differing(summaries)),
                "They differ in no setting that they tell: recorder.log_config({…}) tells them.",
            )


@st.fragment(run_every=EVERY_S)
def table_zone() -> None:
    """The table as it is now."""
    summaries = runs().table.summaries()
    if not summaries:
        st.info("The runs are being read.")
        return
    table(summaries, differing(summaries) if len(summaries) > 1 else [])


def table(summaries: Sequence[RunSummary], differ: list[str]) -> None:
    """A row for each run; settings that differ come first, the others on demand."""
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        draw_html(kit.card("Runs", kit.note(_said(len(summaries), differ))))
        everything = st.toggle("All settings", key="runs-all")
    names = differ
    if everything or len(summaries) == 1:
        names = list(dict.fromkeys(name for run in summaries for name in run.config))
    now = time.time()
    st.dataframe(
        [_row(run, names, now) for run in summaries],
        hide_index=True,
        column_config={
            "EM": st.column_config.NumberColumn(format="percent"),
            "Loss": st.column_config.NumberColumn(format="%.4g"),
            "Validation loss": st.column_config.NumberColumn(format="%.4g"),
            "Step": st.column_config.NumberColumn(format="localized"),
            "Steps in all": st.column_config.NumberColumn(format="localized"),
        },
    )
    if problems := [f"{run.name}: {run.problem}" for run in summaries if run.problem]:
        draw_html(kit.bare(kit.problems(problems)))


def _said(count: int, differ: list[str]) -> str:
    if count == 1:
        return f"There is one run. {MORE_RUNS}."
    if not differ:
        return f"{count} runs, which differ in no setting that they tell."
    return f"{count} runs; they differ in {', '.join(differ)}."


def _row(run: RunSummary, settings: list[str], now: float) -> dict[str, Any]:
    values = run.values
    return {
        "Run": cell(run.name),
        "Status": cell(run.status or ""),
        "Step": values.get("current_step"),
        "Steps in all": values.get("total_steps"),
        "EM": None if run.em is None else run.em.em,
        "EM of": "" if run.em is None else run.em.said,
        "Loss": values.get("loss"),
        "Validation loss": values.get("val_loss"),
        "Last written": "" if run.written_at is None else kit.ago(now - run.written_at),
        "Model": cell(str(values.get("model_name") or "")),
        **{cell(name): cell(setting_text(run.config.get(name))) for name in settings},
    }


def curves(names: list[str]) -> None:
    """The curves of the chosen runs."""
    asked = [name for name in st.query_params.get_all("of") if name in names]
    asked_curve = st.query_params.get("curve")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name: str = st.selectbox(
            "Curve",
            list(CURVES),
            index=list(CURVES).index(asked_curve) if asked_curve in CURVES else 0,
            format_func=CURVES.__getitem__,
            key="runs-curve",
            width=220,
        )
        weight: float = st.slider(
            "Smoothing",
            0.0,
            0.99,
            0.6 if name == "loss" else 0.0,
            key=f"runs-smooth-{name}",
            width=220,
        )
        chosen: list[str] = st.multiselect(
            "Runs", names, default=asked or names[:4], max_selections=MOST_CURVES, key="runs-chosen"
        )
    write_address({"curve": name})
    st.query_params["of"] = chosen
    found: dict[str, list[tuple[int, float]]] = {}
    totals: dict[str, int] = {}
    marks: list[Note] = []
    waiting = []
    for each in chosen:
        of_run = runs().monitor(each)
        try:
            cursor = of_run.history.cursor()
        except HistoryNotReady:
            waiting.append(of_run)
            continue
        if name == EM:
            whole = [e for e in evaluations(cursor, most=POINTS) if e.domain is None]
            found[each] = [(e.step, e.em) for e in whole if e.em is not None]
            totals[each] = len(found[each]) + (whole[0].all_of - len(whole) if whole else 0)
        else:
            series = metric_series(cursor, name, points=POINTS)
            found[each], totals[each] = list(series.points), series.total
        if len(chosen) == 1:
            marks = notes(cursor)
    chart = charts.overlay(
        {n: p for n, p in found.items() if p},
        totals=totals,
        label=CURVES[name],
        weight=weight,
        is_rate=name == EM,
    )
    chart_box(f"runs-{name}", CURVES[name], chart, "None of these runs has logged it.", notes=marks)
    if waiting:
        wait_for_history(waiting)


main()
