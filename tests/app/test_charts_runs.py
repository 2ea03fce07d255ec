"""Charts of several runs: names as they are, and what is not drawn is said."""

from __future__ import annotations

from app import charts_runs

POINTS = [(1, 2.0), (2, 1.0)]


def test_runs_of_which_not_every_value_is_drawn_are_named() -> None:
    chart = charts_runs.overlay(
        {"a": POINTS, "b": POINTS},
        totals={"a": 20_000, "b": 2},
        label="Loss",
        weight=0.0,
        is_rate=False,
    )
    assert chart.left_out == "Of a 2 of 20,000 values are drawn."


def test_where_every_value_is_drawn_nothing_is_said() -> None:
    chart = charts_runs.overlay(
        {"a": POINTS}, totals={"a": 2}, label="Loss", weight=0.0, is_rate=False
    )
    assert chart.left_out == ""
