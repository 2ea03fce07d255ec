"""The eval log as it grows."""

from __future__ import annotations

from pathlib import Path

import pytest

from collectors.files.evals import EvalWatch
from control_room import Recorder, RunDir


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "run")


def test_a_run_without_evaluations_has_none(run: RunDir) -> None:
    reading = EvalWatch(run).read()
    assert (reading.fixed, reading.domains, reading.micro) == ((), {}, None)
    assert not run.path.exists()


def test_each_kind_is_told_apart_and_the_newest_counts(run: RunDir) -> None:
    watch = EvalWatch(run)
    with Recorder(run) as recorder:
        recorder.log_eval(step=1, kind="fixed", em=0.1)
        recorder.log_eval(step=1, kind="fixed", domain="add", em=0.2)
        recorder.log_eval(step=1, kind="micro", loss=3.0)
        watch.read()
        recorder.log_eval(step=2, kind="fixed", em=0.3)
        recorder.log_eval(step=2, kind="fixed", domain="add", em=0.4)
        recorder.log_eval(step=2, kind="micro", loss=2.0)
        recorder.log_eval(step=2, kind="my own", em=0.9)
    reading = watch.read()
    assert [(record.step, record.em) for record in reading.fixed] == [(1, 0.1), (2, 0.3)]
    assert {name: record.em for name, record in reading.domains.items()} == {"add": 0.4}
    assert reading.micro is not None and reading.micro.loss == 2.0


def test_a_line_that_cannot_be_read_is_named_and_hides_nothing(run: RunDir) -> None:
    with Recorder(run) as recorder:
        recorder.log_eval(step=1, kind="fixed", em=0.1)
    (log,) = run.logs("eval").iterdir()
    with log.open("ab") as file:
        file.write(b'garbage\n{"ts":"2026-01-01T00:00:00Z","step":2,"kind":"fixed","em":7}\n')
    reading = EvalWatch(run).read()
    assert [record.step for record in reading.fixed] == [1]
    assert "2 lines cannot be read" in reading.problems[0]


def test_a_log_that_was_replaced_is_read_anew(run: RunDir) -> None:
    watch = EvalWatch(run)
    with Recorder(run) as recorder:
        recorder.log_eval(step=1, kind="fixed", em=0.1)
        recorder.log_eval(step=2, kind="fixed", em=0.2)
    watch.read()
    (log,) = run.logs("eval").iterdir()
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(lines[1])
    assert [record.step for record in watch.read().fixed] == [2]
