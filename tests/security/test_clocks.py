"""Clocks that are wrong, apart or set back, and files that are changed in place, are noticed."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.cards import preview as card
from app.settings import Settings
from app.views.build import Samples, assemble
from collectors.files.previews import PreviewWatch
from collectors.files.training import TrainingWatch
from collectors.sampler import Sample
from control_room import Recorder, RunDir
from control_room.history.index import HistoryIndex
from control_room.logs.patterns import PatternRules
from control_room.logs.retention import carry_out, plan

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "run")


def log(run: RunDir, day: str = "2026-01-01") -> Path:
    path = run.logs("preview") / f"preview_history_{day}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def line(step: int, ts: datetime = NOW, **fields: object) -> bytes:
    told = {"ts": ts.isoformat(), "step": step, "prompt": "p", "golden": "g", "model_answer": "a"}
    return json.dumps(told | fields).encode() + b"\n"


def append(path: Path, *lines: bytes) -> None:
    with path.open("ab") as file:
        file.write(b"".join(lines))


def newest(watch: PreviewWatch) -> int | None:
    latest = watch.read().summary.latest
    return None if latest is None else latest.step


def test_a_preview_that_is_stamped_an_hour_ahead_is_the_newest_until_the_next_one(
    run: RunDir,
) -> None:
    watch = PreviewWatch(run, PatternRules())
    append(log(run), line(1, NOW - SECOND), line(2, NOW + HOUR))
    assert newest(watch) == 2
    append(log(run), line(3, datetime.now(UTC)))
    assert newest(watch) == 3


def test_so_it_is_for_an_app_that_is_started_later(run: RunDir) -> None:
    append(log(run), line(1, NOW - 2 * SECOND), line(2, NOW + HOUR), line(3, NOW - SECOND))
    assert newest(PreviewWatch(run, PatternRules())) == 3


def test_of_two_machines_with_clocks_apart_the_one_that_answered_last_is_shown(
    run: RunDir,
) -> None:
    watch = PreviewWatch(run, PatternRules())
    for step in range(0, 20, 2):
        append(log(run), line(step, datetime.now(UTC)))
        assert newest(watch) == step
        append(log(run), line(step + 1, datetime.now(UTC) + HOUR))
        assert newest(watch) == step + 1
    assert newest(PreviewWatch(run, PatternRules())) == 19


def test_what_is_imported_is_old_and_is_not_the_newest(run: RunDir) -> None:
    watch = PreviewWatch(run, PatternRules())
    append(log(run), line(2, NOW))
    append(log(run), line(1, NOW - HOUR))
    assert newest(watch) == 2


def shown(watch: PreviewWatch, run: RunDir, now: datetime) -> Any:
    samples = Samples(previews=Sample(reading=watch.read(), read_at=now.timestamp()))
    return assemble(samples, Settings(run_dir=run.path), now=now.timestamp(), version=1).preview


def test_a_stamp_in_the_future_is_told_and_no_age_is_negative(run: RunDir) -> None:
    watch = PreviewWatch(run, PatternRules())
    append(log(run), line(1, datetime.now(UTC) + HOUR))
    view = shown(watch, run, datetime.now(UTC))
    assert view.age_s is None
    assert view.latest_preview.ahead_s == pytest.approx(3600, abs=60)
    html = card.outcome_html(view.latest_preview, view)
    assert "in the future: the clock of its machine is wrong" in html
    assert "ago" not in html
    assert "in the future" in card.detail_html(view.latest_preview)


def test_a_clock_that_is_seconds_ahead_is_no_news(run: RunDir) -> None:
    watch = PreviewWatch(run, PatternRules())
    now = datetime.now(UTC)
    append(log(run), line(1, now + 20 * SECOND))
    view = shown(watch, run, now)
    assert (view.age_s, view.latest_preview.ahead_s) == (0, None)


def write_status(run: RunDir, **fields: object) -> None:
    run.status_file.parent.mkdir(parents=True, exist_ok=True)
    new = run.status_file.with_suffix(".new")
    new.write_text(json.dumps(fields))
    new.replace(run.status_file)


@pytest.mark.parametrize("steps", [[5], [0, 1]], ids=["at once", "as it goes on"])
@pytest.mark.parametrize("app", ["runs", "is started later"])
def test_a_trainer_without_a_name_that_begins_at_a_lower_step_is_noticed(
    run: RunDir, steps: list[int], app: str
) -> None:
    with Recorder(run.path) as recorder:
        for step in range(990, 1001):
            recorder.log_metrics(step=step, loss=1.0)
            recorder.update_status(current_step=step, total_steps=2000)
    at = datetime.now(UTC).timestamp()
    watch = TrainingWatch(run)
    if app == "runs":
        assert watch.read(at).current_step == 1000
    elif len(steps) == 1:
        pytest.skip("one write alone may be older than the log")
    for number, step in enumerate(steps, 1):
        write_status(run, status="training", current_step=step, loss=3.0, timestamp=at + number)
        reading = watch.read(at + number)
    assert (reading.current_step, reading.loss) == (steps[-1], 3.0)


def followed(run: RunDir, database: Path) -> HistoryIndex:
    index = HistoryIndex(run, database=database)
    while index.refresh().more:
        pass
    return index


def steps(index: HistoryIndex) -> list[int]:
    while index.refresh().more:
        pass
    found = index.cursor().execute("SELECT step FROM previews ORDER BY step").fetchall()
    return [step for (step,) in found]


def keep_times(path: Path, change: Callable[[], object]) -> None:
    """Change a file and set its time of modification back, as an attacker or rsync does."""
    before = path.stat()
    change()
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def in_place(path: Path, content: bytes) -> None:
    with path.open("r+b") as file:
        file.write(content)
        file.truncate()


def replaced(path: Path, content: bytes) -> None:
    new = path.with_suffix(".tmp")
    new.write_bytes(content)
    new.replace(path)


@pytest.mark.parametrize("how", [in_place, replaced])
@pytest.mark.parametrize("when", ["while it is followed", "while nobody looks"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("times", ["new", "set back"])
def test_a_rewrite_of_the_same_size_is_noticed(
    run: RunDir,
    tmp_path: Path,
    how: Callable[[Path, bytes], None],
    when: str,
    packed: bool,
    times: str,
) -> None:
    path = log(run)
    old = [line(step, NOW + step * SECOND) for step in range(100, 200)]
    new = [*old[:50], line(999, NOW + 150 * SECOND), *old[51:]]  # the middle, with its ends kept
    if packed:
        path = path.with_name(f"{path.name}.gz")
        contents = [gzip.compress(b"".join(each), 0, mtime=0) for each in (old, new)]
    else:
        contents = [b"".join(each) for each in (old, new)]
    assert len(contents[0]) == len(contents[1])
    path.write_bytes(contents[0])
    os.utime(path.parent, (0, 0))  # nothing came or went lately
    index = followed(run, tmp_path / "index")
    assert steps(index) == list(range(100, 200))
    if when == "while nobody looks":
        index.close()
    if times == "new":
        how(path, contents[1])
    else:
        keep_times(path, lambda: how(path, contents[1]))
    if when == "while nobody looks":
        index = followed(run, tmp_path / "index")
    with index:
        assert steps(index) == sorted([*range(100, 150), *range(151, 200), 999])


@pytest.mark.parametrize("form", ["gzip", "parquet"])
@pytest.mark.parametrize("when", ["while it is followed", "while nobody looks"])
def test_an_archive_that_is_cut_in_place_is_noticed(
    run: RunDir, tmp_path: Path, form: Any, when: str
) -> None:
    path = log(run)
    append(path, *(line(step, NOW + step * SECOND, note="x" * step) for step in range(100)))
    for step in plan(run, datetime(2026, 1, 20, tzinfo=UTC).date(), form=form):
        assert carry_out(step).problem is None
    (packed,) = run.logs("preview").iterdir()
    os.utime(packed.parent, (0, 0))  # nothing came or went lately
    index = followed(run, tmp_path / "index")
    assert len(steps(index)) == 100
    if when == "while nobody looks":
        index.close()
    with packed.open("r+b") as file:
        file.truncate(packed.stat().st_size // 2)
    if when == "while nobody looks":
        index = followed(run, tmp_path / "index")
    with index:
        assert len(steps(index)) < 100
        (problem,) = index.refresh().problems
        assert f"{packed} is damaged" in problem


def test_a_file_that_was_only_touched_or_copied_is_not_read_again(
    run: RunDir, tmp_path: Path
) -> None:
    append(log(run), line(1))
    log(run, "2026-01-02").with_suffix(".jsonl.gz").write_bytes(gzip.compress(line(2)))
    index = followed(run, tmp_path / "index")
    for path in run.logs("preview").iterdir():
        path.chmod(0o600)
        os.utime(path)
    with index:
        assert index.refresh().added == 0
        assert steps(index) == [1, 2]


def test_a_plain_file_that_is_rewritten_beside_its_archive_is_noticed(
    run: RunDir, tmp_path: Path
) -> None:
    path = log(run)
    old, new = line(1) + line(2), line(1) + line(3)
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(old))
    path.write_bytes(old)
    with followed(run, tmp_path / "index") as index:
        assert steps(index) == [1, 2]
        in_place(path, new)
        assert steps(index) == [1, 2, 3]
