"""Analytics: what the model gets right and wrong, by pattern, length, step and confidence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st
from markupsafe import Markup

from app.cards import kit
from app.cards.draw_html import draw_html
from app.charts import analytics as charts
from app.charts.analytics import HeatmapLimits
from app.charts.base import Chart
from app.charts.throughput import throughput
from app.text.html import fill
from app.ui.chart_box import chart_box
from app.ui.current import monitor
from app.ui.filter_bar import filter_bar, length_query
from app.ui.page_files import Page
from app.ui.waiting import history_errors_told, history_or_wait
from app.views.preview_filter import to_query
from app.watch.reported_throughput import points_told, settings_told, told_samples
from control_room.history.filters import PreviewFilter
from control_room.history.queries import Cursor
from control_room.history.questions import aggregates
from control_room.history.questions.aggregates import Statistics
from control_room.history.questions.notes import notes
from control_room.statistics.exact_match import ExactMatchRate

PAGE = Page(title="Analytics", icon=":material/analytics:", order=30)

limits = monitor().settings.heatmap
PREVIEWS = Path(__file__).with_name("previews.py")
LIVE_S = 5.0


def main() -> None:
    """Draw the page."""
    bar = st.container(horizontal=True, horizontal_alignment="distribute")
    draw_html(kit.card("Analytics"), place=bar, width="content")
    cursor = history_or_wait()
    if cursor is None:
        _told_throughput()
        return
    with bar:
        live = st.toggle(
            "Live",
            key="analytics-live",
            help="Draw the charts again every few seconds; zoom is lost each time.",
        )
    wanted = filter_bar(cursor, "analytics", limits.bin_edges)
    st.fragment(body, run_every=LIVE_S if live else None)(wanted)


def body(wanted: PreviewFilter) -> None:
    """The figures and charts of the previews that match."""
    with history_errors_told():
        cursor = monitor().history.cursor()
        statistics = aggregates.statistics(cursor, wanted)
        with card("rates"):
            rates(statistics)
        with card("heatmap"):
            heatmap(cursor, wanted)
        with st.grid(2, min_column_width=420, gap="small"):
            for name, title, draw, empty in CHARTS:
                with card(name):
                    marks = notes(cursor) if name in OVER_STEPS else ()
                    chart_box(f"analytics-{name}", title, draw(cursor, wanted), empty, notes=marks)


def card(name: str) -> Any:
    """A bordered box."""
    return st.container(border=True, key=f"card-{name}")


def rates(statistics: Statistics) -> None:
    """Exact match over all, by regime and by source, with intervals."""
    overall = statistics.overall
    if not overall.count:
        draw_html(kit.empty("Exact match", NO_SCORED, "Clear a filter, or wait for previews."))
        return
    groups = [
        kit.heading(title) + kit.bar_rows((name, _pct(rate), _said(rate)) for name, rate in items)
        for title, items in (
            ("By regime", statistics.by_regime.items()),
            ("By source", statistics.by_source.items()),
        )
        if items
    ]
    notes = f"{overall.count:,} scored previews; brackets are 95 % intervals (Wilson)."
    if statistics.unscored:
        notes += f" {statistics.unscored:,} previews were not scored and count nowhere."
    figure = kit.percent(overall.em, 1)
    draw_html(
        kit.card(
            "Exact match",
            kit.figures([("Overall", fill("{} <small>{}</small>", figure, _range(overall)))]),
            kit.columns(groups),
            kit.note(notes),
        )
    )


def heatmap(cursor: Cursor, wanted: PreviewFilter) -> None:
    """Pattern by length; a click on a cell shows its previews."""
    chart = charts.heatmap(
        aggregates.heatmap(cursor, wanted, limits.bin_edges),
        limits.bin_edges,
        HeatmapLimits(limits.green_above, limits.yellow_above, limits.few_samples),
    )
    clicked = chart_box(
        "analytics-heatmap",
        "Pattern by length",
        chart,
        "It is drawn from scored previews.",
        note=(
            f"✓ above {100 * limits.green_above:.0f} %, ▲ from {100 * limits.yellow_above:.0f} %, "
            f"✕ below; few: under {limits.few_samples} samples. Click a cell to read its previews."
        ),
        on_select="rerun",
        selection_mode="points",
    )
    if clicked is not None and clicked.selection.points:
        pattern, low = clicked.selection.points[0]["customdata"]
        query = to_query(wanted)
        for name in ("min_length", "below_length", "length_known"):
            query.pop(name, None)
        query |= {"pattern": pattern, **length_query(limits.bin_edges, low)}
        st.switch_page(PREVIEWS, query_params=query)


def _em_over_steps(cursor: Cursor, wanted: PreviewFilter) -> Chart:
    known = aggregates.statistics(cursor, wanted)
    lines = max(1, len(known.by_regime))
    bins = _bins(known.overall.count // lines, most=40)
    return charts.em_over_steps(aggregates.em_over_steps(cursor, wanted, bins=bins))


def _failure_shares(cursor: Cursor, wanted: PreviewFilter) -> Chart:
    return charts.failure_shares(aggregates.failure_modes(cursor, wanted))


def _failures_over_steps(cursor: Cursor, wanted: PreviewFilter) -> Chart:
    failures = sum(share.count for share in aggregates.failure_modes(cursor, wanted))
    bins = _bins(failures, most=24)
    return charts.failures_over_steps(aggregates.failure_modes(cursor, wanted, bins=bins))


def _throughput(cursor: Cursor, _: PreviewFilter) -> Chart:
    if told := told_samples(monitor()):
        return throughput(points_told(told), settings_told(told))
    return throughput(aggregates.throughput_points(cursor), aggregates.throughput_settings(cursor))


def _told_throughput() -> None:
    """What the status alone tells, of a run that logs nothing."""
    if told := told_samples(monitor()):
        chart = throughput(points_told(told), settings_told(told))
        with card("throughput"):
            chart_box("analytics-throughput", "Throughput and memory", chart, "")


def _by_length(cursor: Cursor, wanted: PreviewFilter) -> Chart:
    bins = aggregates.em_by_answer_length(cursor, wanted)
    return charts.em_by_bin(bins, axis="Length of the answer, tokens")


def _by_ce(cursor: Cursor, wanted: PreviewFilter) -> Chart:
    bins = aggregates.em_by_ce(cursor, wanted)
    return charts.em_by_bin(bins, axis="CE of the golden answer, nats", unit_digits=2)


def _bins(count: int, *, most: int) -> int:
    """So many stretches of steps that each tells something: ten previews or more."""
    return max(1, min(most, count // 10))


OVER_STEPS = ("em-steps", "failures-steps")
NO_SCORED = "No scored preview matches."
CHARTS: tuple[tuple[str, str, Callable[[Cursor, PreviewFilter], Chart], str], ...] = (
    ("em-steps", "Exact match over steps", _em_over_steps, "It is drawn from scored previews."),
    ("failures", "Failure modes", _failure_shares, "No failures among these previews."),
    (
        "failures-steps",
        "Failure modes over steps",
        _failures_over_steps,
        "No failures among these previews.",
    ),
    (
        "throughput",
        "Throughput and memory",
        _throughput,
        "Call recorder.log_throughput(step=…, tokens_per_sec=…, vram_used_gb=…). "
        "The filter above does not apply to it.",
    ),
    ("length", "Answer length and exact match", _by_length, "No preview tells its token counts."),
    ("ce", "CE and exact match", _by_ce, "No preview tells its cross-entropy."),
)


def _pct(rate: ExactMatchRate) -> float | None:
    return None if rate.em is None else 100 * rate.em


def _range(rate: ExactMatchRate) -> str:
    low, high = rate.interval or (0.0, 1.0)
    return f"[{100 * low:.0f}-{100 * high:.0f}]"


def _said(rate: ExactMatchRate) -> Markup:
    return fill("{} {}", kit.percent(rate.em), _range(rate))


main()
