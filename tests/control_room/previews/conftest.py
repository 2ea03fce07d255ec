"""A run with checkpoints and examples, and a runner over it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from control_room.previews.config import load_config
from control_room.previews.runner import Runner
from control_room.recording.records import EvalRecord, PreviewRecord, RoundRecord, parse_line
from control_room.rundir import RunDir
from tests.control_room.previews.model_server import ModelServer

EXAMPLES = 20


class Bench:
    """A run directory with what a runner needs, and what came of it."""

    def __init__(self, path: Path) -> None:
        self.run = RunDir(path)
        self.runners: list[Runner] = []
        path.mkdir(parents=True)
        self.examples(*({"id": f"e{n}", "prompt": f"{n}?", "golden": "4"} for n in range(EXAMPLES)))

    def examples(self, *examples: Mapping[str, object]) -> None:
        text = "".join(json.dumps(example) + "\n" for example in examples)
        (self.run.path / "set.jsonl").write_text(text)

    def checkpoint(self, *steps: int) -> None:
        for step in steps:
            (self.run.checkpoints / f"checkpoint-{step}").mkdir(parents=True)

    def runner(self, url: str, more: str = "", server: str = "") -> Runner:
        """``more`` are further tables, ``server`` further settings of the server."""
        if "timeout_s" not in server:
            server += "\ntimeout_s = 5"
        text = (
            f'[server]\nurl = "{url}"\nlongest_pause_s = 0.05\n{server}\n'
            f'[[examples]]\nfile = "set.jsonl"\n[checkpoints]\nsettle_s = 0\n{more}\n'
        )
        if "[preview]" not in more:
            text += f"[preview]\nexamples = {EXAMPLES}\n"
        if "[eval]" not in more:
            text += "[eval]\nexamples = 1\nevery = 0\n"
        self.run.previews_file.write_text(text)
        runner = Runner(self.run, load_config(self.run.previews_file))
        self.runners.append(runner)
        return runner

    def work_off(self, runner: Runner) -> None:
        """Everything that is due."""
        runner.look()
        while runner.work():
            runner.look()

    def previews(self) -> list[PreviewRecord]:
        return [parse_line(PreviewRecord, line) for line in self.lines("preview")]

    def whole_previews(self) -> list[PreviewRecord]:
        """Without lines that a kill left torn."""
        found = []
        for line in self.lines("preview"):
            with suppress(ValueError):
                found.append(parse_line(PreviewRecord, line))
        return found

    def rounds(self, kind: str = "preview") -> list[RoundRecord]:
        records = [parse_line(RoundRecord, line) for line in self.lines("round")]
        return [record for record in records if record.kind == kind]

    def evals(self) -> list[EvalRecord]:
        return [parse_line(EvalRecord, line) for line in self.lines("eval")]

    def lines(self, kind: str) -> list[bytes]:
        files = sorted(self.run.path.glob(f"logs/{kind}/*.jsonl"))
        return [line for file in files for line in file.read_bytes().splitlines()]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "run")
    yield bench
    for runner in bench.runners:
        runner.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., ModelServer]]:
    servers: list[ModelServer] = []

    def start(*arguments: object, **more: object) -> ModelServer:
        server = ModelServer(*arguments, **more)  # type: ignore[arg-type]  # the server's own
        servers.append(server)
        return server.__enter__()

    yield start
    for server in servers:
        server.__exit__()
