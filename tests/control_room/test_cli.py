"""``control-room``: its commands, what it says of wrong ones, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import control_room
from control_room.cli import COMMANDS, main
from control_room.commands.ending import INTERRUPTED, NOBODY_READS, ended
from control_room.extra import MissingExtra
from tests.support import PATIENCE_S, ROOT, wait_until

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def control_room_of(*arguments: str, cwd: Path, python: tuple[str, ...] = ()) -> tuple[int, str]:
    """The exit status and the words of the command, in a process that stands in ``cwd``."""
    done = subprocess.run(
        [sys.executable, *python, "-m", "control_room", *arguments],
        cwd=cwd,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_help_lists_every_command_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, command in COMMANDS.items():
        (line,) = (line for line in lines if line.split()[:1] == [name])
        assert line.endswith(command.summary)


@pytest.mark.parametrize("name", sorted({*COMMANDS} - {"version"}))
def test_every_command_has_help_wherever_one_stands(name: str, tmp_path: Path) -> None:
    status, said = control_room_of(name, "--help", cwd=tmp_path)
    assert status == 0
    assert said.startswith("usage: ")


@pytest.mark.parametrize("word", ["version", "--version"])
def test_it_tells_its_version(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word]) == 0
    assert capsys.readouterr().out == f"control-room {control_room.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "control-room: name a command; control-room --help lists them.\n"),
        (["srve"], "control-room: there is no command srve. Did you mean serve?\n"),
        (["x"], "control-room: there is no command x. control-room --help lists them.\n"),
    ],
)
def test_a_wrong_command_is_answered_in_a_line(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err == line


def test_the_app_is_found_from_anywhere_and_no_other_of_its_name_is_taken(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("raise SystemExit('another app')")
    status, said = control_room_of("check", "run", cwd=tmp_path)
    assert status in (0, 1)
    assert f"○ run directory: {tmp_path / 'run'} does not exist yet" in said


@pytest.mark.parametrize(("name", "extra"), [("check", "app"), ("serve", "app"), ("demo", "demo")])
def test_without_the_extra_a_line_names_it(name: str, extra: str, tmp_path: Path) -> None:
    """-S: without site-packages, in which the extras are."""
    start = f"import control_room.commands.home as home; home.start({_MODULES[name]!r}, [])"
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    bare.chmod(0o755)
    done = subprocess.run(
        [bare, "-c", f"import sys; sys.executable = {str(bare)!r}; {start}"],
        cwd=tmp_path,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.endswith(f"is missing: install it with `pip install 'control-room[{extra}]'`")


_MODULES = {"check": "app", "serve": "app", "demo": "examples.demo"}


def test_nothing_beside_the_package_is_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("control_room.commands.home._PACKAGE", tmp_path / "control_room")
    assert main(["serve"]) == 2
    assert "pip install 'control-room[app]'" in capsys.readouterr().err


def test_ctrl_c_ends_it_without_a_traceback(tmp_path: Path) -> None:
    arguments = ["import", str(tmp_path), "--run-dir", str(tmp_path / "run"), "--watch"]
    with (tmp_path / "said").open("wb") as said:
        started = subprocess.Popen(
            [sys.executable, "-m", "control_room", *arguments],
            env=ENVIRONMENT,
            cwd=tmp_path,
            stdout=said,
            stderr=said,
        )
    wait_until(lambda: "Ctrl-C" in (tmp_path / "said").read_text(), what="the start")
    started.send_signal(signal.SIGINT)
    assert started.wait(timeout=PATIENCE_S) == 0
    assert "Traceback" not in (tmp_path / "said").read_text()


@pytest.mark.parametrize("arguments", [["--help"], ["check", "run"], ["check", "--help"]])
def test_a_reader_that_goes_away_ends_it_without_a_word(
    arguments: list[str], tmp_path: Path
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "control_room", *arguments],
        cwd=tmp_path,
        env=ENVIRONMENT,
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=PATIENCE_S,
        check=False,
    )
    os.close(writing)
    # argparse takes no notice of it when it writes a long help, and ends with 0.
    assert done.returncode in (NOBODY_READS, 0)
    assert done.stderr == b""


class TestEnded:
    def test_is_the_programs_own_status(self) -> None:
        assert ended(lambda: 7) == 7

    def test_of_an_interrupted_program_is_that_of_a_shell(self) -> None:
        def interrupted() -> int:
            raise KeyboardInterrupt

        assert ended(interrupted) == INTERRUPTED == 128 + signal.SIGINT

    def test_of_a_program_without_its_extra_is_2(self, capsys: pytest.CaptureFixture[str]) -> None:
        def lacking() -> int:
            raise MissingExtra("x is missing")

        assert ended(lacking) == 2
        assert capsys.readouterr().err == "control-room: x is missing\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ("retain", "--run-dir", "nowhere"),
        ("score", "nowhere.jsonl"),
        ("import", "nowhere.csv", "--run-dir", "run"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_what_is_not_there_is_named_as_such(
    arguments: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) != 0
    assert "there is no such" in capsys.readouterr().err
