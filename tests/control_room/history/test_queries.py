"""Queries of the history, against the same asked of plain Python lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import isfinite
from pathlib import Path
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


class TestTheLifeOfAnExample:
    """Asked at 200 steps, eight samples each; right from 1,000, lost at 1,500, back at 1,900."""

    @pytest.fixture
    def cursor(self, tmp_path: Path) -> Iterator[Any]:
        run = RunDir(tmp_path / "run")
        with Recorder(run) as recorder:
            for step in range(0, 2000, 10):
                right = 1000 <= step < 1500 or step >= 1900
                asked: dict[str, Any] = {
                    "step": step,
                    "example_id": "e",
                    "prompt": "p",
                    "golden": "g",
                }
                for sample_index in range(8):
                    recorder.log_preview(
                        **asked,
                        sample_index=sample_index,
                        model_answer=f"{sample_index}",
                        exact_match=right if sample_index == 0 else not right,
                    )
                recorder.log_preview(
                    **asked, dataset_id="other", model_answer="a", exact_match=step % 20 == 0
                )
                recorder.log_preview(
                    **asked, source_pool="samples", model_answer="s", exact_match=step % 30 == 0
                )
        with HistoryIndex(run) as index:
            index.refresh()
            yield index.cursor()

    @pytest.fixture
    def row(self, cursor: Any) -> PreviewRow:
        rows = preview_page(cursor, PreviewFilter(), limit=10, offset=0).rows
        return next(row for row in rows if row.dataset_id is None and row.source_pool is None)

    def test_it_is_told_from_its_first_answer_on(self, cursor: Any, row: PreviewRow) -> None:
        turns = queries.turning_points(cursor, row)
        assert turns == [(0, False), (1000, True), (1500, False), (1900, True)]

    def test_its_newest_answers_are_one_a_step_and_of_its_dataset(
        self, cursor: Any, row: PreviewRow
    ) -> None:
        others = queries.same_example(cursor, row, limit=50)
        assert steps(others) == list(range(1990, 1490, -10))
        assert {other.dataset_id for other in others} == {None}

    def test_without_an_id_there_is_none(self, cursor: Any, row: PreviewRow) -> None:
        nameless = replace(row, example_id=None)
        assert queries.turning_points(cursor, nameless) == []
        assert queries.same_example(cursor, nameless, limit=50) == ()


def test_a_stray_line_moves_no_checkpoint(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    with Recorder(run) as recorder:
        told = [("c3", 0), ("c1", 100), ("c2", 200), ("c3", 300), ("c3", 300)]
        for number, (checkpoint, step) in enumerate(told):
            recorder.log_preview(
                step=step,
                checkpoint_id=checkpoint,
                prompt="p",
                golden="g",
                model_answer=f"{number}",
            )
    with HistoryIndex(run) as index:
        index.refresh()
        assert queries.checkpoints(index.cursor()) == ["c1", "c2", "c3"]
