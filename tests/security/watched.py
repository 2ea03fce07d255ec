"""What watching a hostile machine brought and took, measured in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from tests.support import PATIENCE_S, ROOT

MOST_GROWN_MB = 30.0  # beyond what it takes to connect to a machine that is well


@dataclass(frozen=True)
class Watched:
    """``slowest_s``: of the reading that took longest."""

    states: list[str]
    message: str | None
    messages: list[str]  # of all readings, each once
    problems: list[str]
    gpus: int
    gpu_message: str | None
    reading: str
    grown_mb: float
    slowest_s: float


def watch(machine: dict[str, Any], *, seconds: float = 4.0, timeout_s: float = 2.0) -> Watched:
    """Look at the machine again and again for so long."""
    command = [sys.executable, "-m", "tests.security.one_watch"]
    command += [json.dumps({"name": "box", "role": "inference", **machine})]
    command += [str(seconds), str(timeout_s)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "MALLOC_ARENA_MAX": "2"},
        capture_output=True,
        check=False,
        text=True,
        timeout=seconds + 3 * PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return Watched(**json.loads(done.stdout))
