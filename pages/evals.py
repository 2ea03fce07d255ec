"""Evals: how good the model is on what does not change, whether its confidence can be trusted."""

from __future__ import annotations

from datetime import datetime

import streamlit as st

from app.cards import kit
from app.cards.draw_html import draw_html
from app.charts import evals as charts
from app.charts.base import Chart
from app.charts.notes import with_notes
from app.text.visible import cell
from app.ui.chart_box import chart_box, csv_button
from app.ui.current import monitor
from app.ui.filter_bar import filter_bar
from app.ui.kept_checkpoints import kept_rows
from app.ui.page_files import Page
from app.ui.waiting import history_or_wait
from collectors.files.snapshots import SnapshotsReading
from control_room.history.filters import PreviewFilter
from control_room.history.queries import Cursor
from control_room.history.questions.evaluations import Evaluation, evaluations, gap_points
from control_room.history.questions.notes import notes
from control_room.history.questions.reliability import Binning, reliability
from control_room.statistics.calibration import (
    expected_calibration_error,
    maximum_calibration_error,
)
from control_room.statistics.overfitting import LATER_POINTS, LEAST_RISE_NATS, overfitting_onset

PAGE = Page(title="Evals", icon=":material/checklist:", order=40)

NO_EVALS = 'Call recorder.log_eval(step=…, kind="fixed", em=…, ce=…, ece=…, count=…).'


def main() -> None:
    """Draw the page."""
    draw_html(kit.card("Evals"))
    cursor = history_or_wait()
    if cursor is None:
        return
    over_steps(cursor)
    left, right = st.columns(2, gap="small")
    with left, st.container(border=True, key="card-reliability"):
        calibration(cursor)
    with right, st.container(border=True, key="card-gap"):
        overfitting(cursor)
    with st.container(border=True, key="card-domains"):
        domains(cursor)
    with st.container(border=True, key="card-kept"):
        kept()


def over_steps(cursor: Cursor) -> None:
    """EM, CE and calibration error of the fixed set."""
    whole = [each for each in evaluations(cursor) if each.domain is None]
    marks = notes(cursor)
    drawn = (
        ("em", "Exact match", charts.eval_em(whole)),
        ("ce", "Cross-entropy", charts.eval_value(whole, "ce", "CE, nats per token")),
        ("ece", "Calibration error", charts.eval_value(whole, "ece", "ECE")),
    )
    with st.grid(3, min_column_width=320, gap="small"):
        for name, title, chart in drawn:
            with st.container(border=True, key=f"card-{name}"):
                chart_box(f"evals-{name}", title, chart, NO_EVALS, notes=marks)


def calibration(cursor: Cursor) -> None:
    """The reliability diagram of previews, and its figures."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        binning: Binning = st.segmented_control(
            "Bins of confidence",
            ["equal width", "equal count"],
            default="equal width",
            required=True,
            key="evals-binning",
        )
        with st.popover("Filter", icon=":material/filter_alt:"):
            wanted = filter_bar(cursor, "evals", monitor().settings.heatmap.bin_edges)
    found = reliability(cursor, wanted, binning=binning)
    if found.bins:
        ece, mce = expected_calibration_error(found.bins), maximum_calibration_error(found.bins)
        draw_html(
            kit.bare(
                kit.figures(
                    [
                        ("Calibration error (ECE)", kit.number(ece, 3)),
                        ("Largest gap (MCE)", kit.number(mce, 3)),
                        ("Brier score", kit.number(found.brier, 3)),
                    ],
                    small=True,
                )
            )
        )
    chart = charts.reliability(found.bins)
    said = (
        f"{chart.description} {found.count:,} answers; confidence is the record's, else the "
        "probability of the whole answer from its tokens."
    )
    if found.without:
        said += f" {found.without:,} scored answers tell none."
    chart_box(
        "evals-reliability",
        "Reliability",
        chart,
        "Previews that tell confidence or token_log_probs are needed"
        + (" (and pass the filter)." if wanted != PreviewFilter() else "."),
        note=said,
    )


def overfitting(cursor: Cursor) -> None:
    """Validation against training loss."""
    points = gap_points(cursor)
    chart = charts.gap(points, overfitting_onset(points))
    chart_box(
        "evals-gap",
        "Overfitting",
        chart,
        "recorder.log_metrics(step=…, val_loss=…) tells the validation loss.",
        note=f"{chart.description} The rule: the last {LATER_POINTS} evaluations all lie "
        f"{LEAST_RISE_NATS:g} nats or more above the lowest, and training went on below it.",
        notes=notes(cursor),
    )


def domains(cursor: Cursor) -> None:
    """A small chart of each domain, all over the same steps."""
    by_domain: dict[str, list[Evaluation]] = {}
    for each in evaluations(cursor):
        if each.domain is not None and each.em is not None:
            by_domain.setdefault(each.domain, []).append(each)
    if not by_domain:
        tells = 'recorder.log_eval(..., domain="…", em=…) tells them.'
        draw_html(kit.empty("By domain", "No domain was evaluated.", tells))
        return
    told = [each.step for own in by_domain.values() for each in own]
    steps = (min(told), max(told))
    drawn = {name: charts.domain_em(own, steps) for name, own in by_domain.items()}
    rows = [row for chart in drawn.values() for row in chart.rows]
    with st.container(horizontal=True):
        draw_html(kit.card("By domain"))
        csv_button("evals-domains", Chart({}, "", rows))
    with st.grid(4, min_column_width=220, gap="small"):
        for name, chart in drawn.items():
            st.plotly_chart(
                with_notes(chart, notes(cursor)).figure,
                key=f"evals-domain-{name}",
                alt=cell(chart.description),
                config={"displaylogo": False, "displayModeBar": False},
            )
    if left_out := [f"{name}: {c.left_out}" for name, c in drawn.items() if c.left_out]:
        draw_html(kit.bare(kit.note(" ".join(left_out))))


def kept() -> None:
    """Checkpoints and snapshots on disk."""
    reading = monitor().sources["snapshots"].reading or SnapshotsReading()
    rows = kept_rows(reading, datetime.now().astimezone())
    if not rows:
        draw_html(
            kit.empty(
                "Checkpoints and snapshots",
                "None is listed.",
                "retention_index.json, in checkpoints or in the run directory, lists what is kept "
                "(docs/DATA.md).",
            )
        )
        return
    draw_html(kit.card("Checkpoints and snapshots"))
    st.dataframe(
        rows,
        hide_index=True,
        column_config={
            "EM": st.column_config.NumberColumn(format="percent"),
            "CE": st.column_config.NumberColumn(format="%.3f"),
            "Loss": st.column_config.NumberColumn(format="%.4g"),
            "Size, MB": st.column_config.NumberColumn(format="%.1f"),
            "Step": st.column_config.NumberColumn(format="localized"),
        },
    )
    if reading.problem:
        draw_html(kit.bare(kit.problems([reading.problem])))


main()
