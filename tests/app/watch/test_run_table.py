"""What a run's row says: its EM and of what, and settings as a person writes them."""

from __future__ import annotations

import gzip
import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from app.charts import runs as charts
from app.watch.run_exact_match import RunEms
from app.watch.run_table import RunTable, outcomes, run_summary, setting_text
from control_room import Recorder, RunDir
from tests.support import wait_until


def log_previews(recorder: Recorder, right: int, wrong: int) -> None:
    for step in range(right + wrong):
        recorder.log_preview(
            step=step, prompt="p", golden="g", model_answer="a", exact_match=step < right
        )


def test_without_an_evaluation_em_is_that_of_the_newest_previews(tmp_path: Path) -> None:
    with Recorder(tmp_path / "run") as recorder:
        log_previews(recorder, right=3, wrong=1)
        recorder.log_preview(step=9, prompt="p", golden="g", model_answer="", error="refused")
        recorder.log_preview(
            step=9,
            prompt="p",
            golden="g",
            model_answer="g",
            exact_match=True,
            source_pool="samples",
        )
        recorder.log_eval(step=3, kind="micro", loss=1.0)
    found = RunEms().of(tmp_path / "run")
    assert found is not None
    assert (found.em, found.kind, found.said) == (0.75, "previews", "last 4 previews")
    summary = run_summary("run", tmp_path / "run", found)
    assert outcomes(summary)["EM, previews"] == 0.75


def test_an_evaluation_of_the_fixed_set_comes_first_and_the_newest_counts(tmp_path: Path) -> None:
    ems = RunEms()
    with Recorder(tmp_path / "run") as recorder:
        log_previews(recorder, right=1, wrong=1)
        assert ems.of(tmp_path / "run") is not None
        recorder.log_eval(step=1000, kind="fixed", em=0.25)
        recorder.log_eval(step=2000, kind="fixed", em=0.5)
        recorder.log_eval(step=2000, kind="fixed", domain="sums", em=0.9)
        recorder.log_eval(step=3000, kind="fixed", ce=1.0)
    found = ems.of(tmp_path / "run")
    assert found is not None
    assert (found.em, found.said) == (0.5, "fixed set, step 2,000")


def test_what_the_status_file_tells_comes_before_previews(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    run.status_file.parent.mkdir(parents=True)
    run.status_file.write_text('{"status": "training", "fixed_eval_em": 0.625}')
    summary = run_summary("run", run.path, RunEms().of(run.path))
    assert summary.em is not None
    assert (summary.em.em, summary.em.said) == (0.625, "fixed set, told in the status file")


def test_previews_in_packed_days_are_told_as_such(tmp_path: Path) -> None:
    with Recorder(tmp_path / "run") as recorder:
        log_previews(recorder, right=1, wrong=0)
    (day,) = (tmp_path / "run" / "logs" / "preview").glob("*.jsonl")
    day.with_name(f"{day.name}.gz").write_bytes(gzip.compress(day.read_bytes()))
    day.unlink()
    found = RunEms().of(tmp_path / "run")
    assert found is not None and found.em is None
    assert found.said == "in packed days, see Compare"
    assert "EM, previews" not in outcomes(run_summary("run", tmp_path / "run", found))


def test_a_run_with_neither_has_no_em(tmp_path: Path) -> None:
    assert RunEms().of(tmp_path) is None
    assert run_summary("run", tmp_path).em is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (3e-4, "0.0003"),
        (float(np.float32(3e-4)), "0.0003"),
        (str(Decimal("0.000300000000")), "0.0003"),
        ("0.000300000000", "0.0003"),
        ("12.5000", "12.5"),
        ("1.10", "1.10"),  # of a library, for all that is known
        ("3.14159265358979", "3.14159265358979"),
        (1e-5, "1e-05"),
        (0.1 + 0.2, "0.3"),
        (2_000_000.0, "2000000"),
        (8, "8"),
        (True, "True"),
        (math.inf, "inf"),
        ("adam", "adam"),
        (None, ""),
    ],
)
def test_a_setting_is_written_as_a_person_does(value: object, shown: str) -> None:
    assert setting_text(value) == shown


def test_settings_of_all_runs_have_axes_with_names_as_they_are(tmp_path: Path) -> None:
    summaries = []
    for name, model in (("a", "R&D <1>"), ("b", None)):
        with Recorder(tmp_path / name) as recorder:
            recorder.log_config({"model": model, "lr": "0.000300000000"})
            recorder.update_status(loss=1.0)
        summaries.append(run_summary(name, tmp_path / name))
    figure = charts.parallel(summaries, ["model", "lr"]).figure
    first, second = figure["data"]
    assert figure["layout"]["xaxis"]["ticktext"] == ["model", "lr", "Loss"]
    # As Plotly takes it: shown, it is R&D <1>.
    assert first["customdata"] == [["model", "R&amp;D &lt;1&gt;"], ["lr", "0.0003"], ["Loss", "1"]]
    assert second["customdata"][0] == ["model", "not told"]
    assert second["y"][1:] == [0.5, 0.5], "the same for all"


def test_the_files_are_read_once_for_all_viewers(tmp_path: Path) -> None:
    looks: list[None] = []

    def directories() -> dict[str, Path]:
        looks.append(None)
        return {"a": tmp_path / "a"}

    with Recorder(tmp_path / "a") as recorder:
        recorder.update_status(current_step=1)
    table = RunTable(directories, every_s=3600)
    assert not table.is_reading() and not looks, "nobody looks yet"
    for _ in range(20):
        (summary,) = table.summaries()
        assert summary.values["current_step"] == 1
    assert len(looks) == 1
    table.close()


def test_what_is_written_is_shown_while_somebody_looks(tmp_path: Path) -> None:
    table = RunTable(lambda: {"a": tmp_path / "a"}, every_s=0.01)

    def shown() -> object:
        (summary,) = table.summaries()
        return summary.values.get("current_step")

    with Recorder(tmp_path / "a") as recorder:
        recorder.update_status(current_step=1)
        wait_until(lambda: shown() == 1, what="the first step")
        recorder.update_status(current_step=2)
        wait_until(lambda: shown() == 2, what="the next step")
    table.close()


def test_reading_ends_when_nobody_looks_and_begins_again(tmp_path: Path) -> None:
    now = 1000.0
    table = RunTable(lambda: {"a": tmp_path / "a"}, every_s=0.01, clock=lambda: now)
    assert table.summaries()[0].problem == "no status file"
    now += 60
    wait_until(lambda: not table.is_reading(), what="the end of reading")
    with Recorder(tmp_path / "a") as recorder:
        recorder.update_status(current_step=5)
    now += 60
    assert table.summaries()[0].values["current_step"] == 5, "the first look is no old one"
    table.close()


def test_a_look_that_fails_does_not_end_the_later_ones(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fails = True

    def directories() -> dict[str, Path]:
        if fails:
            raise OSError("the disk is away")
        return {"a": tmp_path / "a"}

    table = RunTable(directories, every_s=0.01)
    assert table.summaries() == ()
    assert "the disk is away" in caplog.text
    fails = False
    wait_until(lambda: len(table.summaries()) == 1, what="the runs")
    table.close()
