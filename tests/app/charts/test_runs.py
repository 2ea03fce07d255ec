"""Charts of several runs: names as they are, and what is not drawn is said."""

from __future__ import annotations

import pytest

from app.charts import runs as charts
from app.watch.run_table import RunSummary

POINTS = [(1, 2.0), (2, 1.0)]


def test_runs_of_which_not_every_value_is_drawn_are_named() -> None:
    chart = charts.overlay(
        {"a": POINTS, "b": POINTS},
        totals={"a": 20_000, "b": 2},
        label="Loss",
        weight=0.0,
        is_rate=False,
    )
    assert chart.left_out == "Of a 2 of 20,000 values are drawn."


def test_where_every_value_is_drawn_nothing_is_said() -> None:
    chart = charts.overlay({"a": POINTS}, totals={"a": 2}, label="Loss", weight=0.0, is_rate=False)
    assert chart.left_out == ""


def a_run(name: str, **config: object) -> RunSummary:
    return RunSummary(name, None, {"loss": len(name) / 2}, None, config)


def test_each_run_is_one_line_through_its_settings_and_what_came_of_them() -> None:
    runs = [a_run("a", lr=0.1, kind="<b>"), a_run("bb", lr=0.3), a_run("ccc", lr=0.2, kind="x")]
    chart = charts.parallel(runs, ["lr", "kind"])
    lines = chart.figure["data"]
    assert [line["name"] for line in lines] == ["a", "bb", "ccc"]
    assert [line["y"][0] for line in lines] == pytest.approx([0.0, 1.0, 0.5])
    assert lines[0]["customdata"][:2] == [["lr", "0.1"], ["kind", "&lt;b&gt;"]]
    assert lines[1]["customdata"][1] == ["kind", "not told"]
    assert [row["kind"] for row in chart.rows] == ["<b>", None, "x"]


def test_it_is_drawn_of_lines_that_run_no_text_as_a_script() -> None:
    chart = charts.parallel([a_run("a", lr=1), a_run("b", lr=float("nan"))], ["lr"])
    assert {trace["type"] for trace in chart.figure["data"]} == {"scatter"}


def test_one_run_has_nothing_to_be_compared_with() -> None:
    assert charts.parallel([a_run("a", lr=1)], ["lr"]).figure["data"] == []
