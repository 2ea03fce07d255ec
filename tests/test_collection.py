"""The tests themselves: every worker of a run must find the same ones under the same names."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support import ROOT


def collected(hash_seed: int) -> list[str]:
    """The ids of all tests, as a process of its own finds them."""
    arguments = ["--collect-only", "--quiet", "-p", "no:cacheprovider", "-p", "no:xdist"]
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    found = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=ROOT,
        env={**environment, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout[-2_000:] + found.stderr[-2_000:]
    return [line for line in found.stdout.splitlines() if line.startswith("tests/")]


def test_processes_that_start_at_other_times_and_hash_otherwise_find_the_same_tests() -> None:
    """xdist ends a run whose workers collect differently, at random on a busy machine."""
    first = collected(hash_seed=1)
    second = collected(hash_seed=2)  # seconds later: a time stamp in an id is another one
    assert len(first) > 1_000
    assert [pair for pair in zip(first, second, strict=True) if pair[0] != pair[1]] == []
