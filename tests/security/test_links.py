"""A run directory is data: no link in it leads anything that reads, packs or deletes out of it.

Hard links cannot be told from the files that they are, and are none of this.
"""

from __future__ import annotations

import errno
import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.settings import Settings, load_settings
from app.watch.machine_history import MachineHistory
from app.watch.run_exact_match import RunEms
from app.watch.run_table import run_summary
from collectors.files.evals import EvalWatch
from collectors.files.links import LinkWatch
from collectors.files.notes import NoteWatch
from collectors.files.preview_runner import RunnerWatch
from collectors.files.previews import PreviewWatch
from collectors.files.queues import read_queues
from collectors.files.snapshots import SnapshotWatch
from collectors.files.training import TrainingWatch
from control_room import Recorder, RunDir
from control_room.__main__ import main as command
from control_room.history.index import HistoryIndex, IndexFailed
from control_room.importing import ImportRefused, import_files
from control_room.logs.day_parts import day_files
from control_room.logs.patterns import PatternRules
from control_room.logs.retention import carry_out, left_alone, plan
from control_room.logs.step_limit import StepLimit
from control_room.previews.checkpoints import find_checkpoints
from control_room.previews.log import tally
from control_room.previews.request import request_round
from control_room.previews.state import RunnerState
from control_room.recording.notes import add_note
from control_room.rundir import LOG_KINDS, LogKind
from control_room.security.inside import Inside, LeadsOut
from tests.support import serving_app, wait_until

CANARY = "canary-b3e1"
NOW = datetime.now(UTC)
OLD_DAY = NOW.date() - timedelta(days=10)  # to be packed
OLDER_DAY = NOW.date() - timedelta(days=40)  # to be deleted

PREVIEW = {"step": 3, "prompt": CANARY, "golden": CANARY, "model_answer": CANARY}


def line(**fields: object) -> bytes:
    return json.dumps({"ts": NOW.isoformat(), **PREVIEW, **fields}).encode() + b"\n"


def lines(day: date, count: int = 50, **fields: object) -> bytes:
    noon = datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=12)
    return b"".join(line(ts=noon.isoformat(), step=step, **fields) for step in range(count))


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    (tmp_path / "run").mkdir()
    return RunDir(tmp_path / "run")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Somebody's own directory, that looks like one of logs."""
    directory = tmp_path / "outside"
    directory.mkdir()
    run = RunDir(tmp_path)
    for day in (NOW.date(), OLD_DAY, OLDER_DAY):
        (directory / run.log_file("preview", day).name).write_bytes(lines(day))
    return directory


def content(directory: Path) -> dict[str, tuple[bytes, int, int]]:
    """Everything below a directory, byte for byte, with inodes and times."""
    return {
        str(path.relative_to(directory)): (
            path.read_bytes(),
            path.stat().st_ino,
            path.stat().st_mtime_ns,
        )
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def history_of(run: RunDir) -> tuple[int, tuple[str, ...]]:
    """How many rows of any kind there are, and what could not be read."""
    with HistoryIndex(run) as index:
        problems: tuple[str, ...] = ()
        while (look := index.refresh()).more:
            pass
        problems = look.problems
        tables = ("previews", "throughput", "metrics", "evals", "rounds", "notes", "heads")
        counts = [
            index.cursor().execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]
            for table in tables
        ]
        return sum(counts), problems


def retain(run: RunDir, **limits: Any) -> list[str]:
    done = [carry_out(step) for step in plan(run, NOW.date(), **limits)]
    return [each.problem for each in done if each.problem is not None]


def to_each_file(run: RunDir, outside: Path) -> None:
    for file in outside.iterdir():
        link(run.logs("preview") / file.name, file)


def over_a_link_within(run: RunDir, outside: Path) -> None:
    link(run.path / "there", outside)
    link(run.logs("preview"), Path("../there"))


LINKS_TO_THE_LOGS: dict[str, Callable[[RunDir, Path], None]] = {
    "the directory of previews": lambda run, outside: link(run.logs("preview"), outside),
    "the directory of all logs": lambda run, outside: link(
        run.path / "logs", within(outside, "preview")
    ),
    "each file": to_each_file,
    "by a relative path": lambda run, outside: link(run.logs("preview"), Path("../../outside")),
    "over a link within the run": over_a_link_within,
}


def link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


def within(outside: Path, name: str) -> Path:
    """Have ``outside`` be what is called ``name`` in a directory that is outside as well."""
    above = outside.with_name("above")
    above.mkdir()
    link(above / name, outside)
    return above


@pytest.mark.parametrize("how", LINKS_TO_THE_LOGS)
def test_logs_behind_a_link_are_neither_shown_nor_packed_nor_deleted(
    run: RunDir, outside: Path, how: str
) -> None:
    LINKS_TO_THE_LOGS[how](run, outside)
    before = content(outside)
    assert history_of(run)[0] == 0
    assert PreviewWatch(run, PatternRules()).read().summary.latest is None
    assert RunEms().of(run.path) is None
    assert plan(run, NOW.date()) == []
    assert retain(run, compress_after_days=1, delete_after_days=2, form="parquet") == []
    assert content(outside) == before


@pytest.mark.parametrize("how", LINKS_TO_THE_LOGS)
def test_a_step_that_was_planned_before_the_link_touches_nothing_outside(
    run: RunDir, outside: Path, how: str
) -> None:
    for day in (OLD_DAY, OLDER_DAY):
        file = run.log_file("preview", day)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(lines(day))
    steps = plan(run, NOW.date())
    assert [step.action for step in steps] == ["delete", "compress"]
    for file in run.logs("preview").iterdir():
        file.unlink()
    run.logs("preview").rmdir()
    run.logs("preview").parent.rmdir()
    LINKS_TO_THE_LOGS[how](run, outside)
    before = content(outside)
    for step in steps:
        carry_out(step)
    assert content(outside) == before


def test_what_is_not_followed_is_named_with_what_to_do(run: RunDir, outside: Path) -> None:
    link(run.logs("preview"), outside)
    _, problems = history_of(run)
    for told in (*problems, *left_alone(run), *LinkWatch(run).read()):
        assert str(run.logs("preview")) in told
        assert str(outside) in told
        assert "follow_links of your own control_room.toml" in told
    assert problems and left_alone(run) and LinkWatch(run).read()


def test_every_link_that_leads_out_is_named_once(run: RunDir, outside: Path) -> None:
    secret = outside / "secret"
    secret.write_text(CANARY)
    link(run.path / "logs", outside)
    link(run.status_file, secret)
    link(run.queue("high"), outside)
    link(run.retention_index_file, secret)
    link(run.path / "within", Path("status"))
    told = LinkWatch(run).read()
    assert [text.partition(": ")[0] for text in told] == [
        str(path)
        for path in (
            run.path / "logs",
            run.retention_index_file,
            run.queue("high"),
            run.status_file,
        )
    ]


def test_very_many_links_are_not_all_named(run: RunDir, outside: Path) -> None:
    for number in range(1000):
        link(run.queue("high") / f"{number}.jsonl", outside / str(number))
    told = LinkWatch(run).read()
    assert len(told) == 11
    assert told[-1].startswith("More links")


def test_links_within_the_run_and_the_run_itself_being_one_are_followed(tmp_path: Path) -> None:
    real = RunDir(tmp_path / "runs" / "42")
    kept = real.path / "kept"
    kept.mkdir(parents=True)
    for day in (NOW.date(), OLD_DAY):
        (kept / real.log_file("preview", day).name).write_bytes(lines(day, 1))
    link(real.logs("preview"), Path("../kept"))
    link(real.status_file, real.path / "elsewhere.json")
    (real.path / "elsewhere.json").write_text('{"current_step": 7}')
    link(tmp_path / "latest", Path("runs/42"))
    run = RunDir(tmp_path / "latest")
    assert history_of(run) == (2, ())
    assert TrainingWatch(run).read(time.time()).current_step == 7
    assert LinkWatch(run).read() == ()
    assert retain(run) == []
    assert sorted(path.suffix for path in kept.iterdir()) == [".gz", ".jsonl"]
    assert history_of(run) == (2, ())


def test_directories_that_the_user_names_are_followed(run: RunDir, outside: Path) -> None:
    """As where the logs lie on a large disk."""
    link(run.logs("preview"), outside)
    trusting = RunDir(run.path, (outside,))
    assert history_of(trusting) == (150, ())
    assert LinkWatch(trusting).read() == ()
    assert retain(trusting) == []
    assert sorted(path.suffix for path in outside.iterdir()) == [".gz", ".jsonl"]


def test_a_directory_beside_one_that_is_named_is_not_followed(run: RunDir, outside: Path) -> None:
    link(run.logs("preview"), outside)
    for named in (outside / "deeper", outside.with_name("out"), outside.with_name("outside2")):
        assert history_of(RunDir(run.path, (named,)))[0] == 0


def test_the_settings_name_such_directories(run: RunDir, outside: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "control_room.toml").write_text(
        f'run_dir = "{run.path}"\nfollow_links = ["{outside}"]\n'
    )
    assert load_settings(working_dir=own).run == RunDir(run.path, (outside,))
    assert Settings(run_dir=run.path).run == RunDir(run.path)


def test_the_command_says_what_it_left_and_may_be_told_otherwise(
    run: RunDir, outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link(run.logs("preview"), outside)
    before = content(outside)
    assert command(["retain", "--run-dir", str(run.path)]) == 1
    assert "was left as it is: a link leads out" in capsys.readouterr().err
    assert content(outside) == before
    command(["retain", "--run-dir", str(run.path), "--follow-links", str(outside)])
    assert len(content(outside)) == 2  # one was deleted, and one packed


def test_a_trainer_writes_where_its_own_links_lead(run: RunDir, outside: Path) -> None:
    link(run.logs("metrics"), outside)
    with Recorder(run.path) as recorder:
        recorder.log_metrics(step=1, loss=1.0)
    assert (outside / run.log_file("metrics", date.today()).name).exists()  # noqa: DTZ011  # local


# Each reads one thing of the run, and returns all that it makes of it.
READERS: dict[str, Callable[[RunDir], object]] = {
    "status": lambda run: TrainingWatch(run).read(time.time()),
    "evals": lambda run: EvalWatch(run).read(),
    "notes": lambda run: NoteWatch(run).read(),
    "previews": lambda run: PreviewWatch(run, PatternRules()).read(),
    "runner": lambda run: RunnerWatch(run).read(),
    "snapshots": lambda run: SnapshotWatch(run).read(),
    "queues": read_queues,
    "checkpoints": find_checkpoints,
    "several runs": lambda run: run_summary("run", run.path),
    "several runs, EM": lambda run: RunEms().of(run.path),
    "step limit": lambda run: StepLimit(run).look(),
    "days": lambda run: [list(day_files(run, kind)) for kind in LOG_KINDS if readable(run, kind)],
    "rounds": lambda run: tally(run, CANARY) if readable(run, "preview") else None,
    "history": history_of,
}


def readable(run: RunDir, kind: LogKind) -> bool:
    try:
        any(day_files(run, kind))
    except OSError:
        return False
    return True


def files_of(run: RunDir) -> list[Path]:
    """Of everything that is read from a run directory."""
    return [
        *(run.status_file, run.control_state_file, run.runner_state_file),
        *run.retention_index_files,
        *(run.log_file(kind, NOW.date()) for kind in LOG_KINDS),
        run.inference_logs / "inference_20260101.log",
        run.queue("high") / "data.jsonl",
        run.queue("processing") / "data.jsonl",
    ]


SECRET = {
    **PREVIEW,
    **{"ts": NOW.isoformat(), "status": "training", "current_step": 424242, "total_steps": 999999},
    **{
        "model_name": CANARY,
        "reason": CANARY,
        "paused": True,
        "updated_at": 1.0,
        "last_error": CANARY,
    },
    **{
        "text": CANARY,
        "kind": "fixed",
        "em": 0.5,
        "loss": 0.5,
        "checkpoints": [{"name": CANARY, "step": 424242}],
    },
    **{"model_output": CANARY, "matches": True, "round_id": CANARY, "outcome": "completed"},
}


@pytest.mark.parametrize("reader", READERS)
def test_no_file_behind_a_link_is_read(run: RunDir, tmp_path: Path, reader: str) -> None:
    secret = tmp_path / "secret"
    secret.write_text(json.dumps(SECRET) + "\n")
    for file in files_of(run):
        link(file, secret)
    found = repr(READERS[reader](run)).replace(str(tmp_path), "")
    assert CANARY not in found
    assert "424242" not in found


def test_the_readers_do_read_such_a_file_where_it_is_the_runs_own(
    run: RunDir, tmp_path: Path
) -> None:
    """Or the test above would show nothing."""
    for file in files_of(run):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(SECRET) + "\n")
    for reader in ("status", "evals", "notes", "previews", "runner", "snapshots", "several runs"):
        found = repr(READERS[reader](run))
        assert CANARY in found or "424242" in found or "0.5" in found, reader


@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_regular_file_holds_nobody_up(run: RunDir, reader: str) -> None:
    for number, file in enumerate(files_of(run)):
        file.parent.mkdir(parents=True, exist_ok=True)
        if number % 2:
            os.mkfifo(file)
        else:
            file.mkdir()
    done = threading.Event()

    def read() -> None:
        READERS[reader](run)
        done.set()

    threading.Thread(target=read, daemon=True).start()
    wait_until(done.is_set, what=f"an answer of {reader}")


@pytest.mark.parametrize(
    "suffix", ["", ".wal", ".wal.checkpoint", ".wal.recovery", ".seal", ".tmp"]
)
@pytest.mark.parametrize("is_sealed", [False, True])
def test_no_pipe_in_the_cache_holds_up_the_history(
    run: RunDir, suffix: str, is_sealed: bool
) -> None:
    database = run.cache / "history.duckdb"
    run.cache.mkdir(exist_ok=True)
    if is_sealed:
        database.with_name(f"{database.name}.seal").write_text("0" * 64)
    pipe = database.with_name(database.name + suffix)
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    answered(lambda: _built(run, database))


def test_a_cache_that_is_all_hole_is_not_read_through(run: RunDir) -> None:
    database = run.cache / "history.duckdb"
    run.cache.mkdir(exist_ok=True)
    database.with_name(f"{database.name}.seal").write_text("0" * 64)
    with database.open("wb") as file:
        file.truncate(2**42)
    answered(lambda: _built(run, database))
    assert database.stat().st_size < 2**30


def _built(run: RunDir, database: Path) -> None:
    with suppress(OSError, IndexFailed), HistoryIndex(run, database=database) as index:
        index.refresh()


@pytest.mark.parametrize("suffix", ["", "-journal", "-wal", "-shm"])
def test_no_pipe_in_the_cache_holds_up_the_machines(run: RunDir, suffix: str) -> None:
    machines(run)
    file = run.cache / f"machines.sqlite{suffix}"
    file.unlink(missing_ok=True)
    os.mkfifo(file)
    answered(lambda: machines(run))


def answered(ask: Callable[[], object]) -> None:
    """Wait for it, in a thread of its own: what hangs must not hang the tests."""
    done = threading.Event()

    def run() -> None:
        ask()
        done.set()

    threading.Thread(target=run, daemon=True).start()
    wait_until(done.is_set, what="an answer")


def machines(run: RunDir) -> None:
    history = MachineHistory(run.cache, ready=lambda: True, inside=run.inside)
    history.close()


# Each writes one thing into the run.
WRITERS: dict[str, Callable[[RunDir], object]] = {
    "a note": lambda run: add_note(run, CANARY),
    "a request": request_round,
    "the runner's state": lambda run: RunnerState(run).write(),
    "the runner's log": lambda run: Recorder(run, stay_inside=True).note(CANARY),
    "an import": lambda run: list(import_files([csv(run)], run)),
    "the history": lambda run: HistoryIndex(run, database=run.cache / "history.duckdb").close(),
    "the machines": machines,
}


def csv(run: RunDir) -> Path:
    file = run.path.parent / "points.csv"
    file.write_text("step,loss\n1,0.5\n")
    return file


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("at", ["directories", "files"])
def test_nothing_outside_is_written_to(
    run: RunDir, outside: Path, writer: str, at: str, recwarn: pytest.WarningsRecorder
) -> None:
    today = datetime.now().astimezone().date()
    imported = datetime.fromtimestamp(csv(run).stat().st_mtime).astimezone().date()
    files = [
        *(run.log_file("note", today), run.log_file("metrics", imported), run.runner_state_file),
        *(run.round_request_file, run.cache / "history.duckdb", run.cache / "history.duckdb.seal"),
        *(run.cache / "history.duckdb.wal", run.cache / "machines.sqlite"),
    ]
    for number, file in enumerate(files):
        mine = outside / f"mine-{number}"
        mine.write_text(f"precious {number}\n")
        if at == "files":
            link(file, mine)
        elif not os.path.lexists(file.parent):
            link(file.parent, outside)
    before = content(outside)
    try:
        WRITERS[writer](run)
    except OSError as error:
        assert error.errno == errno.ELOOP
    assert content(outside) == before


def test_the_files_of_an_import_are_not_followed_out_of_its_directory(
    run: RunDir, tmp_path: Path
) -> None:
    source = tmp_path / "completions"
    source.mkdir()
    (source / "own.csv").write_text("step,loss\n1,0.5\n")
    link(source / "stolen.csv", csv(run))
    outcomes = list(import_files([source], run))
    (refused,) = [each for each in outcomes if isinstance(each, ImportRefused)]
    assert "stolen.csv" in str(refused)
    assert len(outcomes) == 2


def test_a_link_that_is_swapped_meanwhile_leads_nowhere(run: RunDir, outside: Path) -> None:
    """The directory of logs is now a directory, now a link to somebody's own files."""
    before = content(outside)
    logs, own = run.logs("preview"), run.path / "own"
    own.mkdir()
    logs.parent.mkdir()
    days = [NOW.date() - timedelta(days=age) for age in range(8, 60)]
    for day in days:
        (outside / run.log_file("preview", day).name).write_bytes(lines(day, 20))
    before = content(outside)
    stop = threading.Event()

    def swap() -> None:
        for number in range(20_000):
            if stop.is_set():
                return
            new = run.path / "new"
            new.symlink_to(outside if number % 2 else own)
            new.rename(logs)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        for _ in range(30):
            for day in days:
                (own / run.log_file("preview", day).name).write_bytes(lines(day, 20, prompt="own"))
            retain(run)
            assert content(outside) == before
    finally:
        stop.set()
        swapping.join()
    assert content(outside) == before


def test_a_file_that_is_swapped_for_a_link_meanwhile_is_not_read(
    run: RunDir, tmp_path: Path
) -> None:
    secret, own, status = tmp_path / "secret", run.path / "own", run.status_file
    secret.write_text(json.dumps({"model_name": CANARY}))
    own.write_text(json.dumps({"model_name": "mine"}))
    status.parent.mkdir()
    stop = threading.Event()

    def swap() -> None:
        for number in range(50_000):
            if stop.is_set():
                return
            new = run.path / "new"
            new.symlink_to(secret if number % 2 else own)
            new.rename(status)

    swapping = threading.Thread(target=swap)
    swapping.start()
    read: set[bytes | None] = set()
    try:
        for _ in range(3000):
            try:
                read.add(run.inside.read(status))
            except OSError:
                read.add(None)
    finally:
        stop.set()
        swapping.join()
    assert read <= {own.read_bytes(), None}


def test_links_that_go_in_a_circle_are_an_error(run: RunDir) -> None:
    link(run.path / "a", Path("b"))
    link(run.path / "b", Path("a"))
    (run.path / "logs").mkdir()
    with pytest.raises(OSError, match="links"):
        Inside(run.path).open(run.path / "a")
    with pytest.raises(LeadsOut):
        Inside(run.path).open(run.path / "logs" / ".." / ".." / "x")


def test_the_app_shows_nothing_from_outside_and_says_so(
    run: RunDir, outside: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text(json.dumps({**SECRET, "model_name": CANARY}))
    link(run.status_file, secret)
    link(run.logs("preview"), outside)
    link(run.queue("high"), outside)
    before = content(outside)
    with serving_app(run.path, tmp_path / "log", "--set", "retention.enabled=true") as address:

        def told() -> str:
            with urllib.request.urlopen(f"{address}/api/status/system", timeout=10) as answer:
                return str(json.load(answer)["problems"])

        wait_until(lambda: "follow_links" in told(), what="the links on the System page")
        paths = [*(f"/api/status/{name}" for name in ("live", "preview", "evals", "system"))]
        paths += ["/api/previews", "/health", "/metrics", "/status/training_status.json"]
        for path in paths:
            try:
                with urllib.request.urlopen(f"{address}{path}", timeout=30) as answer:
                    body = answer.read().decode()
            except urllib.error.HTTPError as error:
                body = error.read().decode()
            assert CANARY not in body, path
    assert content(outside) == before
