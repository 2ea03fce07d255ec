"""Millions of lines that cannot be read cost little memory, and hide none that can."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from control_room.logs.rejects import MOST_OF_A_FILE, Rejects
from control_room.logs.step_limit import BEYOND
from control_room.logs.tail import Reject
from tests.support import PATIENCE_S, ROOT

BAD = 500_000
MOST_GROWN_MB = 150
DAY = "preview_history_2026-03-01.jsonl"
GOOD = json.dumps(
    {"ts": "2026-03-01T00:00:00Z", "step": 1, "prompt": "p", "golden": "g", "model_answer": "a"}
)
READ = """
import json, resource, sys
from pathlib import Path
from control_room import RunDir
from control_room.history.index import HistoryIndex
from control_room.history.queries import reject_counts

def peak_mb():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024

resource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))
with HistoryIndex(RunDir(Path(sys.argv[1])), memory_limit_mb=64) as index:
    before = peak_mb()
    while index.refresh().more:
        pass
    cursor = index.cursor()
    ((rows,),) = cursor.execute("SELECT count(*) FROM previews").fetchall()
    ((kept,),) = cursor.execute("SELECT count(*) FROM rejects").fetchall()
    ((file, count, newest, reason),) = reject_counts(cursor)
print(json.dumps([peak_mb() - before, rows, kept, file, count, newest]))
"""


@pytest.mark.parametrize("packed", [False, True], ids=["as it is written", "packed"])
def test_half_a_million_of_them(tmp_path: Path, packed: bool) -> None:
    logs = tmp_path / "run" / "logs" / "preview"
    logs.mkdir(parents=True)
    content = GOOD.encode() + b"\n" + b"{\n" * BAD + GOOD.replace(": 1,", ": 2,").encode() + b"\n"
    if packed:
        (logs / f"{DAY}.gz").write_bytes(gzip.compress(content))
    else:
        (logs / DAY).write_bytes(content)
    told = subprocess.check_output(
        [sys.executable, "-c", READ, str(tmp_path / "run")], cwd=ROOT, timeout=10 * PATIENCE_S
    )
    grown_mb, rows, kept, file, count, newest = json.loads(told)
    assert (rows, file, count, newest) == (2, DAY, BAD, BAD + 1)
    assert kept < 100 * MOST_OF_A_FILE
    assert grown_mb < MOST_GROWN_MB


def test_the_first_of_a_file_are_named_and_the_others_counted() -> None:
    file = Path("f")
    rejects = Rejects(Reject(file, number, f"r{number}") for number in range(1, 2_001))
    assert rejects.lines == 2_000
    *named, others = rejects.listed()
    assert [each.line_number for each in named] == list(range(1, MOST_OF_A_FILE + 1))
    assert others == Reject(file, 2_000, "r2000", 1_000)


def test_steps_beyond_the_limit_are_counted_apart_as_it_may_change() -> None:
    file = Path("f")
    rejects = Rejects(Reject(file, number, "no JSON") for number in range(2_000))
    rejects.add(Reject(file, 9_999, f"step 5 is more than 10 {BEYOND}"))
    assert [each.line_number for each in rejects.listed()].count(9_999) == 1


def test_those_that_stand_for_several_are_added_up() -> None:
    file = Path("f")
    parts = [Reject(file, 10, "a", 500), Reject(file, 20, "b", 700)]
    assert Rejects(parts).listed() == [Reject(file, 20, "b", 1_200)]
