"""The example scripts do what their pages say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from control_room import RunDir
from tests.integrations.readback import read_back
from tests.support import ROOT, free_port

pytest.importorskip("transformers", reason="make test-integrations brings it")


@pytest.mark.parametrize(
    ("name", "asks_model"),
    [
        ("huggingface", True),
        ("trl", True),
        ("accelerate", False),
        ("lightning", False),
        ("pytorch", False),
    ],
)
def test_a_script_records_a_run(tmp_path: Path, name: str, asks_model: bool) -> None:
    run = RunDir(tmp_path / "run")
    command = [sys.executable, "-m", f"examples.{name}", "--run-dir", str(run.path)]
    subprocess.run(
        [*command, "--steps", "20"], cwd=ROOT, check=True, timeout=180, capture_output=True
    )
    status = json.loads(run.status_file.read_text())
    assert (status["status"], status["current_step"]) == ("completed", 20)
    assert status["total_steps"] == 20
    ((logged,),) = read_back(run, "SELECT count(*) FROM metrics WHERE loss IS NOT NULL")
    assert logged == 20
    previews = read_back(run, "SELECT step, golden FROM previews")
    assert previews == ([(20, "4")] if asks_model else [])


@pytest.mark.parametrize("name", ["huggingface", "accelerate"])
def test_of_two_processes_one_records(tmp_path: Path, name: str) -> None:
    run = RunDir(tmp_path / "run")
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2"]
    launch += ["--master-port", str(free_port()), "-m", f"examples.{name}"]
    subprocess.run(
        [sys.executable, *launch, "--run-dir", str(run.path), "--steps", "6"],
        cwd=ROOT,
        check=True,
        timeout=180,
        capture_output=True,
    )
    steps = read_back(run, "SELECT step FROM metrics WHERE loss IS NOT NULL ORDER BY step")
    assert steps == [(step,) for step in range(1, 7)]
    assert json.loads(run.status_file.read_text())["status"] == "completed"
