"""Charts: what is drawn, told in words, and downloaded are the same rows."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from app.charts import analytics as charts
from app.charts.analytics import HeatmapLimits
from app.charts.base import Chart
from app.charts.throughput import throughput
from control_room.history.questions.aggregates import (
    BinRate,
    FailureShare,
    HeatmapCell,
    StepRate,
    ThroughputPoint,
    ThroughputPoints,
    ThroughputSetting,
)
from control_room.statistics.exact_match import ExactMatchRate

EDGES = (0, 50, 100)
LIMITS = HeatmapLimits(green_above=0.8, yellow_above=0.6, few_samples=10)


def drawn(*points: ThroughputPoint) -> ThroughputPoints:
    return ThroughputPoints(points, len(points))


def texts(chart: Chart) -> list[str]:
    return [note["text"] for note in chart.figure["layout"]["annotations"]]


def colours(chart: Chart) -> list[str]:
    return [shape["fillcolor"] for shape in chart.figure["layout"]["shapes"]]


def test_a_cell_tells_its_level_by_sign_as_well_as_colour() -> None:
    cells = [
        HeatmapCell("p", 0, ExactMatchRate(81, 100)),
        HeatmapCell("p", 50, ExactMatchRate(80, 100)),
        HeatmapCell("p", 100, ExactMatchRate(59, 100)),
    ]
    chart = charts.heatmap(cells, EDGES, LIMITS)
    assert [text[0] for text in texts(chart)] == ["✓", "▲", "✕"]
    assert len(set(colours(chart))) == 3


def test_few_samples_are_marked_and_empty_cells_are_not_clickable() -> None:
    chart = charts.heatmap([HeatmapCell("p", 50, ExactMatchRate(3, 3))], EDGES, LIMITS)
    assert "n=3, few" in texts(chart)[1]
    assert texts(chart)[0] == "–"
    (trace,) = chart.figure["data"]
    assert trace["customdata"] == [["p", 50]]
    assert "95 % interval" in trace["hovertext"][0]


def test_lengths_that_are_not_known_have_a_column_of_their_own() -> None:
    chart = charts.heatmap([HeatmapCell("p", None, ExactMatchRate(1, 2))], EDGES, LIMITS)
    assert chart.figure["layout"]["xaxis"]["ticktext"] == ["0-50", "50-100", "100+", "unknown"]


def test_names_from_logs_are_no_markup() -> None:
    chart = charts.heatmap([HeatmapCell("<b>x</b>", 0, ExactMatchRate(1, 2))], EDGES, LIMITS)
    assert chart.figure["layout"]["yaxis"]["ticktext"] == ["&lt;b&gt;x&lt;/b&gt;"]


@pytest.mark.parametrize(
    "chart",
    [
        charts.heatmap([HeatmapCell("p", 0, ExactMatchRate(1, 2))], EDGES, LIMITS),
        charts.em_over_steps(
            [StepRate("a", 0, 9, ExactMatchRate(1, 2)), StepRate("b", 0, 9, ExactMatchRate(0, 1))]
        ),
        charts.failure_shares([FailureShare("empty", 0, 9, 1, 4)]),
        charts.failures_over_steps([FailureShare("empty", 0, 9, 1, 4)]),
        charts.em_by_bin(
            [BinRate(0, 25, ExactMatchRate(1, 2)), BinRate(475, None, ExactMatchRate(0, 2))],
            axis="x",
        ),
        throughput(
            drawn(ThroughputPoint(1, 100.0, 10.0, 50.0, 8, 512)),
            [ThroughputSetting(8, 512, 1, 100.0, 10.0, 50.0)],
        ),
    ],
)
def test_a_chart_can_be_downloaded_and_is_described(chart: Chart) -> None:
    rows = list(csv.DictReader(io.StringIO(chart.csv())))
    assert len(rows) == len(chart.rows) > 0
    assert chart.description.endswith(".")
    assert chart.figure["data"]


@pytest.mark.parametrize(
    "chart",
    [
        charts.heatmap([], EDGES, LIMITS),
        charts.em_over_steps([]),
        charts.failure_shares([]),
        charts.failures_over_steps([]),
        charts.em_by_bin([], axis="x"),
        throughput(drawn(), []),
    ],
)
def test_without_rows_there_is_nothing_to_draw(chart: Chart) -> None:
    assert chart.rows == []


def test_an_interval_reaches_as_far_as_wilsons() -> None:
    rate = ExactMatchRate(3, 10)
    (trace,) = charts.em_over_steps([StepRate("a", 0, 9, rate)]).figure["data"]
    assert rate.interval is not None
    low, high = rate.interval
    error: Any = trace["error_y"]
    assert trace["y"][0] + error["array"][0] == pytest.approx(high)
    assert trace["y"][0] - error["arrayminus"][0] == pytest.approx(low)


def test_throughput_marks_the_fastest_setting_and_where_memory_ends() -> None:
    points = [
        ThroughputPoint(1, 100.0, 12.0, 50.0, 8, 512),
        ThroughputPoint(2, 90.0, 6.0, 25.0, 4, 512),
    ]
    settings = [
        ThroughputSetting(8, 512, 1, 100.0, 12.0, 50.0),
        ThroughputSetting(4, 512, 1, 90.0, 6.0, 25.0),
    ]
    chart = throughput(drawn(*points), settings)
    assert any("fastest: 100" in text for text in texts(chart))
    assert any("limit 24 GB" in text for text in texts(chart))
    first, second = chart.figure["data"]
    assert first["marker"]["symbol"] != second["marker"]["symbol"]


def test_a_chart_of_some_of_the_samples_says_of_how_many() -> None:
    points = [ThroughputPoint(i, 100.0, 12.0, 50.0, 8, 512) for i in range(20)]
    setting = [ThroughputSetting(8, 512, 20, 100.0, 12.0, 50.0)]
    assert throughput(drawn(*points), setting).left_out == ""
    some = throughput(ThroughputPoints(tuple(points), 1_987), setting)
    assert some.left_out == "Drawn are 20 of 1,987 samples, evenly spread over the run."
    unplaced = ThroughputPoint(21, 100.0, None, None, 8, 512)
    without = throughput(drawn(*points, unplaced), setting)
    assert without.left_out == "1 of them does not tell its memory and is left out."


def test_many_settings_share_one_trace() -> None:
    points = [ThroughputPoint(i, 100.0, 12.0, 50.0, i, 512) for i in range(20)]
    settings = [ThroughputSetting(i, 512, 1, 100.0, 12.0, 50.0) for i in range(20)]
    assert len(throughput(drawn(*points), settings).figure["data"]) == 1
