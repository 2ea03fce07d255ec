"""kill -9 at any moment: no answer that is in the log is lost, none is asked for again."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest

from tests.control_room.previews.conftest import Bench
from tests.support import ROOT, free_port, wait_until

KILLS = 100
EXAMPLES = 1500
DELAY_MS = 4
SLOTS = 4


@pytest.fixture
def url() -> Iterator[str]:
    """A server in a process of its own: this one is forked."""
    port = free_port()
    module = "tests.control_room.previews.model_server"
    command = [sys.executable, "-m", module, str(port), str(DELAY_MS), str(SLOTS)]
    server = subprocess.Popen(command, cwd=ROOT)

    def answers() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/asked").status_code == 200
        except httpx.HTTPError:
            return False

    wait_until(answers, 20, "the server")
    yield f"http://127.0.0.1:{port}"
    server.kill()
    server.wait()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # forking while threads run: none does
def test_a_hundred_kills_lose_nothing_and_repeat_nothing(bench: Bench, url: str) -> None:
    bench.examples(*({"id": f"e{n}", "prompt": f"{n}?", "golden": "4"} for n in range(EXAMPLES)))
    bench.checkpoint(1)
    settings = f"[preview]\nexamples = {EXAMPLES}\n"
    server = f"concurrency = {SLOTS}"
    bench.runner(url, settings, server).close()  # writes the settings, loads what is to be loaded
    rng = random.Random(20260101)
    killed = 0
    while not bench.rounds():
        child = os.fork()
        if child == 0:
            try:
                bench.work_off(bench.runner(url, settings, server))
            finally:
                os._exit(0)
        if killed < KILLS:
            time.sleep(rng.uniform(0.0, 0.06))
            os.kill(child, signal.SIGKILL)
            killed += 1
        os.waitpid(child, 0)
    assert killed == KILLS, "the round was over before all kills"
    answered = Counter(record.example_id for record in bench.whole_previews())
    assert set(answered.values()) == {1}, "an answer that was logged is never asked for again"
    assert len(answered) == EXAMPLES, "nothing is lost"
    assert bench.rounds()[-1].answered == EXAMPLES
    # What was asked more often was out, unanswered, when its runner was killed.
    asked = sum(httpx.get(f"{url}/asked").json().values())
    assert asked <= EXAMPLES + KILLS * SLOTS
