"""Metrics that others export as CSV become metric points."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from control_room import RunDir
from control_room.__main__ import main


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "run")


def imported(run: RunDir, text: str, tmp_path: Path, *arguments: str) -> int:
    path = tmp_path / "export.csv"
    path.write_text(text, encoding="utf-8")
    return main(["import", str(path), "--run-dir", str(run.path), *arguments])


def points(run: RunDir) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for log in sorted(run.logs("metrics").glob("*.jsonl"))
        for line in log.read_text().splitlines()
    ]


def test_a_history_of_weights_and_biases(
    run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        "_step,_timestamp,_runtime,train/loss,train/global_step,eval/loss,gpu.0.temp\n"
        "0,1764000000.5,1,2.5,10,,60\n1,1764000001,2,NaN,20,1.5,61\n"
    )
    assert imported(run, text, tmp_path) == 0
    first, second = points(run)
    assert (first["step"], first["loss"]) == (10, 2.5)
    assert first["ts"].startswith("2025-11-24T")
    assert (second["loss"], second["val_loss"]) == ("NaN", 1.5)
    assert "gpu.0.temp (2)" in capsys.readouterr().out
    assert imported(run, text, tmp_path) == 0
    assert len(points(run)) == 2


CHART = (
    '"Step","old - train/loss","old - train/loss__MIN","old - train/loss__MAX","new - train/loss"\n'
    '"1","2.5","2.5","2.5","2.0"\n"2","","","","1.5"\n'
)


def test_a_chart_of_several_runs_needs_to_be_told_which(
    run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported(run, CHART, tmp_path) == 1
    assert "choose one with --run. There are: new, old." in capsys.readouterr().err
    assert imported(run, CHART, tmp_path, "--run", "gone") == 1
    assert imported(run, CHART, tmp_path, "--run", "old") == 0
    assert [(each["step"], each["loss"]) for each in points(run)] == [(1, 2.5)]


def test_an_export_of_trackio(run: RunDir, tmp_path: Path) -> None:
    text = "step,timestamp,train_loss,lr\n3,2026-11-24T01:28:24.810759+00:00,0.5,0.1\n"
    assert imported(run, text, tmp_path) == 0
    (point,) = points(run)
    assert (point["step"], point["loss"], point["learning_rate"]) == (3, 0.5, 0.1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no column of steps"),
        ("loss\n1\n", "no column of steps"),
        ("step,loss\n1,0.5\nsoon,0.4\n", "line 3"),
        ("step,timestamp,loss\n1,yesterday,0.5\n", "line 2"),
        ("step,loss\n1e400,0.5\n", "line 2"),
    ],
)
def test_what_is_no_such_table_is_refused(
    run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    assert imported(run, text, tmp_path) == 1
    assert said in capsys.readouterr().err
    assert points(run) == []
