"""The example scripts do what their pages say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT

pytest.importorskip("transformers", reason="make test-integrations brings it")


def test_the_huggingface_script_records_a_run(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-m", "examples.huggingface", "--run-dir", str(run), "--steps", "20"]
    subprocess.run(command, cwd=ROOT, check=True, timeout=120, capture_output=True)
    status = json.loads((run / "status" / "training_status.json").read_text())
    assert (status["status"], status["current_step"]) == ("completed", 20)
    assert list((run / "logs" / "preview").glob("*.jsonl"))
