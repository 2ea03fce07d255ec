"""Importing what the daemon trainer kept: all of it, once, and nothing made up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from control_room import PreviewRecord, RunDir
from control_room.__main__ import main
from control_room.history import queries
from control_room.history.filters import PreviewFilter
from control_room.history.index import HistoryIndex
from control_room.history.queries import PreviewRow
from control_room.recording.records import parse_line
from tests.support import SHARED

SNAPSHOT: dict[str, Any] = {
    "snapshot_id": "syllo_hard_step_002500",
    "training_step": 2500,
    "timestamp": "2025-11-16T15:52:50.551038",
    "examples": [
        {
            "example_id": "ex_0000",
            "step": 2500,
            "input": "All men",
            "expected_output": "Mortal",
            "model_output": "Moral",
            "loss": 0.5,
            "exact_match": False,
            "similarity": 0.9,
        }
    ],
    "model_version": "training",
    "summary": {"avg_loss": 0.5},
}
ROUND: dict[str, Any] = {
    "training_step": 66400,
    "checkpoint_id": None,
    "timestamp": "2025-11-23T16:34:11.703658",
    "results": [
        {
            "puzzle_id": "p1",
            "prompt": "Puzzle",
            "expected": "{}",
            "generated": "",
            "exact_match": True,
            "inference_time_ms": 50977.3,
            "difficulty": "easy",
        }
    ],
    "metrics": {"samples_tested": 1},
}


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "run")


def put(path: Path, data: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data))
    return path


def imported(run: RunDir, *sources: Path) -> int:
    return main(["import", *map(str, sources), "--run-dir", str(run.path)])


def previews(run: RunDir, wanted: PreviewFilter | None = None) -> tuple[PreviewRow, ...]:
    with HistoryIndex(run) as index:
        index.refresh()
        cursor = index.cursor()
        return queries.preview_page(cursor, wanted or PreviewFilter(), limit=1000, offset=0).rows


def test_a_snapshot_becomes_previews_and_what_is_missing_stays_missing(
    run: RunDir, tmp_path: Path
) -> None:
    assert imported(run, put(tmp_path / "step_002500.json", SNAPSHOT)) == 0
    (row,) = previews(run)
    assert (row.step, row.dataset_id, row.example_id) == (2500, "syllo_hard", "ex_0000")
    assert (row.golden, row.model_answer, row.exact_match) == ("Mortal", "Moral", False)
    assert (row.regime, row.checkpoint_id, row.model_tokens) == (None, None, None)


def test_a_snapshots_loss_is_no_cross_entropy_and_keeps_its_own_name(
    run: RunDir, tmp_path: Path
) -> None:
    assert imported(run, put(tmp_path / "step_002500.json", SNAPSHOT)) == 0
    (record,) = records(run)
    assert (record.example_loss, record.ce) == (0.5, None)


@pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="needs ../shared/data")
def test_the_losses_of_real_snapshots_are_reckoned_from_the_likeness_of_texts() -> None:
    for file in sorted((SHARED / "data" / "snapshots").rglob("*.json")):
        for example in json.loads(file.read_text())["examples"]:
            assert example["loss"] == 5 * (1 - example["similarity"])


def test_what_has_no_place_is_named(
    run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(run, put(tmp_path / "step_002500.json", SNAPSHOT))
    assert "left out: model_version (1), similarity (1), summary (1)" in capsys.readouterr().out
    imported(run, put(tmp_path / "preview_step_066400.json", ROUND))
    assert "left out: difficulty (1), metrics (1)" in capsys.readouterr().out
    log = tmp_path / "inference_20261123.log"
    log.write_text((json.dumps(INFERENCE | {"system_prompt": "You are"}) + "\n") * 2)
    imported(run, log)
    assert "left out: epoch (2), lr (2), system_prompt (2)" in capsys.readouterr().out


def test_a_preview_round_becomes_previews(run: RunDir, tmp_path: Path) -> None:
    assert imported(run, put(tmp_path / "preview_step_066400.json", ROUND)) == 0
    (row,) = previews(run)
    assert (row.step, row.example_id, row.exact_match) == (66400, "p1", True)
    assert row.generation_time_ms == pytest.approx(50977.3)


def test_an_error_in_place_of_an_answer_is_not_a_wrong_answer(run: RunDir, tmp_path: Path) -> None:
    failed = {"generated": "CUDA out of memory", "exact_match": False}
    told = ROUND | {"results": [ROUND["results"][0] | failed]}
    assert imported(run, put(tmp_path / "preview_step_066400.json", told)) == 0
    (record,) = records(run)
    assert (record.exact_match, record.failure_mode) == (None, "server_error")
    assert "CUDA out of memory" in str(record.error)


def test_importing_again_adds_nothing(run: RunDir, tmp_path: Path) -> None:
    source = put(tmp_path / "source" / "step_1.json", SNAPSHOT).parent
    assert imported(run, source) == imported(run, source) == 0
    assert len(previews(run)) == 1


@pytest.mark.parametrize(
    "content",
    [
        "not JSON",
        "[]",
        "{}",
        '{"training_step": 1, "examples": [{"input": 5}]}',
        '{"training_step": 1, "timestamp": "then", "results": [1]}',
    ],
)
def test_what_is_no_such_file_is_named_and_stops_no_other(
    run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    source = put(tmp_path / "source" / "step_2.json", SNAPSHOT).parent
    (source / "step_1.json").write_text(content)
    assert imported(run, source) == 1
    assert str(source / "step_1.json") in capsys.readouterr().err
    assert len(previews(run)) == 1


def test_other_files_of_that_trainer_in_a_directory_are_left_alone(
    run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = put(tmp_path / "source" / "step_1.json", SNAPSHOT).parent
    for name in ("training_status.json", "state.json", "retention_index.json"):
        (source / name).write_text("{}")
    assert imported(run, source) == 0
    assert capsys.readouterr().err == ""
    assert len(previews(run)) == 1


def test_a_directory_without_files_is_said_so(
    run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(run, tmp_path) == 1
    assert "No file of a known name" in capsys.readouterr().err


@pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="needs ../shared/data")
def test_real_snapshots_browse_and_filter(run: RunDir) -> None:
    snapshots, rounds = SHARED / "data" / "snapshots", SHARED / "data" / "previews"
    assert imported(run, snapshots, rounds) == 0
    rows = previews(run)
    files = sorted(snapshots.rglob("*.json"))
    assert len(rows) == 100 * len(files) + 5
    one = json.loads(files[0].read_text())
    step = one["training_step"]
    found = previews(run, PreviewFilter(dataset_id="syllo_hard_20k", min_step=step, max_step=step))
    assert {row.prompt for row in found} == {example["input"] for example in one["examples"]}
    assert [row.ts for row in rows] == sorted((row.ts for row in rows), reverse=True)
    assert len(previews(run, PreviewFilter(exact_match=True))) == 0


INFERENCE: dict[str, Any] = {
    "ts": "2026-11-23T13:32:25.592122",
    "step": 14700,
    "epoch": 2,
    "loss": 0.84,
    "lr": 0.0002,
    "prompt": "All men",
    "golden": "Mortal",
    "model_output": "Mortal",
    "matches": True,
}


def records(run: RunDir) -> list[PreviewRecord]:
    return [
        parse_line(PreviewRecord, line)
        for log in sorted(run.logs("preview").iterdir())
        for line in log.read_bytes().splitlines()
    ]


def test_an_inference_log_becomes_previews_and_its_torn_end_is_told(
    run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "inference_20261123.log"
    log.write_text(json.dumps(INFERENCE) + "\n" + json.dumps(INFERENCE)[:40])
    assert imported(run, log) == 0
    assert "lines that cannot be read (1)" in capsys.readouterr().out
    (row,) = previews(run)
    assert (row.step, row.exact_match, row.model_tokens) == (14700, True, None)
    assert row.source_pool == "inference log"
    assert imported(run, log) == 0
    assert len(previews(run)) == 1


def test_the_losses_of_its_examples_are_in_no_loss_curve(run: RunDir, tmp_path: Path) -> None:
    log = tmp_path / "inference_20261123.log"
    log.write_text("".join(json.dumps(INFERENCE | {"step": n, "loss": 3.0}) + "\n" for n in (9, 5)))
    assert imported(run, log) == 0
    assert {record.example_loss for record in records(run)} == {3.0}
    assert not run.logs("metrics").exists()


@pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="needs ../shared/data")
def test_real_inference_logs_are_taken_whole(run: RunDir) -> None:
    logs = sorted((SHARED / "data" / "trainer").rglob("inference_*.log"))
    lines = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    assert imported(run, *logs) == 0
    found = {(row.step, row.model_answer, row.exact_match) for row in previews(run)}
    assert found == {(each["step"], each["model_output"], each["matches"]) for each in lines}
    assert {record.example_loss for record in records(run)} == {each["loss"] for each in lines}
    assert not run.logs("metrics").exists()
