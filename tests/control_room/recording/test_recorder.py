"""What a Recorder promises: nothing lost, nothing torn, nothing raised into the training."""

from __future__ import annotations

import json
import math
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from control_room import MetricPoint, PreviewRecord, Recorder, RunDir
from control_room.recording.recorder_warning import RecorderWarning
from control_room.recording.records import parse_line
from tests.support import ROOT, wait_until

PREVIEW: dict[str, Any] = {"step": 7, "prompt": "p", "golden": "g", "model_answer": "a"}
DEADLINE_S = 60.0


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "my-run")


@pytest.fixture
def recorder(run_dir: RunDir) -> Iterator[Recorder]:
    """Strict, as tests want it: test_refused.py has what is refused without raising."""
    recorder = Recorder(run_dir, strict=True)
    yield recorder
    recorder.close()


class Clock:
    """A clock that the test sets."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def status_of(run_dir: RunDir) -> dict[str, Any]:
    status = json.loads(run_dir.status_file.read_bytes(), parse_constant=pytest.fail)
    assert isinstance(status, dict)
    return status


def metrics_of(run_dir: RunDir) -> tuple[list[MetricPoint], list[bytes]]:
    """The metric points of every day, and the lines that are none."""
    points, torn = [], []
    for path in sorted(run_dir.logs("metrics").glob("metrics_*.jsonl")):
        for line in path.read_bytes().split(b"\n"):
            if line:
                try:
                    points.append(parse_line(MetricPoint, line))
                except ValueError:
                    torn.append(line)
    return points, torn


def start(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    """A Python process of its own, that can be killed."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        bufsize=0,  # what was not read yet is left to communicate()
    )


def run(code: str, *arguments: object) -> Any:
    """What a Python process prints as JSON."""
    process = start(code, *arguments)
    output, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0
    return json.loads(output)


class TestLogging:
    def test_each_kind_goes_to_its_daily_file(self, run_dir: RunDir, recorder: Recorder) -> None:
        recorder.log_preview(**PREVIEW)
        recorder.log_throughput(step=7, tokens_per_sec=2450.0, vram_used_gb=20.1)
        recorder.log_metrics(step=7, loss=0.45)
        today = datetime.now().astimezone().date()
        for name in ("preview/preview_history", "throughput/throughput", "metrics/metrics"):
            line = json.loads((run_dir.path / "logs" / f"{name}_{today}.jsonl").read_bytes())
            assert (line["step"], line["run_id"]) == (7, "my-run")

    def test_takes_the_record_or_its_fields(self, run_dir: RunDir, recorder: Recorder) -> None:
        recorder.log_metrics(MetricPoint(step=1, loss=0.5))
        recorder.log_metrics(step=2, loss=np.float32(0.25))
        points, _ = metrics_of(run_dir)
        assert [(p.step, p.loss) for p in points] == [(1, 0.5), (2, 0.25)]

    def test_stamps_the_record_with_the_time_and_its_offset(self, run_dir: RunDir) -> None:
        moment = datetime(2025, 11, 22, 14, 30, 5, 250_000).astimezone()
        Recorder(run_dir, clock=Clock(moment.timestamp())).log_metrics(step=1)
        assert metrics_of(run_dir)[0][0].ts == moment

    def test_the_run_id_can_be_given(self, run_dir: RunDir) -> None:
        Recorder(run_dir, run_id="night-3").log_metrics(step=1)
        assert metrics_of(run_dir)[0][0].run_id == "night-3"
        with pytest.raises(ValueError, match="run_id"):
            Recorder(run_dir, run_id="")

    def test_the_directory_may_be_relative(
        self, run_dir: RunDir, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run_dir.path.mkdir()
        monkeypatch.chdir(run_dir.path)
        assert Recorder(".").run_id == "my-run"

    def test_with_fsync_too(self, run_dir: RunDir) -> None:
        recorder = Recorder(run_dir, fsync=True)
        recorder.log_metrics(step=1)
        recorder.update_status(current_step=1)
        assert len(metrics_of(run_dir)[0]) == 1

    @pytest.mark.parametrize("fields", [{"step": -1}, {"stpe": 1}, {"step": 1, "loss": "low"}, {}])
    def test_a_bad_field_is_named_and_nothing_is_written(
        self, run_dir: RunDir, recorder: Recorder, fields: dict[str, Any]
    ) -> None:
        with pytest.raises(ValueError, match="MetricPoint"):
            recorder.log_metrics(**fields)
        recorder.log_metrics(step=1)
        assert len(metrics_of(run_dir)[0]) == 1

    def test_the_wrong_record_is_refused(self, recorder: Recorder) -> None:
        with pytest.raises(ValueError, match="log_preview: expected one PreviewRecord"):
            recorder.log_preview(MetricPoint(step=1))  # type: ignore[call-overload]  # meant
        with pytest.raises(ValueError, match="or its fields"):
            recorder.log_metrics(MetricPoint(step=1), loss=0.5)  # type: ignore[call-overload]  # meant

    def test_recording_goes_on_after_close(self, run_dir: RunDir, recorder: Recorder) -> None:
        recorder.log_metrics(step=1)
        recorder.close()
        recorder.log_metrics(step=2)
        assert len(metrics_of(run_dir)[0]) == 2

    def test_an_unfinished_last_line_is_ended_first(
        self, run_dir: RunDir, recorder: Recorder
    ) -> None:
        path = run_dir.log_file("metrics", datetime.now().astimezone().date())
        path.parent.mkdir(parents=True)
        path.write_bytes(b'{"ts":"2025-11-22T14:3')
        recorder.log_metrics(step=1)
        recorder.log_metrics(step=2)
        points, torn = metrics_of(run_dir)
        assert [point.step for point in points] == [1, 2]
        assert torn == [b'{"ts":"2025-11-22T14:3']


class TestRotation:
    MIDNIGHT = datetime(2025, 11, 23).astimezone().timestamp()

    def test_the_file_changes_at_local_midnight(self, run_dir: RunDir) -> None:
        clock = Clock(self.MIDNIGHT - 0.001)
        recorder = Recorder(run_dir, clock=clock)
        recorder.log_metrics(step=1)
        clock.now = self.MIDNIGHT
        recorder.log_metrics(step=2)
        for step, day in ((1, date(2025, 11, 22)), (2, date(2025, 11, 23))):
            line = run_dir.log_file("metrics", day).read_bytes()
            assert parse_line(MetricPoint, line).step == step

    def test_a_record_goes_to_the_day_it_is_written_on(self, run_dir: RunDir) -> None:
        recorder = Recorder(run_dir, clock=Clock(self.MIDNIGHT))
        recorder.log_metrics(step=1, ts=datetime(2024, 1, 1).astimezone())
        assert run_dir.log_file("metrics", date(2025, 11, 23)).exists()

    def test_loses_nothing_under_load(self, run_dir: RunDir) -> None:
        ticks = iter(range(10**9))
        recorder = Recorder(run_dir, clock=lambda: self.MIDNIGHT - 1 + next(ticks) / 1000)

        def log(first: int) -> None:
            for step in range(first, first + 500):
                recorder.log_metrics(step=step)

        in_threads(log, [0, 500, 1000, 1500])
        points, torn = metrics_of(run_dir)
        assert sorted(point.step for point in points) == list(range(2000)) and not torn
        assert run_dir.log_file("metrics", date(2025, 11, 22)).stat().st_size
        assert run_dir.log_file("metrics", date(2025, 11, 23)).stat().st_size
        for path in run_dir.logs("metrics").iterdir():
            days = {json.loads(line)["ts"][:10] for line in path.read_bytes().splitlines()}
            assert days == {path.stem[-10:]}


def in_threads(work: Callable[[int], None], arguments: list[int]) -> None:
    threads = [threading.Thread(target=work, args=(argument,)) for argument in arguments]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
        assert not thread.is_alive()


# Writes lines of all sizes, and acknowledges each on stdout once its call has returned.
WRITER = """
import os, random, sys
from control_room import Recorder
recorder = Recorder(sys.argv[1], run_id=sys.argv[2])
sizes = random.Random(sys.argv[2])
for step in range(int(sys.argv[3])):
    prompt = "x" * int(2 ** sizes.uniform(0, int(sys.argv[4])))
    recorder.log_preview(step=step, prompt=prompt, golden="", model_answer="")
    os.write(1, b"%d\\n" % step)
"""


def previews_of(run_dir: RunDir) -> tuple[list[tuple[str | None, int]], int]:
    """Run and step of every preview, in the order of the file, and how many lines are none."""
    found, torn = [], 0
    for path in run_dir.logs("preview").iterdir():
        for line in path.read_bytes().split(b"\n"):
            if line:
                try:
                    record = parse_line(PreviewRecord, line)
                except ValueError:
                    torn += 1
                else:
                    found.append((record.run_id, record.step))
    return found, torn


class TestManyProcesses:
    def test_eight_writers_with_lines_up_to_a_megabyte_never_interleave(
        self, run_dir: RunDir
    ) -> None:
        writers = [start(WRITER, run_dir.path, f"w{i}", 40, 20) for i in range(8)]
        for writer in writers:
            writer.communicate(timeout=DEADLINE_S)
        found, torn = previews_of(run_dir)
        assert not torn
        assert sorted(found) == sorted((f"w{i}", step) for i in range(8) for step in range(40))
        for i in range(8):
            assert [step for run, step in found if run == f"w{i}"] == list(range(40))

    def test_killed_writers_lose_nothing_that_was_acknowledged(self, run_dir: RunDir) -> None:
        acknowledged: set[tuple[str, int]] = set()
        chance = random.Random(1)
        kills = 0
        for attempt in range(8):
            writers = {
                f"a{attempt}w{i}": start(WRITER, run_dir.path, f"a{attempt}w{i}", 10**9, 18)
                for i in range(4)
            }
            for name, writer in writers.items():
                assert writer.stdout is not None
                for _ in range(chance.randint(1, 60)):
                    acknowledged.add((name, int(writer.stdout.readline())))
                writer.send_signal(signal.SIGKILL)
                kills += 1
                rest, _ = writer.communicate(timeout=DEADLINE_S)
                # The last acknowledgement is whole: a pipe takes so few bytes at once or not.
                acknowledged |= {(name, int(step)) for step in rest.split()}
        found, torn = previews_of(run_dir)
        assert acknowledged <= set(found)
        assert len(found) == len(set(found))
        assert len(found) <= len(acknowledged) + kills
        assert torn <= kills

    def test_forked_workers_share_the_run(self, run_dir: RunDir) -> None:
        code = """
import os, sys, threading, json
from control_room import Recorder
recorder = Recorder(sys.argv[1])
stop = threading.Event()
logged = 0
def log():
    global logged
    while not stop.is_set():
        recorder.log_metrics(step=logged)
        logged += 1
thread = threading.Thread(target=log)  # holds the lock at most moments of a fork
thread.start()
children = []
for worker in range(20):
    child = os.fork()
    if not child:
        recorder.log_metrics(step=10**9 + worker)
        os._exit(0)
    children.append(child)
codes = [os.waitpid(child, 0)[1] for child in children]
stop.set()
thread.join()
print(json.dumps([logged, codes]))
"""
        logged, codes = run(code, run_dir.path)
        assert codes == [0] * 20
        points, torn = metrics_of(run_dir)
        wanted = [*range(logged), *(10**9 + worker for worker in range(20))]
        assert sorted(point.step for point in points) == wanted and not torn

    def test_what_waits_is_written_by_the_parent_alone(self, run_dir: RunDir) -> None:
        code = """
import os, pathlib, sys, warnings
from control_room import Recorder
warnings.simplefilter("ignore")
recorder = Recorder(sys.argv[1])
blocker = pathlib.Path(sys.argv[1], "logs")
blocker.touch()
recorder.log_metrics(step=1)
blocker.unlink()
child = os.fork()
if not child:
    recorder.close()
    os._exit(0)
os.waitpid(child, 0)
recorder.close()
print("null")
"""
        run(code, run_dir.path)
        assert [point.step for point in metrics_of(run_dir)[0]] == [1]

    def test_spawned_workers_get_a_recorder_of_their_own(
        self, run_dir: RunDir, tmp_path: Path
    ) -> None:
        script = tmp_path / "spawn.py"
        script.write_text(
            """
import multiprocessing, sys
from control_room import Recorder

def work(recorder, step):
    recorder.log_metrics(step=step)

if __name__ == "__main__":
    recorder = Recorder(sys.argv[1], run_id="spawned")
    recorder.log_metrics(step=0)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(recorder, step)) for step in (1, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
"""
        )
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        subprocess.run(
            [sys.executable, script, run_dir.path], check=True, env=environment, timeout=DEADLINE_S
        )
        points, _ = metrics_of(run_dir)
        assert sorted((p.run_id, p.step) for p in points) == [("spawned", i) for i in range(3)]

    def test_a_pickled_recorder_keeps_its_options(self, run_dir: RunDir) -> None:
        copy = pickle.loads(pickle.dumps(Recorder(run_dir, run_id="r", max_waiting=5)))
        assert (copy.run_id, copy.run_dir) == ("r", run_dir)

    def test_threads_share_a_recorder(self, run_dir: RunDir, recorder: Recorder) -> None:
        def log(first: int) -> None:
            for step in range(first, first + 100):
                recorder.log_metrics(step=step)

        in_threads(log, list(range(0, 800, 100)))
        points, torn = metrics_of(run_dir)
        assert sorted(point.step for point in points) == list(range(800)) and not torn

    def test_a_signal_handler_may_record(self, run_dir: RunDir) -> None:
        code = """
import os, signal, sys
from control_room import Recorder
recorder = Recorder(sys.argv[1])
def alarm(*_):
    recorder.mark_crashed("alarm")
    signal.setitimer(signal.ITIMER_REAL, 0.001)
signal.signal(signal.SIGALRM, alarm)
signal.setitimer(signal.ITIMER_REAL, 0.001)
for step in range(1000):
    recorder.log_metrics(step=step)
    recorder.update_status(current_step=step)
signal.signal(signal.SIGALRM, signal.SIG_IGN)
print("null")
"""
        run(code, run_dir.path)
        points, torn = metrics_of(run_dir)
        assert [point.step for point in points] == list(range(1000)) and not torn
        assert status_of(run_dir)["status"] == "crashed"


class TestAFailingDisk:
    def test_a_full_disk_is_survived_and_told(self, run_dir: RunDir) -> None:
        code = """
import json, resource, sys, warnings
from control_room import Recorder
unlimited = resource.RLIM_INFINITY
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    recorder = Recorder(sys.argv[1])
    recorder.update_status(current_step=1, loss=0.5)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, unlimited))
    for step in range(500):
        recorder.log_metrics(step=step, loss=0.5)
    told = len(caught)
    during = json.loads(recorder.run_dir.status_file.read_text())
    resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
    recorder.close()
    recorder.log_metrics(step=500)
    dropped = recorder.dropped["metrics"]
    after = json.loads(recorder.run_dir.status_file.read_text())
print(json.dumps([told, len(caught), str(caught[0].message), dropped, during, after]))
"""
        told, in_all, message, dropped, during, after = run(code, run_dir.path)
        assert (told, in_all) == (1, 1)
        assert "metrics: File too large" in message and "Training goes on" in message
        assert "File too large" in during["recorder_errors"]["message"]
        assert "recorder_errors" not in after
        assert dropped == 0
        points, torn = metrics_of(run_dir)
        assert [point.step for point in points] == list(range(501))
        assert len(torn) <= 1

    def test_a_record_that_lacks_only_its_newline_is_not_written_twice(
        self, run_dir: RunDir
    ) -> None:
        code = """
import resource, sys, warnings
from control_room import Recorder
warnings.simplefilter("ignore")
unlimited = resource.RLIM_INFINITY
recorder = Recorder(sys.argv[1])
recorder.log_metrics(step=1)
(path,) = recorder.run_dir.logs("metrics").iterdir()
resource.setrlimit(resource.RLIMIT_FSIZE, (2 * path.stat().st_size - 1, unlimited))
recorder.log_metrics(step=2)
print(path.read_bytes().count(b"\\n"))
recorder.log_metrics(step=3)
resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
recorder.close()
"""
        assert run(code, run_dir.path) == 1
        points, torn = metrics_of(run_dir)
        assert [point.step for point in points] == [1, 2, 3] and not torn

    def test_what_waits_has_a_bound_in_bytes(self, run_dir: RunDir) -> None:
        recorder = Recorder(run_dir)
        (run_dir.path / "logs").touch()
        with pytest.warns(RecorderWarning):
            for _ in range(20):
                recorder.log_preview(**PREVIEW | {"prompt": "x" * 2**20})
            assert recorder.dropped["preview"] == 5
            recorder.close()

    def test_a_long_outage_drops_the_oldest_and_counts_them(self, run_dir: RunDir) -> None:
        recorder = Recorder(run_dir, max_waiting=10)
        recorder.update_status(current_step=1)
        blocker = run_dir.path / "logs"
        blocker.touch()  # a file where the directory should be
        with pytest.warns(RecorderWarning, match="Training goes on"):
            for step in range(25):
                recorder.log_metrics(step=step)
        lost = {kind: count for kind, count in recorder.dropped.items() if count}
        assert lost == {"metrics": 15}
        blocker.unlink()
        with pytest.warns(RecorderWarning, match="15 metrics records were lost"):
            recorder.close()
        assert [point.step for point in metrics_of(run_dir)[0]] == list(range(15, 25))
        assert status_of(run_dir)["recorder_errors"]["dropped"]["metrics"] == 15

    def test_it_is_tried_again_while_the_training_goes_on(self, run_dir: RunDir) -> None:
        recorder = Recorder(run_dir)
        blocker = run_dir.path / "logs"
        blocker.touch()
        with pytest.warns(RecorderWarning):
            recorder.log_metrics(step=0)
        blocker.unlink()
        steps = [0]

        def writes_again() -> bool:
            steps.append(steps[-1] + 1)
            recorder.log_metrics(step=steps[-1])
            return blocker.is_dir()

        wait_until(writes_again)
        assert [point.step for point in metrics_of(run_dir)[0]] == steps

    def test_what_still_waits_at_the_end_is_counted_as_lost(self, run_dir: RunDir) -> None:
        recorder = Recorder(run_dir)
        (run_dir.path / "logs").touch()
        with pytest.warns(RecorderWarning, match="Training goes on"):
            recorder.log_preview(**PREVIEW)
        with pytest.warns(RecorderWarning, match="1 preview records were lost"):
            recorder.close()
        assert recorder.dropped["preview"] == 1

    def test_a_vanished_directory_is_made_again(self, run_dir: RunDir) -> None:
        clock = Clock(1_700_000_000.0)
        recorder = Recorder(run_dir, clock=clock)
        recorder.log_metrics(step=1)
        shutil.rmtree(run_dir.path)
        clock.now += 1
        with pytest.warns(RecorderWarning, match="removed or replaced"):
            recorder.log_metrics(step=2)
        recorder.update_status(current_step=2)
        assert [point.step for point in metrics_of(run_dir)[0]] == [2]
        assert status_of(run_dir)["current_step"] == 2

    def test_a_replaced_file_is_noticed(self, run_dir: RunDir) -> None:
        clock = Clock(1_700_000_000.0)
        recorder = Recorder(run_dir, clock=clock)
        recorder.log_metrics(step=1)
        (path,) = run_dir.logs("metrics").iterdir()
        path.rename(path.with_suffix(".moved"))
        clock.now += 1
        with pytest.warns(RecorderWarning, match="removed or replaced"):
            recorder.log_metrics(step=2)
        assert [point.step for point in metrics_of(run_dir)[0]] == [2]

    def test_a_directory_without_permission_raises_nothing(self) -> None:
        # As a user who is not root: to root everything is permitted.
        code = """
import json, os, pathlib, tempfile, warnings
from control_room import Recorder
import tokenize, linecache, traceback  # loaded before the libraries may be out of reach
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
with tempfile.TemporaryDirectory() as name, warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    path = pathlib.Path(name)
    path.chmod(0o555)
    recorder = Recorder(path)
    recorder.update_status(current_step=1)
    recorder.log_metrics(step=1)
    told = [str(warning.message) for warning in caught]
    path.chmod(0o755)
    recorder.update_status(current_step=2)
    recorder.close()
    status = json.loads(recorder.run_dir.status_file.read_text())
    lines = sum(len(log.read_text().splitlines()) for log in path.glob("logs/*/*"))
print(json.dumps([told, status["current_step"], lines]))
"""
        told, step, lines = run(code)
        assert len(told) == 3 and all("ermission" in message for message in told)
        assert (step, lines) == (2, 1)

    def test_a_file_in_the_place_of_the_run_directory_raises_nothing(self, tmp_path: Path) -> None:
        (tmp_path / "run").touch()
        path = tmp_path / "run"
        with pytest.warns(RecorderWarning) as caught, Recorder(path) as recorder:
            recorder.log_metrics(step=1)
        told = [str(warning.message) for warning in caught]
        assert len([text for text in told if str(path) in text]) == 3, told

    def test_warnings_that_are_errors_do_not_stop_the_training(
        self, run_dir: RunDir, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run_dir.path.mkdir()
        (run_dir.path / "logs").touch()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            Recorder(run_dir).log_metrics(step=1)
        assert "Training goes on" in capsys.readouterr().err


class TestStatus:
    def test_updates_add_up(self, run_dir: RunDir, recorder: Recorder) -> None:
        recorder.update_status(current_step=1, total_steps=10, model_name="m")
        recorder.update_status(current_step=2, phase="saving")
        status = status_of(run_dir)
        assert status["status"] == "training"
        assert (status["current_step"], status["total_steps"]) == (2, 10)
        assert (status["model_name"], status["phase"]) == ("m", "saving")

    def test_says_who_wrote_it_and_when(self, run_dir: RunDir, recorder: Recorder) -> None:
        recorder.update_status()
        status = status_of(run_dir)
        assert (status["run_id"], status["pid"]) == ("my-run", os.getpid())
        assert status["hostname"]
        assert datetime.fromisoformat(status["started_at"]).utcoffset() is not None
        age = datetime.now().astimezone() - datetime.fromisoformat(status["timestamp"])
        assert abs(age.total_seconds()) < DEADLINE_S

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("status", "running"),
            ("status", None),
            ("phase", "sleeping"),
            ("model_name", object()),
            ("notes", {"a": {1, 2}}),
            ("notes", Path("x")),
            ("pid", 5),
            ("timestamp", "now"),
        ],
    )
    def test_a_bad_field_is_named_and_changes_nothing(
        self, run_dir: RunDir, recorder: Recorder, field: str, value: Any
    ) -> None:
        recorder.update_status(current_step=1, model_name="m")
        before = run_dir.status_file.read_bytes()
        with pytest.raises(ValueError, match=f"^{field}:"):
            recorder.update_status(current_step=2, **{field: value})
        assert run_dir.status_file.read_bytes() == before
        recorder.update_status(total_steps=10)
        assert status_of(run_dir)["current_step"] == 1

    def test_a_value_that_contains_itself_is_refused(self, recorder: Recorder) -> None:
        endless: list[object] = []
        endless.append(endless)
        with pytest.raises(ValueError, match=r"^notes:"):
            recorder.update_status(notes=endless)

    def test_is_valid_json_whatever_the_numbers(self, run_dir: RunDir, recorder: Recorder) -> None:
        recorder.update_status(loss=math.nan, learning_rate=np.float32(0.5), more=[math.inf])
        status = status_of(run_dir)
        assert (status["loss"], status["learning_rate"], status["more"]) == (
            "NaN",
            0.5,
            ["Infinity"],
        )

    def test_a_reader_never_sees_half_a_file(self, run_dir: RunDir, recorder: Recorder) -> None:
        recorder.update_status(current_step=0, note="")
        stop = threading.Event()
        broken: list[bytes] = []

        def read() -> None:
            while not stop.is_set():
                content = run_dir.status_file.read_bytes()
                if not content.endswith(b"}\n"):
                    broken.append(content)

        reader = threading.Thread(target=read)
        reader.start()
        for step in range(300):
            recorder.update_status(current_step=step, note="x" * random.randint(0, 20_000))
        stop.set()
        reader.join(DEADLINE_S)
        assert not broken
        assert [path.name for path in run_dir.status_file.parent.iterdir()] == [
            run_dir.status_file.name
        ]

    def test_logging_alone_writes_no_status(self, run_dir: RunDir, recorder: Recorder) -> None:
        recorder.log_preview(**PREVIEW)
        recorder.close()
        assert not run_dir.status_file.exists()


class TestTheEndOfARun:
    def test_a_crash_keeps_step_and_loss(self, run_dir: RunDir, recorder: Recorder) -> None:
        recorder.update_status(current_step=100, loss=0.25, phase="saving")
        recorder.mark_crashed(MemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
        status = status_of(run_dir)
        assert (status["status"], status["current_step"], status["loss"]) == ("crashed", 100, 0.25)
        assert status["error_message"] == "CUDA out of memory. Tried to allocate 2 GiB"
        assert status["error_type"] == "MemoryError"
        assert status["phase"] is None

    def test_step_and_loss_are_those_of_the_newest_metrics(
        self, run_dir: RunDir, recorder: Recorder
    ) -> None:
        recorder.update_status(current_step=100, loss=0.25)
        recorder.log_metrics(step=149, loss=math.nan)
        recorder.mark_paused("disk is being changed")
        status = status_of(run_dir)
        assert (status["status"], status["current_step"], status["loss"]) == ("paused", 149, "NaN")
        assert status["pause_reason"] == "disk is being changed"
        recorder.update_status(current_step=200)
        recorder.mark_completed()
        assert status_of(run_dir)["current_step"] == 200

    def test_going_on_forgets_why_it_had_ended(self, run_dir: RunDir, recorder: Recorder) -> None:
        recorder.mark_crashed("no more memory")
        assert status_of(run_dir)["error_type"] is None
        recorder.update_status(status="training")
        assert "error_message" not in status_of(run_dir)

    def test_an_error_without_a_message_is_named(self, run_dir: RunDir, recorder: Recorder) -> None:
        recorder.mark_crashed(AssertionError())
        assert status_of(run_dir)["error_message"] == "AssertionError"

    def test_the_block_marks_the_run_as_training_and_then_completed(self, run_dir: RunDir) -> None:
        with Recorder(run_dir) as recorder:
            assert status_of(run_dir)["status"] == "training"
            recorder.log_metrics(step=3, loss=0.5)
        status = status_of(run_dir)
        assert (status["status"], status["current_step"], status["loss"]) == ("completed", 3, 0.5)

    def test_an_exception_marks_it_as_crashed_and_goes_on(self, run_dir: RunDir) -> None:
        with pytest.raises(ZeroDivisionError), Recorder(run_dir):
            _ = 1 / 0
        status = status_of(run_dir)
        assert (status["status"], status["error_type"]) == ("crashed", "ZeroDivisionError")

    def test_ctrl_c_is_no_crash(self, run_dir: RunDir) -> None:
        with pytest.raises(KeyboardInterrupt), Recorder(run_dir):
            raise KeyboardInterrupt
        status = status_of(run_dir)
        assert (status["status"], status["pause_reason"]) == ("paused", "interrupted")

    @pytest.mark.parametrize(
        ("code", "status"), [(0, "completed"), (None, "completed"), (2, "crashed")]
    )
    def test_sys_exit_is_a_crash_when_its_code_says_so(
        self, run_dir: RunDir, code: int | None, status: str
    ) -> None:
        with pytest.raises(SystemExit), Recorder(run_dir):
            sys.exit(code)
        assert status_of(run_dir)["status"] == status

    def test_a_status_that_the_trainer_set_stays(self, run_dir: RunDir) -> None:
        with Recorder(run_dir) as recorder:
            recorder.mark_paused("quota")
        assert status_of(run_dir)["status"] == "paused"
