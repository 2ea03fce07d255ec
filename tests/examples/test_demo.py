"""``python -m examples.demo``: trainer and app come up together, and go together."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from control_room import RunDir
from examples.demo import HOST, choose_port
from tests.support import ROOT, free_port, wait_until


@contextmanager
def demo(run_dir: Path, *flags: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """The demo as a process of its own, and the file that takes what it says."""
    told = run_dir.with_suffix(".out")
    with told.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "examples.demo", "--run-dir", str(run_dir), *flags],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process, told
    finally:
        process.terminate()
        process.wait(timeout=60)


def address_in(told: Path) -> str | None:
    found = re.search(r"Control Room: (http://\S+) ", told.read_text())
    return found and found[1]


def is_alive(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    try:
        return state.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children_of(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_the_app_beside_a_learning_trainer_and_stops_both(
    tmp_path: Path, number: signal.Signals
) -> None:
    run_dir = tmp_path / "run"
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with demo(run_dir, "--port", str(port)) as (process, told):
            wait_until(
                lambda: process.poll() is not None or address_in(told) is not None,
                120,
                "an address",
            )
            address = address_in(told)
            assert address is not None, told.read_text()
            assert f"Port {port} is taken" in told.read_text()
            assert not address.endswith(f":{port}")
            with urllib.request.urlopen(address, timeout=60) as answer:
                assert answer.status == 200
            wait_until(
                lambda: any((run_dir / "logs" / "preview").glob("*.jsonl")), 60, "a first preview"
            )
            children = children_of(process.pid)
            assert len(children) == 4
            process.send_signal(number)
            assert process.wait(timeout=60) == 0
            assert not any(is_alive(child) for child in children)
            assert "The run is kept in" in told.read_text()
    status = json.loads(RunDir(run_dir).status_file.read_text())
    assert status["status"] == "paused"
    assert any((run_dir / "checkpoints").glob("*.npz"))


def test_when_the_app_cannot_start_its_words_are_shown_and_the_trainer_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = tmp_path / "run"
    monkeypatch.setenv("CONTROL_ROOM_LOG_LEVEL", "shouting")
    with demo(run_dir, "--port", str(free_port())) as (process, told):
        assert process.wait(timeout=120) == 1
        assert "The app ended" in told.read_text()
        assert "shouting" in told.read_text()
    status_file = RunDir(run_dir).status_file
    if status_file.exists():
        assert not is_alive(json.loads(status_file.read_text())["pid"])


def test_a_directory_that_is_not_the_demos_is_refused(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    (run_dir / "thesis.txt").touch()
    with demo(run_dir) as (process, told):
        assert process.wait(timeout=60) == 2
        assert "--run-dir" in told.read_text()
    assert [path.name for path in run_dir.iterdir()] == ["thesis.txt"]


def test_a_port_that_is_free_is_used() -> None:
    port = free_port()
    assert choose_port(port) == port


def test_a_port_that_is_taken_is_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert choose_port(port) not in (port, 0)
    assert f"Port {port} is taken" in capsys.readouterr().out
