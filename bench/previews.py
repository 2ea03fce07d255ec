"""How fast a round of previews is against a server of known speed, and whether its memory grows."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from bench.rows import Row, at_most
from control_room.previews.config import load_config
from control_room.previews.runner import Runner
from control_room.rundir import RunDir
from tests.support import ROOT, free_port, wait_until

DELAY_MS, SLOTS, EXAMPLES, ROUNDS = 20, 8, 1000, 3
MANY = 100_000


def measure() -> list[Row]:
    """Run every measurement of this module; about six minutes."""
    return [*_speed(), _memory()]


def _speed() -> list[Row]:
    with _server(DELAY_MS, SLOTS) as url, _run(EXAMPLES) as run:
        ideal_s = EXAMPLES / SLOTS * DELAY_MS / 1000
        took_s = []
        for step in range(1, ROUNDS + 1):
            runner = _runner(run, url, concurrency=SLOTS + 4, examples=EXAMPLES)
            (run.checkpoints / f"checkpoint-{step}").mkdir(parents=True)
            runner.look()
            began = time.monotonic()
            runner.work()
            took_s.append(time.monotonic() - began)
            runner.close()
    over_pct = 100 * (statistics.median(took_s) / ideal_s - 1)
    name = f"{EXAMPLES} examples, {DELAY_MS} ms each, {SLOTS} slots"
    return [
        Row(f"{name}: a round", statistics.median(took_s), "s"),
        at_most(f"{name}: above the ideal {ideal_s:g} s", over_pct, "%", 15),
    ]


def _memory() -> Row:
    """Growth from a tenth of the answers to the last."""
    with _server(0, 64) as url, _run(MANY) as run:
        (run.checkpoints / "checkpoint-1").mkdir(parents=True)
        _settings(run, url, concurrency=32, examples=MANY)
        command = [sys.executable, "-m", "control_room.previews", "--once"]
        told = ["--run-dir", str(run.path), "--config", str(run.previews_file)]
        runner = subprocess.Popen([*command, *told], cwd=ROOT)
        process = psutil.Process(runner.pid)
        early_mb = late_mb = 0.0
        while runner.poll() is None:
            answered = _answered(run)
            if answered >= MANY // 10:
                with _still_there():
                    late_mb = process.memory_info().rss / 2**20
                early_mb = early_mb or late_mb
            time.sleep(0.5)
    return at_most(
        f"{MANY:,} examples: growth over the last nine tenths", late_mb - early_mb, "MB", 10
    )


@contextmanager
def _still_there() -> Iterator[None]:
    try:
        yield
    except psutil.Error:
        return


def _answered(run: RunDir) -> int:
    try:
        told = json.loads(run.runner_state_file.read_text())
    except (OSError, ValueError):
        return 0
    return int((told["round"] or {}).get("answered", 0))


@contextmanager
def _server(delay_ms: int, slots: int) -> Iterator[str]:
    port = free_port()
    module = "tests.control_room.previews.model_server"
    command = [sys.executable, "-m", module, str(port), str(delay_ms), str(slots)]
    server = subprocess.Popen(command, cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(url), 20, "the server")
        yield url
    finally:
        server.kill()
        server.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == 200
    except httpx.HTTPError:
        return False


@contextmanager
def _run(examples: int) -> Iterator[RunDir]:
    path = Path(tempfile.mkdtemp(prefix="control-room-bench-"))
    with (path / "set.jsonl").open("w") as file:
        for number in range(examples):
            text = "word " * 40
            line = {"id": f"e{number}", "prompt": f"{number}? {text}", "golden": "4"}
            file.write(json.dumps(line) + "\n")
    try:
        yield RunDir(path)
    finally:
        shutil.rmtree(path)


def _settings(run: RunDir, url: str, *, concurrency: int, examples: int) -> None:
    run.previews_file.write_text(
        f'[server]\nurl = "{url}"\nconcurrency = {concurrency}\n[[examples]]\nfile = "set.jsonl"\n'
        f"[preview]\nexamples = {examples}\n[eval]\nexamples = 1\nevery = 0\n"
        "[checkpoints]\nsettle_s = 0\n"
    )


def _runner(run: RunDir, url: str, *, concurrency: int, examples: int) -> Runner:
    _settings(run, url, concurrency=concurrency, examples=examples)
    return Runner(run, load_config(run.previews_file))
