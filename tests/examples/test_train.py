"""The trainer as a process: real records, a clean stop, and a resume that goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from control_room import MetricPoint, PreviewRecord, RunDir, ThroughputSample
from control_room.judging.scoring import score
from examples.minimal import main as minimal
from tests.support import ROOT, wait_until


@contextmanager
def trainer(run_dir: Path, *flags: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.train", "--run-dir", str(run_dir), *flags],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def train(run_dir: Path, *flags: str) -> tuple[int, str]:
    """A whole run: its exit code and what it said."""
    with trainer(run_dir, *flags) as process:
        told, _ = process.communicate(timeout=60)
        return process.returncode, told


def lines(run_dir: Path, kind: str) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted((run_dir / "logs" / kind).glob("*.jsonl"))
        for line in path.read_bytes().splitlines(keepends=True)
        if line.endswith(b"\n")
    ]


def status(run_dir: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RunDir(run_dir).status_file.read_text())
    return found


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run that went past its first evaluation and was told to stop."""
    run_dir = tmp_path_factory.mktemp("trained") / "run"
    with trainer(run_dir) as process:
        wait_until(
            lambda: process.poll() is not None or len(lines(run_dir, "metrics")) > 105,
            120,
            "105 steps",
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, process.communicate()[0]
    return run_dir


def test_every_record_can_be_read_back(stopped: Path) -> None:
    assert [PreviewRecord.from_mapping(line) for line in lines(stopped, "preview")]
    assert [MetricPoint.from_mapping(line) for line in lines(stopped, "metrics")]
    assert [ThroughputSample.from_mapping(line) for line in lines(stopped, "throughput")]


def test_every_step_is_recorded_and_the_loss_falls(stopped: Path) -> None:
    points = [MetricPoint.from_mapping(line) for line in lines(stopped, "metrics")]
    losses = [point.loss for point in points if point.loss is not None]
    assert [point.step for point in points if point.loss is not None] == list(
        range(1, len(losses) + 1)
    )
    assert sum(losses[-20:]) < 0.7 * sum(losses[:20])
    assert any(point.val_loss is not None for point in points)


def test_previews_say_what_was_asked_and_how_it_went(stopped: Path) -> None:
    previews = [PreviewRecord.from_mapping(line) for line in lines(stopped, "preview")]
    assert {"fixed_eval", "train"} <= {preview.source_pool for preview in previews}
    for preview in previews:
        truncated = preview.failure_mode == "truncated"
        again = score(
            preview.golden, preview.model_answer, preview.regime, hit_token_limit=truncated
        )
        assert preview.exact_match == again.exact_match
        assert preview.failure_mode == again.failure_mode
        assert preview.contract_status == again.contract_status
        assert preview.ce is not None
        assert preview.ce > 0
        assert preview.generation_time_ms is not None
        assert preview.temperature == 0
        assert preview.token_log_probs is not None
        assert preview.model_tokens is not None
        # The end mark has a probability, too, but is no token of the answer.
        assert len(preview.token_log_probs) - preview.model_tokens in (0, 1)
        held_out = preview.dataset_id is not None and "heldout" in preview.dataset_id
        assert held_out or preview.source_pool != "fixed_eval"


def test_the_throughput_samples_hold_speed_and_memory(stopped: Path) -> None:
    for line in lines(stopped, "throughput"):
        sample = ThroughputSample.from_mapping(line)
        assert sample.tokens_per_sec > 0
        assert sample.vram_used_gb is not None
        assert 0.01 < sample.vram_used_gb < 2


def test_a_stopped_run_is_paused_with_its_reason_and_last_step(stopped: Path) -> None:
    found = status(stopped)
    last = max(line["step"] for line in lines(stopped, "metrics"))
    assert found["status"] == "paused"
    assert "SIGTERM" in found["pause_reason"]
    assert found["current_step"] == last
    assert found["current_checkpoint_id"] == f"checkpoint-{last}"
    assert found["current_file"].endswith(".jsonl")
    assert 0 <= found["fixed_eval_em"] <= 1
    index = json.loads(RunDir(stopped).retention_index_file.read_text())
    assert index["checkpoints"][-1]["step"] == last
    assert len(index["snapshots"]) >= 1


def test_a_second_start_goes_on_from_the_last_step(stopped: Path) -> None:
    before = max(line["step"] for line in lines(stopped, "metrics"))
    assert train(stopped, "--total-steps", str(before + 5)) == (0, "")
    steps = [line["step"] for line in lines(stopped, "metrics") if "loss" in line]
    assert steps == list(range(1, before + 6))
    assert status(stopped)["status"] == "completed"
    assert lines(stopped, "metrics")[-1]["loss"] < lines(stopped, "metrics")[0]["loss"] / 2


def test_a_killed_trainer_leaves_nothing_that_keeps_the_next_one_out(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    with trainer(run_dir) as process:
        wait_until(lambda: len(lines(run_dir, "metrics")) > 3, 60, "a few steps")
        process.kill()
    assert train(run_dir, "--total-steps", "3") == (0, "")
    assert status(run_dir)["status"] == "completed"


def test_a_second_trainer_on_one_directory_is_refused(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    with trainer(run_dir) as first:
        wait_until(RunDir(run_dir).status_file.exists, 60, "the first trainer's status")
        with trainer(run_dir) as second:
            told, _ = second.communicate(timeout=60)
            assert second.returncode == 2
        assert f"process {first.pid}" in told
        assert "--run-dir" in told
        assert first.poll() is None
        assert status(run_dir)["pid"] == first.pid


def test_fresh_begins_again_at_the_first_step(tmp_path: Path) -> None:
    assert train(tmp_path, "--total-steps", "3") == (0, "")
    assert train(tmp_path, "--total-steps", "2", "--fresh") == (0, "")
    assert [line["step"] for line in lines(tmp_path, "metrics")] == [1, 2]


def test_a_directory_that_is_not_the_demos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    code, told = train(tmp_path, "--fresh")
    assert code == 2
    assert str(tmp_path) in told
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_time_it_was_given_ends_a_run(tmp_path: Path) -> None:
    assert train(tmp_path, "--minutes", "0.01") == (0, "")
    assert "0.01 minutes" in status(tmp_path)["pause_reason"]


def test_the_minimal_integration_fits_its_line(tmp_path: Path) -> None:
    slope, intercept = minimal(str(tmp_path), pause_s=0)
    assert (slope, intercept) == pytest.approx((3, 1), abs=0.05)
    assert status(tmp_path)["status"] == "completed"
    previews = [PreviewRecord.from_mapping(line) for line in lines(tmp_path, "preview")]
    assert [previews[0].exact_match, previews[-1].exact_match] == [False, True]
