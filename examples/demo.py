"""``control-room demo``: trainer, model server, preview runner and app, until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from control_room import RunDir
from control_room.commands.ending import ended
from control_room.commands.home import called
from control_room.extra import need
from examples.rounds import write_round_settings
from examples.stopping import StopRequest
from examples.train import DEFAULT_RUN_DIR
from examples.workdir import DemoError, claim, held, wipe

HOST = "127.0.0.1"
USUAL_PORT = 8501

_ROOT = Path(__file__).resolve().parents[1]
_NEEDED = ("streamlit", "numpy", "autograd", "huey", "httpx", "tenacity", "pydantic")
_START_DEADLINE_S = 90.0
_STOP_DEADLINE_S = 10.0
_LAST_LINES = 15


@dataclass(frozen=True, slots=True)
class Child:
    """A process of the demo, and the file that takes its output."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def check(self) -> None:
        """Raises ``DemoError`` with its last words when it has ended."""
        code = self.process.poll()
        if code is not None:
            lines = self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
            raise DemoError(
                "\n".join([f"The {self.name} ended (exit code {code}). Its last output:", *lines])
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0 after Ctrl-C, 1 when a child ended by itself, 2 on a bad start.

    Raises:
        MissingExtra: a package that a child needs is not installed.
    """
    options = _options(arguments)
    need(_NEEDED, extra="demo")
    stop = StopRequest()
    stop.install()
    try:
        run_dir = claim(options.run_dir.absolute())
        with held(run_dir):
            if options.fresh:
                wipe(run_dir)
        port = choose_port(options.port)
        model_port = choose_port(0)
        write_round_settings(run_dir, f"http://{HOST}:{model_port}")
    except DemoError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        _watch(run_dir.path, port, model_port, stop)
    except DemoError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Stopped. The run is kept in {run_dir.path}; the next start goes on from there.")
    return 0


def choose_port(wanted: int) -> int:
    """The wanted port of this machine if it is free (and not 0), else one that is."""
    for candidate in (wanted, 0):
        with socket.socket() as probe:
            # As servers do: a port whose last connections are only fading away is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, candidate))
            except OSError:
                continue
            port: int = probe.getsockname()[1]
            if port != wanted != 0:
                print(f"Port {wanted} is taken; using {port}.", flush=True)
            return port
    raise DemoError(f"No port of {HOST} is free.")


def _watch(run_dir: Path, port: int, model_port: int, stop: StopRequest) -> None:
    """Run all parts until asked to stop. Raises ``DemoError`` when one of them fails."""
    address = f"http://{HOST}:{port}"
    commands = {
        "trainer": ["examples.train", "--run-dir", str(run_dir)],
        "app": ["app", "--run-dir", str(run_dir), "--port", str(port)],
        # What a second machine would do: serve the checkpoints, and ask them.
        "server": ["examples.serve", "--run-dir", str(run_dir), "--port", str(model_port)],
        "runner": [
            *("control_room.previews", "--run-dir", str(run_dir)),
            *("--config", str(RunDir(run_dir).previews_file)),
        ],
    }
    with _children(commands, run_dir) as (trainer, app, server, runner):
        deadline = time.monotonic() + _START_DEADLINE_S
        while not (stop.asked() or _answers(address)):
            trainer.check()
            app.check()
            if time.monotonic() > deadline:
                raise DemoError(
                    f"The app did not answer at {address} within {_START_DEADLINE_S:g} s. "
                    f"Its output is in {app.log}."
                )
            time.sleep(0.1)
        if not stop.asked():
            print(
                f"Control Room: {address} shows a small model learning in {run_dir}. "
                "Ctrl-C stops it.",
                flush=True,
            )
        while not stop.asked():
            for child in (app, server, runner):
                child.check()
            if trainer.process.poll() != 0:  # having done all its steps is no reason to stop
                trainer.check()
            time.sleep(0.2)


@contextmanager
def _children(commands: Mapping[str, Sequence[str]], run_dir: Path) -> Iterator[list[Child]]:
    """A Python process for each command, where the app's folders are; all end with the block."""
    children: list[Child] = []
    try:
        for name, arguments in commands.items():
            log = run_dir / f"{name}.log"
            with log.open("wb") as output:
                process = subprocess.Popen(
                    [sys.executable, "-m", *arguments],
                    cwd=_ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, "PYTHONUNBUFFERED": "1"},
                )
            children.append(Child(name, process, log))
        yield children
    finally:
        for child in children:
            child.process.terminate()
        for child in children:
            try:
                child.process.wait(timeout=_STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:  # not up yet; URLError is one, too
        return False


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=called("demo", "examples.demo"),
        description="Train a small model on this machine and watch it learn, until Ctrl-C.",
    )
    parser.add_argument(
        "--run-dir",
        type=Path,
        default=DEFAULT_RUN_DIR,
        help="where the run's data goes; default: %(default)s",
    )
    parser.add_argument(
        "--port",
        type=_port,
        default=os.environ.get("CONTROL_ROOM_PORT") or USUAL_PORT,
        help=f"another is used if it is taken; default: CONTROL_ROOM_PORT or {USUAL_PORT}",
    )
    parser.add_argument("--fresh", action="store_true", help="forget earlier demo runs there")
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text} is not a port (1 to 65535)")
    return int(text)


if __name__ == "__main__":
    sys.exit(ended(main))
