"""Two runners that share one real Redis: each round is done once."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from control_room.previews.runner import Runner
from tests.control_room.previews.conftest import EXAMPLES, Bench
from tests.control_room.previews.model_server import ModelServer
from tests.support import free_port, wait_until

redis = pytest.importorskip("redis")


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server here (Debian: apt-get install redis-server)")
    port = free_port()
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    client = redis.Redis(port=port)

    def answers() -> bool:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False

    try:
        wait_until(answers, 20, "Redis")
        yield f"redis://127.0.0.1:{port}"
    finally:
        client.close()
        server.terminate()
        server.wait()


def test_each_round_is_done_once_whoever_takes_it(
    bench: Bench, serve: Callable[..., ModelServer], redis_url: str
) -> None:
    server = serve()
    more = f'[queue]\nredis_url = "{redis_url}"\n'
    runners = [bench.runner(server.url, more) for _ in range(2)]
    for step in (1, 2, 3):
        bench.checkpoint(step)
        for runner in runners:
            runner.look()  # both see it, both may queue it
        workers = [threading.Thread(target=work_off, args=(runner,)) for runner in runners]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(timeout=30)
    asked = Counter((record.checkpoint_id, record.example_id) for record in bench.previews())
    assert set(asked.values()) == {1}
    assert len(asked) == 3 * EXAMPLES
    assert sorted(each.checkpoint_id for each in bench.rounds()) == [
        "checkpoint-1",
        "checkpoint-2",
        "checkpoint-3",
    ]


def work_off(runner: Runner) -> None:
    while runner.work():
        continue
