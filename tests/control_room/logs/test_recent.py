"""The newest previews in numbers, against the same counted the long way."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_room.logs.recent import RecentPreviews
from control_room.recording.records import PreviewRecord

START = datetime(2026, 1, 1, tzinfo=UTC)


def record(second: int, match: bool | None, regime: str | None = None) -> PreviewRecord:
    return PreviewRecord(
        ts=START + timedelta(seconds=second),
        step=second,
        prompt="p",
        golden="g",
        model_answer="a",
        exact_match=match,
        regime=regime,
    )


def test_without_previews_nothing_is_known() -> None:
    summary = RecentPreviews().summary()
    assert summary.latest is None
    assert (summary.em_last_20.em, summary.em_last_20.count) == (None, 0)
    assert summary.em_trend == ()


def test_previews_without_a_score_are_counted_apart() -> None:
    recent = RecentPreviews()
    recent.add([record(1, True), record(2, None), record(3, False)])
    summary = recent.summary()
    assert (summary.em_last_20.em, summary.em_last_20.count) == (0.5, 2)
    assert summary.unscored == 1
    assert summary.latest is not None
    assert summary.latest.step == 3


def test_records_out_of_time_order_are_put_in_order() -> None:
    recent = RecentPreviews(size=3)
    recent.add([record(10, True), record(30, True), record(20, False), record(5, False)])
    summary = recent.summary()
    assert summary.latest is not None
    assert summary.latest.step == 30
    recent.add([record(1, False)])
    assert recent.summary().em_last_20.count == 3
    assert recent.summary().latest == summary.latest


def test_groups_count_only_what_names_them() -> None:
    recent = RecentPreviews()
    recent.add([record(1, True, "b"), record(2, False, "a"), record(3, True)])
    groups = recent.summary().by_regime
    assert {name: (rate.em, rate.count) for name, rate in groups.items()} == {
        "a": (0.0, 1),
        "b": (1.0, 1),
    }
    assert list(groups) == ["a", "b"]


@given(st.lists(st.booleans(), min_size=1, max_size=150))
def test_the_windows_equal_a_plain_count(matches: list[bool]) -> None:
    recent = RecentPreviews()
    recent.add(record(i, match) for i, match in enumerate(matches))
    summary = recent.summary()
    for rate, window in (
        (summary.em_last_20, 20),
        (summary.em_last_50, 50),
        (summary.em_last_100, 100),
    ):
        newest = matches[-window:]
        assert rate.count == len(newest)
        assert rate.em == pytest.approx(sum(newest) / len(newest))
    assert summary.em_trend[-1] == pytest.approx(summary.em_last_20.em)
