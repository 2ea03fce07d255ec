"""A line that stands in the logs twice is one answer, and counts once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from collectors.files.previews import PreviewWatch
from control_room import Recorder, RunDir
from control_room.history.filters import PreviewFilter
from control_room.history.index import HistoryIndex
from control_room.history.questions import aggregates
from control_room.logs.patterns import PatternRules
from control_room.logs.recent import RecentPreviews
from control_room.logs.retention import carry_out, plan
from control_room.recording.records import PreviewRecord, to_json_line

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def line(step: int, **fields: Any) -> bytes:
    values: dict[str, Any] = {
        "ts": AT + timedelta(seconds=step),
        "step": step,
        "example_id": f"e{step}",
        "prompt": "p",
        "golden": "g",
        "model_answer": "a",
        "exact_match": step % 2 == 0,
    }
    return to_json_line(PreviewRecord(**(values | fields)), run_id="run", now="")


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "run")


def put(run: RunDir, day: int, *lines: bytes) -> Path:
    file = run.log_file("preview", date(2026, 3, day))
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as log:
        log.writelines(lines)
    return file


def rows(index: HistoryIndex) -> list[tuple[int, int, str]]:
    while index.refresh().more:
        pass
    query = "SELECT seq, step, file FROM previews ORDER BY seq"
    found = index.cursor().execute(query).fetchall()
    return [(seq, step, file[-11:-6]) for seq, step, file in found]


def test_a_file_that_was_appended_to_itself_counts_once(run: RunDir) -> None:
    lines = [line(step) for step in range(10)]
    put(run, 1, *lines, *lines)
    with HistoryIndex(run) as index:
        assert [step for _, step, _ in rows(index)] == list(range(10))
        found = aggregates.statistics(index.cursor(), PreviewFilter())
        assert (found.overall.correct, found.overall.count) == (5, 10)


def test_a_copy_that_comes_later_is_left_out_and_seq_has_no_gap(run: RunDir) -> None:
    put(run, 1, *(line(step) for step in range(5)))
    with HistoryIndex(run) as index:
        rows(index)
        put(run, 1, line(2), line(7), line(3))
        assert rows(index) == [
            (1, 0, "03-01"),
            (2, 1, "03-01"),
            (3, 2, "03-01"),
            (4, 3, "03-01"),
            (5, 4, "03-01"),
            (6, 7, "03-01"),
        ]


@pytest.mark.parametrize(
    "other",
    [
        {"example_id": "another"},
        {"dataset_id": "another"},
        {"checkpoint_id": "another"},
        {"round_id": "another"},
        {"sample_index": 1},
        {"model_answer": "another"},
        {"golden": "another"},
        {"exact_match": None},
        {"seed": 1},
        {"temperature": 0.5},
        {"generation_time_ms": 1.0},
        {"token_log_probs": [0.5]},
        {"ts": AT},
    ],
    ids=str,
)
def test_what_differs_is_another_answer(run: RunDir, other: dict[str, Any]) -> None:
    put(run, 1, line(1), line(1, **other))
    with HistoryIndex(run) as index:
        assert len(rows(index)) == 2


def test_when_the_first_goes_its_copy_counts(run: RunDir) -> None:
    first = put(run, 1, line(1), line(2))
    put(run, 2, line(2), line(3))
    with HistoryIndex(run, database=run.cache / "history.duckdb") as index:
        assert [(step, day) for _, step, day in rows(index)] == [
            (1, "03-01"),
            (2, "03-01"),
            (3, "03-02"),
        ]
        first.unlink()
        assert rows(index) == [(1, 2, "03-02"), (2, 3, "03-02")]


def test_packing_changes_nothing_of_it(run: RunDir) -> None:
    put(run, 1, line(1), line(2), line(1))
    put(run, 2, line(2), line(3))
    with HistoryIndex(run) as index:
        before = rows(index)
        assert [step for _, step, _ in before] == [1, 2, 3]
        for step in plan(run, date(2026, 3, 20)):
            assert carry_out(step).problem is None
        assert rows(index) == before


@pytest.mark.parametrize("example_id", [None, "e"])
def test_equal_answers_of_one_moment_may_be_samples(run: RunDir, example_id: str | None) -> None:
    same = line(1, example_id=example_id)
    put(run, 1, same, same, same)
    with HistoryIndex(run) as index:
        assert len(rows(index)) == 3
        put(run, 2, same, same)
        assert len(rows(index)) == 3, "the second file repeats two of them"
        put(run, 2, line(2), same, same, same, same)
        assert len(rows(index)) == 5, "a fourth sample, and what stands between them"


def test_a_loop_that_logs_its_samples_at_once_counts_them_all(run: RunDir) -> None:
    answers = ["42"] * 6 + ["7", "8"]
    with Recorder(run, strict=True, clock=AT.timestamp) as recorder:
        for seed, answer in enumerate(answers):
            recorder.log_preview(
                step=1,
                example_id="e1",
                prompt="p",
                golden="42",
                model_answer=answer,
                exact_match=answer == "42",
                seed=seed,
            )
    with HistoryIndex(run) as index:
        rows(index)
        found = aggregates.statistics(index.cursor(), PreviewFilter()).overall
    assert (found.correct, found.count) == (6, 8)
    assert PreviewWatch(run, PatternRules()).read().summary.em_last_20.count == 8


def test_the_newest_previews_on_the_live_page_count_once_too() -> None:
    recent = RecentPreviews()
    records = [
        PreviewRecord(
            ts=AT, step=1, example_id="e", prompt="p", golden="g", model_answer=a, exact_match=True
        )
        for a in ("a", "b", "a")
    ]
    recent.add(records)
    recent.add([replace(records[0], ts=AT + timedelta(seconds=1), step=2)])
    recent.add(records[:2])
    assert recent.summary().em_last_100.count == 4


def test_a_recorder_that_logs_fast_repeats_nothing(run: RunDir) -> None:
    with Recorder(run) as recorder:
        for number in range(2_000):
            recorder.log_preview(
                step=1, example_id=f"e{number}", prompt="p", golden="g", model_answer="a"
            )
    with HistoryIndex(run) as index:
        assert len(rows(index)) == 2_000
