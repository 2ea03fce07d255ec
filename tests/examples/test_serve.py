"""The demo's model behind an API like OpenAI's, asked by the preview runner."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from control_room import PreviewRecord, RoundRecord, RunDir
from control_room.previews.config import load_config
from control_room.previews.runner import Runner
from control_room.recording.records import parse_line
from examples.checkpoints import CheckpointStore
from examples.model import ModelConfig, init_params
from examples.optimizer import Adam
from examples.rounds import write_round_settings
from examples.tokens import Tokenizer
from tests.support import free_port, process, wait_until


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "run")
    run.path.mkdir()
    params = init_params(ModelConfig(vocab_size=len(Tokenizer())), 0)
    CheckpointStore(run).save(100, params, Adam(params), {}, {})
    return run


@pytest.fixture
def url(run: RunDir) -> Iterator[str]:
    port = free_port()
    arguments = ["examples.serve", "--run-dir", str(run.path), "--port", str(port)]
    with process(arguments, log=run.path / "server.log"):
        address = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{address}/health"), 30, "the server")
        yield address


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def ask(url: str, body: Any) -> Any:
    request = urllib.request.Request(
        f"{url}/v1/chat/completions",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def test_a_checkpoint_is_a_model(url: str) -> None:
    with urllib.request.urlopen(f"{url}/v1/models") as answer:
        assert [model["id"] for model in json.load(answer)["data"]] == ["checkpoint-100"]
    question = [{"role": "user", "content": "2 + 2 = ?"}]
    told = ask(url, {"model": "checkpoint-100", "messages": question, "max_tokens": 5})
    assert told["usage"]["completion_tokens"] <= 5
    assert all(each["logprob"] <= 0 for each in told["choices"][0]["logprobs"]["content"])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"model": "checkpoint-7", "messages": [{"role": "user", "content": "?"}]}, 404),
        ({"model": "../etc/passwd", "messages": [{"role": "user", "content": "?"}]}, 404),
        ({"model": "checkpoint-100"}, 400),
        ([], 400),
    ],
)
def test_what_it_cannot_answer(url: str, body: Any, status: int) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(url, body)
    assert caught.value.code == status


def test_the_runner_asks_it_as_the_demo_does(url: str, run: RunDir) -> None:
    write_round_settings(run, url)
    runner = Runner(run, load_config(run.previews_file))
    runner.look()
    assert runner.work()
    runner.close()
    (file,) = run.logs("round").iterdir()
    ended = parse_line(RoundRecord, file.read_bytes())
    assert (ended.outcome, ended.answered, ended.errors) == ("completed", 16, 0)
    (log,) = run.logs("preview").iterdir()
    records = [parse_line(PreviewRecord, line) for line in log.read_bytes().splitlines()]
    assert all(record.token_log_probs for record in records)
    assert {record.regime for record in records} <= {"emoji_think", "regime3", "plain_sft"}
