"""All runs over the API: the table of the runs page, and its curves."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import get_args

import pytest

from app.api.runs import CurveName
from app.charts.runs import CURVES, EM
from app.watch.run_exact_match import RunEms
from app.watch.run_table import differing, run_summary
from app.watch.runs import Runs
from control_room.history.queries import metric_series
from tests.app.api.conftest import Analysed, watched


def test_every_run_is_a_row_the_main_one_first(analysed: Analysed) -> None:
    table = analysed.answer("/api/runs")
    path = analysed.monitor.settings.run_dir
    summary = run_summary("run", path, RunEms().of(path))
    assert [run["name"] for run in table["runs"]] == ["run", "other"]
    row = table["runs"][0]
    for name in ("current_step", "total_steps", "loss"):
        assert row[name] == summary.values[name]
    assert (row["status"], row["val_loss"], row["problem"]) == ("completed", None, None)
    assert row["exact_match"] == {"value": 0.6, "kind": "fixed set", "text": "fixed set, step 600"}
    assert row["config"] == {"seed": 0, "lr": 0.1, "model": "tiny"}
    assert datetime.fromisoformat(row["written_at"]).timestamp() == summary.written_at


def test_settings_in_which_runs_differ_are_named(analysed: Analysed) -> None:
    table = analysed.answer("/api/runs")
    summaries = [
        run_summary(name, path) for name, path in Runs(analysed.monitor).directories().items()
    ]
    assert table["differing_settings"] == differing(summaries) == ["seed"]
    one = analysed.answer("/api/runs?limit=1")
    assert (len(one["runs"]), one["total"], one["differing_settings"]) == (1, 2, [])


def test_a_status_that_cannot_be_read_is_a_problem_of_its_run(tmp_path: Path) -> None:
    for name, text in (("main", "{}"), ("broken", "{"), ("odd", '{"config": {"a": [1e999]}}')):
        (tmp_path / name / "status").mkdir(parents=True)
        (tmp_path / name / "status" / "training_status.json").write_text(text)
    with watched(tmp_path / "main", str(tmp_path / "*"), has_logs=False) as served:
        broken, odd = served.answer("/api/runs")["runs"][1:]
    assert (broken["name"], broken["status"]) == ("broken", None)
    assert "cannot be read" in broken["problem"]
    assert json.loads(json.dumps(odd["config"], allow_nan=False)).keys() == {"a"}


def test_a_setting_that_is_nested_without_end_keeps_no_run_from_being_told(tmp_path: Path) -> None:
    # As deep as can be read, which is too deep for what writes it elsewhere.
    for name, depth in (("main", 2), *((f"deep{depth}", depth) for depth in range(940, 1000, 5))):
        (tmp_path / name / "status").mkdir(parents=True)
        nested = "[" * depth + "]" * depth
        text = f'{{"status": "paused", "config": {{"seed": 1, "nested": {nested}}}}}'
        (tmp_path / name / "status" / "training_status.json").write_text(text)
    with watched(tmp_path / "main", str(tmp_path / "*"), has_logs=False) as served:
        table = served.answer("/api/runs")
    main, *deep = table["runs"]
    assert main["config"] == {"seed": 1, "nested": "[[]]"}
    read = [run for run in deep if run["problem"] is None]
    assert read
    assert all(run["config"] == {"seed": 1, "nested": "nested too deeply"} for run in read)


@pytest.mark.parametrize("run", ["run", "other"])
def test_the_curves_of_any_run(analysed: Analysed, run: str) -> None:
    curve = analysed.answer(f"/api/runs/curve?run={run}&curve=val_loss&points=4")
    series = metric_series(analysed.cursor(), "val_loss", points=4)  # both have the same
    assert [(point["step"], point["value"]) for point in curve["points"]] == list(series.points)
    assert (curve["run"], curve["curve"], curve["total"]) == (run, "val_loss", 6)


def test_exact_match_is_a_curve_too(analysed: Analysed) -> None:
    curve = analysed.answer("/api/runs/curve?curve=exact_match")
    assert [point["value"] for point in curve["points"]] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    assert (curve["run"], curve["total"]) == ("run", 6)
    assert analysed.answer("/api/runs/curve?curve=exact_match&points=2")["total"] == 6


def test_a_run_that_is_not_there_is_named(analysed: Analysed) -> None:
    answer = analysed.client.get("/api/runs/curve?run=../../etc")
    assert answer.status_code == 404
    assert "../../etc" in answer.json()["detail"]


def test_every_curve_of_the_runs_page_is_there() -> None:
    drawn = {"exact_match" if name == EM else name for name in CURVES}
    assert drawn == set(get_args(CurveName))
