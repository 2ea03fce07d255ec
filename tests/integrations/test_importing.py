"""Runs that TensorBoard's writer, trackio and TRL really wrote are imported as they were."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from control_room import MetricPoint, PreviewRecord, RunDir
from control_room.__main__ import main
from control_room.recording.records import parse_line
from tests.integrations.tiny import make_model, make_tokenizer

STEPS = range(1, 11)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "run")


def imported(run: RunDir, *arguments: str | Path) -> int:
    return main(["import", *map(str, arguments), "--run-dir", str(run.path)])


def points(run: RunDir) -> list[MetricPoint]:
    return [
        parse_line(MetricPoint, line)
        for log in sorted(run.logs("metrics").glob("*"))
        for line in log.read_bytes().splitlines()
    ]


class TestTensorBoard:
    def write(self, directory: Path) -> None:
        tensorboard = pytest.importorskip("torch.utils.tensorboard")
        writer = tensorboard.SummaryWriter(str(directory))
        for step in STEPS:
            writer.add_scalar("train/loss", 1 / step, step)
            writer.add_scalar("train/learning_rate", 0.001, step)
            writer.add_scalar("gpu/temperature", 60, step)
        writer.add_scalar("eval/loss", 0.5, 10)
        writer.add_scalar("train/grad_norm", 2.0, 10, new_style=True)
        writer.add_text("answer", "forty-two", 10)
        writer.close()

    def test_scalars_become_metric_points(
        self, run: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.write(tmp_path / "tb")
        assert imported(run, tmp_path / "tb") == 0
        found = points(run)
        assert [each.step for each in found] == list(STEPS)
        assert [each.loss for each in found] == pytest.approx([1 / step for step in STEPS])
        assert (found[-1].val_loss, found[-1].grad_norm) == (0.5, 2.0)
        told = capsys.readouterr().out
        assert "gpu/temperature (10)" in told
        assert "answer/text_summary (1)" in told
        assert imported(run, tmp_path / "tb") == 0
        assert len(points(run)) == len(STEPS)

    def test_a_torn_end_costs_only_itself(self, run: RunDir, tmp_path: Path) -> None:
        self.write(tmp_path / "tb")
        (file,) = (tmp_path / "tb").iterdir()
        file.write_bytes(file.read_bytes()[:-300])
        assert imported(run, file) == 0
        assert len(points(run)) >= 8

    def test_what_is_no_event_file_brings_nothing(self, run: RunDir, tmp_path: Path) -> None:
        file = tmp_path / "events.out.tfevents.1"
        file.write_bytes(b"nothing of the kind, but long enough to be read as a record")
        assert imported(run, file) == 1

    def test_two_runs_are_not_mixed(self, run: RunDir, tmp_path: Path) -> None:
        self.write(tmp_path / "tb" / "a")
        self.write(tmp_path / "tb" / "b")
        assert imported(run, tmp_path / "tb") == 1
        assert len(points(run)) == len(STEPS)


_TRACKIO = """
import trackio
for name in {names!r}:
    trackio.init(project="sums", name=name, config={{"lr": 0.1}})
    for step in range(1, 11):
        trackio.log({{"train/loss": 1 / step, "note": "x"}}, step=step)
    trackio.finish()
"""


class TestTrackio:
    @pytest.fixture
    def project(self, tmp_path: Path) -> Path:
        pytest.importorskip("trackio")
        return tmp_path / "trackio" / "sums.db"

    def write(self, project: Path, *names: str) -> None:
        subprocess.run(
            [sys.executable, "-c", _TRACKIO.format(names=names)],
            env={**os.environ, "TRACKIO_DIR": str(project.parent), "HF_HUB_OFFLINE": "1"},
            check=True,
            timeout=120,
            capture_output=True,
        )

    def test_a_run_is_read_by_its_own_command(
        self, run: RunDir, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.write(project, "first")
        assert imported(run, project) == 0
        assert [(each.step, each.loss) for each in points(run)] == [
            (step, 1 / step) for step in STEPS
        ]
        assert "note (10)" in capsys.readouterr().out

    def test_of_several_runs_one_is_chosen(
        self, run: RunDir, project: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.write(project, "first", "second")
        assert imported(run, project) == 1
        assert "There are: first, second." in capsys.readouterr().err
        assert imported(run, project, "--run", "second") == 0
        assert len(points(run)) == len(STEPS)

    def test_another_database_is_refused(self, run: RunDir, project: Path) -> None:
        project.parent.mkdir()
        project.write_bytes(b"no database")
        assert imported(run, project) == 1


def _length(completions: list[str], **kwargs: Any) -> list[float]:
    return [float(len(each) % 2) for each in completions]


def test_completions_that_trl_logs_become_previews(run: RunDir, tmp_path: Path) -> None:
    trl = pytest.importorskip("trl")
    datasets = pytest.importorskip("datasets")
    tokenizer = make_tokenizer()
    trainer = trl.GRPOTrainer(
        model=make_model(tokenizer),
        reward_funcs=_length,
        args=trl.GRPOConfig(
            output_dir=str(tmp_path / "out"),
            max_steps=2,
            per_device_train_batch_size=2,
            num_generations=2,
            max_completion_length=8,
            logging_steps=1,
            log_completions=True,
            save_strategy="no",
            use_cpu=True,
            bf16=False,
            report_to=[],
        ),
        train_dataset=datasets.Dataset.from_dict({"prompt": ["what is 2 + 2?"] * 8}),
        processing_class=tokenizer,
    )
    trainer.train()
    assert imported(run, tmp_path / "out", "--right-when", "_length>=1") == 0
    (log,) = run.logs("preview").iterdir()
    found = [parse_line(PreviewRecord, line) for line in log.read_bytes().splitlines()]
    assert [each.step for each in found] == [1, 1, 2, 2]
    assert {each.prompt for each in found} == {"what is 2 + 2?"}
    assert [each.exact_match for each in found] == [
        len(each.model_answer) % 2 == 1 for each in found
    ]
