"""Thousands of small logs fit into the memory that is set, and a look at them costs no more.

How long 20,000 take is measured by ``python -m bench files``.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from collectors.files.previews import PreviewWatch
from control_room import RunDir
from control_room.history.index import HistoryIndex
from control_room.logs.file_identity import AT_ONCE
from control_room.logs.patterns import PatternRules
from tests.support import ROOT, wait_until

FILES = 3_000
MEMORY_MB = 64  # of the index; 512 by default
MOST_MB = 600  # of the process with all its libraries


def line(step: int, ts: datetime) -> bytes:
    told = {"ts": ts.isoformat(), "step": step, "prompt": "p", "golden": "g", "model_answer": "a"}
    return json.dumps(told).encode() + b"\n"


def a_day_each(directory: Path, count: int) -> None:
    for number in range(count):
        day = date(1990, 1, 1) + timedelta(days=number)
        path = directory / f"preview_history_{day}.jsonl"
        path.write_bytes(line(number, datetime.combine(day, datetime.min.time(), UTC)))


def parts_of_a_day(directory: Path, count: int) -> None:
    for number in range(1, count + 1):
        part = "" if number == 1 else f".part{number}"
        path = directory / f"preview_history_2026-01-01{part}.jsonl"
        path.write_bytes(line(number, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)))


def packed_days(directory: Path, count: int) -> None:
    a_day_each(directory, count)
    for path in list(directory.iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 1))
        path.unlink()


def of_another_trainer(directory: Path, count: int) -> None:
    """Inference logs, as the daemon trainer writes them."""
    directory.rmdir()
    logs = RunDir(directory.parents[1]).inference_logs
    logs.mkdir(parents=True)
    for number in range(count):
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
        told = {"ts": at.isoformat(), "step": number, "prompt": "p", "golden": "g"}
        path = logs / f"inference_{number:08}.log"
        path.write_text(json.dumps(told | {"model_output": "a", "matches": True}) + "\n")


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "run")
    run.logs("preview").mkdir(parents=True)
    return run


_INDEX = """
import sys
from pathlib import Path
from control_room import RunDir
from control_room.history.index import HistoryIndex
run = RunDir(Path(sys.argv[1]))
index = HistoryIndex(run, database=run.cache / "history.duckdb", memory_limit_mb=int(sys.argv[2]))
while index.refresh().more:
    pass
print(*index.cursor().execute("SELECT count(*), count(DISTINCT file) FROM previews").fetchall()[0])
# Not ru_maxrss, which knows of the process that this one was forked from.
status = Path("/proc/self/status").read_text().splitlines()
print(next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) // 1024)
"""


@pytest.mark.parametrize(
    "kind", [a_day_each, parts_of_a_day, packed_days, of_another_trainer], ids=lambda f: f.__name__
)
def test_many_small_files_fit_into_little_memory(
    run: RunDir, kind: Callable[[Path, int], None]
) -> None:
    kind(run.logs("preview"), FILES)
    told = subprocess.run(
        [sys.executable, "-c", _INDEX, str(run.path), str(MEMORY_MB)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    rows, files, most_mb = map(int, told.stdout.split())
    assert (rows, files) == (FILES, FILES)
    assert most_mb < MOST_MB


def test_a_look_at_many_files_asks_for_few_of_them(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_day_each(run.logs("preview"), FILES)
    watch = PreviewWatch(run, PatternRules())
    with HistoryIndex(run) as index:
        while index.refresh().more:
            pass
        watch.read()
        asked = 0
        stat = Path.stat

        def counted(path: Path, *, follow_symlinks: bool = True) -> object:
            nonlocal asked
            asked += 1
            return stat(path, follow_symlinks=follow_symlinks)

        monkeypatch.setattr(Path, "stat", counted)
        for look in (index.refresh, watch.read):
            asked = 0
            look()
            assert 0 < asked < AT_ONCE + 100


def test_what_is_appended_to_any_of_them_is_found(run: RunDir) -> None:
    a_day_each(run.logs("preview"), FILES)
    paths = sorted(run.logs("preview").iterdir())
    with HistoryIndex(run) as index:
        while index.refresh().more:
            pass

        def is_found(added: int) -> bool:
            index.refresh()
            (found,) = index.cursor().execute("SELECT count(*) FROM previews").fetchall()
            return bool(found == (FILES + added,))

        for added, path in enumerate([paths[-1], paths[0], paths[FILES // 2]], start=1):
            with path.open("ab") as file:
                file.write(line(0, datetime.now(UTC)))
            wait_until(partial(is_found, added), what=f"the line in {path}")


def test_the_live_view_is_not_held_up(run: RunDir) -> None:
    a_day_each(run.logs("preview"), FILES)
    began = time.process_time()
    assert PreviewWatch(run, PatternRules()).read().summary.latest is not None
    assert time.process_time() - began < 5


def test_very_many_that_cannot_be_read_are_told_in_few_words(run: RunDir) -> None:
    for number in range(200):
        day = date(2026, 1, 1) + timedelta(days=number)
        (run.logs("preview") / f"preview_history_{day}.jsonl").mkdir()
    with HistoryIndex(run) as index:
        problems = index.refresh().problems
    assert len(problems) == 11
    assert problems[-1] == "190 more files cannot be read."


def test_days_that_are_gone_are_forgotten_together(run: RunDir) -> None:
    a_day_each(run.logs("preview"), FILES)
    with HistoryIndex(run) as index:
        while index.refresh().more:
            pass
        for path in run.logs("preview").iterdir():
            path.unlink()
        began = time.process_time()
        index.refresh()
        assert index.cursor().execute("SELECT count(*) FROM previews").fetchall() == [(0,)]
        assert time.process_time() - began < 10
