"""The preview runner against a real server of a real model: ``transformers serve`` on the CPU.

The model is tiny, made on the spot with random weights; nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from control_room import PreviewRecord, RoundRecord, RunDir
from control_room.previews.config import load_config
from control_room.previews.runner import Runner
from control_room.recording.records import parse_line
from tests.integrations.tiny import make_model, make_tokenizer
from tests.support import free_port, wait_until


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run with two checkpoints in Hugging Face's format."""
    run = RunDir(tmp_path_factory.mktemp("served") / "run")
    tokenizer = make_tokenizer()
    for step in (10, 20):
        directory = run.checkpoints / f"checkpoint-{step}"
        make_model(tokenizer, seed=step).save_pretrained(directory)
        tokenizer.save_pretrained(directory)
    examples = [{"id": str(n), "prompt": f"what is {n} + 2?", "golden": "4"} for n in range(6)]
    (run.path / "set.jsonl").write_text("\n".join(map(json.dumps, examples)) + "\n")
    return run


@pytest.fixture(scope="module")
def url(run: RunDir) -> Iterator[str]:
    port = free_port()
    command = Path(sys.executable).with_name("transformers")
    with (run.path / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [command, "serve", "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"],
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert server.poll() is None, (run.path / "server.log").read_text()
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    try:
        wait_until(answers, 120, "the server")
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


def records(run: RunDir) -> list[PreviewRecord]:
    (log,) = run.logs("preview").iterdir()
    return [parse_line(PreviewRecord, line) for line in log.read_bytes().splitlines()]


def test_each_checkpoint_is_a_model_that_answers(run: RunDir, url: str) -> None:
    run.previews_file.write_text(
        f'[server]\nurl = "{url}"\nmodel = "{run.checkpoints}/{{checkpoint}}"\nconcurrency = 2\n'
        "[decoding]\nmax_tokens = 12\n"
        '[[examples]]\nfile = "set.jsonl"\n[checkpoints]\nsettle_s = 0\n'
        "[preview]\nexamples = 6\n[eval]\nexamples = 1\nevery = 0\n"
    )
    runner = Runner(run, load_config(run.previews_file))
    runner.look()
    assert runner.work()
    runner.close()
    (file,) = run.logs("round").iterdir()
    ended = parse_line(RoundRecord, file.read_bytes())
    assert (ended.outcome, ended.answered, ended.errors) == ("completed", 6, 0), ended.reason
    found = records(run)
    assert {record.checkpoint_id for record in found} == {"checkpoint-20"}
    assert {record.requested_checkpoint_id for record in found} == {None}
    for record in found:
        assert record.prompt_tokens is not None and record.prompt_tokens > 0
        assert record.model_tokens is not None and 0 < record.model_tokens <= 12
        assert record.finish_reason in ("length", "stop")
        assert record.exact_match is False, "random weights know nothing"


def test_a_checkpoint_that_is_not_there_ends_its_round_with_a_reason(run: RunDir, url: str) -> None:
    text = run.previews_file.read_text().replace("/{checkpoint}", "/no-such-{checkpoint}")
    run.previews_file.write_text(text)
    (run.checkpoints / "checkpoint-30").mkdir()
    runner = Runner(run, load_config(run.previews_file))
    runner.look()
    assert runner.work()
    runner.close()
    (file,) = run.logs("round").iterdir()
    ended = parse_line(RoundRecord, file.read_bytes().splitlines()[-1])
    assert ended.checkpoint_id == "checkpoint-30"
    assert ended.outcome == "failed" or ended.errors == ended.answered == 6
