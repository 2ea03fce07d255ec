"""Queries of the history, against the same asked of plain Python lists."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_room import PreviewRecord, Recorder, RunDir
from control_room.history import queries
from control_room.history.filters import PreviewFilter
from control_room.history.index import HistoryIndex
from control_room.history.queries import PreviewRow, preview_page

START = datetime(2026, 1, 1, tzinfo=UTC)
COUNT = 60


def record(i: int) -> PreviewRecord:
    return PreviewRecord(
        ts=START + timedelta(minutes=i),
        step=i * 10,
        prompt=f"Prompt {i}",
        golden="Mortal" if i % 2 else "42",
        model_answer="mortal" if i % 3 else "41",
        exact_match=None if i % 7 == 0 else i % 3 == 0,
        regime=("emoji_think", "regime3", None)[i % 3],
        source_pool=("fixed_eval", "train")[i % 2],
        failure_mode="empty" if i % 5 == 0 else None,
        dataset_id="d",
        example_id=f"e{i % 10}",
        contract_status={"emoji_prefix": i % 2 == 0},
    )


RECORDS = [record(i) for i in range(COUNT)]


@pytest.fixture(scope="module")
def cursor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    run = RunDir(tmp_path_factory.mktemp("queries") / "run")
    with Recorder(run) as recorder:
        for each in RECORDS:
            recorder.log_preview(each)
    with HistoryIndex(run) as index:
        index.refresh()
        yield index.cursor()


def steps(rows: tuple[PreviewRow, ...]) -> list[int]:
    return [row.step for row in rows]


def test_pages_come_newest_first_and_whole(cursor: Any) -> None:
    page = preview_page(cursor, PreviewFilter(), limit=25, offset=20)
    assert steps(page.rows) == [i * 10 for i in range(39, 14, -1)]
    assert (page.total, page.total_all) == (COUNT, COUNT)
    row, source = page.rows[0], RECORDS[39]
    assert (row.ts, row.prompt, row.contract_status) == (
        source.ts,
        source.prompt,
        source.contract_status,
    )


def test_beyond_the_end_there_is_nothing(cursor: Any) -> None:
    assert preview_page(cursor, PreviewFilter(), limit=10, offset=COUNT).rows == ()
    assert preview_page(cursor, PreviewFilter(text="nowhere"), limit=10, offset=0).rows == ()


@settings(max_examples=60, deadline=None)
@given(
    regime=st.sampled_from([None, "emoji_think", "regime3", "absent"]),
    exact_match=st.sampled_from([None, True, False]),
    min_step=st.none() | st.integers(0, 600),
    since=st.none() | st.integers(0, COUNT).map(lambda minutes: START + timedelta(minutes=minutes)),
    text=st.sampled_from([None, "MORTAL", "prompt 1", "4", "%", "'"]),
    limit=st.integers(1, 30),
    offset=st.integers(0, 70),
)
def test_every_filter_equals_a_plain_search(
    cursor: Any,
    regime: str | None,
    exact_match: bool | None,
    min_step: int | None,
    since: datetime | None,
    text: str | None,
    limit: int,
    offset: int,
) -> None:
    wanted = PreviewFilter(
        regime=regime, exact_match=exact_match, min_step=min_step, since=since, text=text
    )
    expected = [
        each.step
        for each in reversed(RECORDS)
        if (regime is None or each.regime == regime)
        and (exact_match is None or each.exact_match is exact_match)
        and (min_step is None or each.step >= min_step)
        and (since is None or (each.ts is not None and each.ts >= since))
        and (
            text is None
            or any(
                text.lower() in part.lower()
                for part in (each.prompt, each.golden, each.model_answer)
            )
        )
    ]
    page = preview_page(cursor, wanted, limit=limit, offset=offset)
    assert page.total == len(expected)
    assert steps(page.rows) == expected[offset : offset + limit]


def test_neighbours_stay_within_the_filter(cursor: Any) -> None:
    wanted = PreviewFilter(regime="regime3")
    first, second, third = preview_page(cursor, wanted, limit=3, offset=0).rows
    assert queries.preview_neighbours(cursor, wanted, second.seq) == (first.seq, third.seq)
    assert queries.preview_neighbours(cursor, wanted, first.seq)[0] is None
    assert queries.preview(cursor, second.seq) == second
    assert queries.preview(cursor, 10_000) is None


def test_the_same_example_at_other_steps(cursor: Any) -> None:
    row = preview_page(cursor, PreviewFilter(example_id="e3"), limit=1, offset=0).rows[0]
    assert steps(queries.same_example(cursor, row, limit=100)) == [530, 430, 330, 230, 130, 30]


def test_choices_are_the_values_that_occur(cursor: Any) -> None:
    assert queries.choices(cursor, "regime") == ["emoji_think", "regime3"]
    with pytest.raises(ValueError, match="not one of"):
        queries.choices(cursor, "prompt; DROP TABLE previews")


def test_a_preview_is_found_by_its_day_and_line(cursor: Any) -> None:
    for row in preview_page(cursor, PreviewFilter(), limit=3, offset=0).rows:
        assert queries.preview_by_id(cursor, row.id) == row
    assert queries.preview_by_id(cursor, "2000-01-01.1") is None


@settings(max_examples=40, deadline=None)
@given(
    losses=st.lists(st.floats(width=32) | st.none(), min_size=1, max_size=200),
    points=st.integers(2, 50),
)
def test_a_series_is_thin_in_order_and_keeps_its_extremes(
    tmp_path_factory: pytest.TempPathFactory, losses: list[float | None], points: int
) -> None:
    run = RunDir(tmp_path_factory.mktemp("series") / "run")
    with Recorder(run) as recorder, HistoryIndex(run) as index:
        for step, loss in enumerate(losses):
            recorder.log_metrics(step=step, loss=loss)
        index.refresh()
        series = queries.metric_series(index.cursor(), "loss", points=points)
    finite = [(s, loss) for s, loss in enumerate(losses) if loss is not None and isfinite(loss)]
    assert series.total == len(finite)
    assert series.not_finite == sum(loss is not None for loss in losses) - len(finite)
    assert set(series.points) <= set(finite)
    assert list(series.points) == sorted(series.points)
    assert len(series.points) <= max(points, 2)
    if finite:
        values = [value for _, value in series.points]
        assert min(values) == min(loss for _, loss in finite)
        assert max(values) == max(loss for _, loss in finite)
    if len(finite) <= points:
        assert list(series.points) == finite


def test_a_series_of_what_is_no_metric_is_refused(cursor: Any) -> None:
    with pytest.raises(ValueError, match="not one of"):
        queries.metric_series(cursor, "loss; DROP TABLE metrics", points=10)


def test_turning_points_tell_when_an_example_was_learned_and_lost(cursor: Any) -> None:
    rows = preview_page(cursor, PreviewFilter(), limit=60, offset=0).rows[::-1]
    turns = queries.turning_points(rows)
    assert [right for _, right in turns] == [i % 2 == 0 for i in range(len(turns))] or (
        [right for _, right in turns] == [i % 2 == 1 for i in range(len(turns))]
    )
    assert queries.turning_points(()) == []
