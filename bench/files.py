"""Very many small logs: how long until the history is ready, in how much memory, and then idle."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from bench.rows import Row, at_most
from control_room.rundir import RunDir

COUNT = 20_000
LIMIT_S = 60.0
LIMIT_MB = 512.0

_MEASURED = """
import json, sys, time
from pathlib import Path
from control_room.history.index import HistoryIndex
from control_room.rundir import RunDir
run = RunDir(Path(sys.argv[1]))
began = time.perf_counter()
index = HistoryIndex(run, database=run.cache / "history.duckdb")
while index.refresh().more:
    pass
ready_s = time.perf_counter() - began
time.sleep(3)  # until nothing counts as new any more
index.refresh()
began = time.process_time()
for _ in range(50):
    index.refresh()
status = Path("/proc/self/status").read_text().splitlines()
print(json.dumps([
    ready_s, (time.process_time() - began) * 20,
    next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024,
]))
"""


def measure() -> list[Row]:
    """All figures of many files."""
    with tempfile.TemporaryDirectory(prefix="control-room-bench-") as name:
        run = RunDir(Path(name) / "run")
        _write(run)
        told = subprocess.run(
            [sys.executable, "-c", _MEASURED, str(run.path)],
            stdout=subprocess.PIPE,
            check=True,
        )
    ready_s, idle_ms, most_mb = json.loads(told.stdout.splitlines()[-1])  # after DuckDB's progress
    files = f"{COUNT:,} small files"
    return [
        at_most(f"{files}: history ready", ready_s, "s", LIMIT_S),
        at_most(f"{files}: memory of the process", most_mb, "MB", LIMIT_MB),
        at_most(f"{files}: a look with nothing new, of the processor", idle_ms, "ms", 50),
    ]


def _write(run: RunDir) -> None:
    """A file of two previews for each of as many days."""
    run.logs("preview").mkdir(parents=True)
    for number in range(COUNT):
        day = date(1971, 1, 1) + timedelta(days=number)
        ts = datetime.combine(day, datetime.min.time(), UTC).isoformat()
        told = {"ts": ts, "prompt": "p" * 50, "golden": "g" * 20, "model_answer": "a" * 20}
        lines = [json.dumps({**told, "step": 2 * number + each}) for each in range(2)]
        run.log_file("preview", day).write_text("\n".join(lines) + "\n")
