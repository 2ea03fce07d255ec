"""The real app over a run that has a little of everything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from app.api import create_api
from app.settings import load_settings
from app.watch.monitor import Monitor
from app.watch.runs import Runs
from control_room import PreviewRecord, Recorder
from control_room.history.queries import Cursor
from tests.analysed import record_run
from tests.support import serving_app, wait_until

COUNT = 30
START = datetime(2026, 1, 1, tzinfo=UTC)


def log_everything(run_dir: Path) -> None:
    """A finished run with previews, metrics, throughput, evaluations and a retention index."""
    with Recorder(run_dir) as recorder:
        for step in range(COUNT):
            recorder.log_preview(
                PreviewRecord(
                    ts=START + timedelta(minutes=step),
                    step=step,
                    prompt=f"Prompt {step}",
                    golden="g",
                    model_answer="a",
                    exact_match=step % 3 == 0,
                    regime=("regime3", "plain_sft")[step % 2],
                    source_pool="fixed_eval",
                    pattern="addition",
                    golden_tokens=step,
                    ce=float("nan") if step == 7 else step / 10,
                )
            )
            recorder.log_metrics(step=step, loss=float("inf") if step == 5 else 0.5)
            recorder.log_throughput(step=step, tokens_per_sec=100.0 + step, batch_size=8)
        recorder.log_eval(step=10, kind="fixed", em=0.5, ce=1.5, ece=0.1, count=40)
        recorder.log_eval(step=20, kind="fixed", em=0.75, ce=1.25, ece=0.05, count=40)
        recorder.log_eval(step=20, kind="fixed", domain="addition", em=0.8, count=10)
        recorder.log_eval(step=20, kind="micro", loss=0.4, count=100)
        recorder.update_status(current_step=COUNT - 1, total_steps=100, loss=0.5, model_name="tiny")
    checkpoints = run_dir / "checkpoints"
    checkpoints.mkdir()
    (checkpoints / "retention_index.json").write_text(
        '{"checkpoints": [], "snapshots": ['
        '{"date": "2026-01-01", "step": 10, "size_bytes": 1073741824, "metrics": {"em": 0.5}},'
        '{"date": "2026-01-02", "step": 20, "metrics": {"em": 0.75}, "protected": true},'
        '{"date": "2026-01-03", "step": 30, "metrics": {"em": 0.7}}, "garbage"]}'
    )


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of the app, once it has read everything."""
    directory = tmp_path_factory.mktemp("api")
    log_everything(directory / "run")
    with serving_app(directory / "run", directory / "app.log") as served:

        def has_read() -> bool:
            evals = httpx.get(f"{served}/api/status/evals").json()
            history = httpx.get(f"{served}/api/preview/history", timeout=30)
            return evals["fixed_eval_step"] == 20 and history.status_code == 200

        wait_until(has_read, 60, "all that was logged")
        yield served


@pytest.fixture(scope="session")
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=30) as opened:
        yield opened


@dataclass(frozen=True)
class Analysed:
    """An app over ``run``, which learns, with ``other`` beside it, which does not."""

    monitor: Monitor
    client: TestClient

    def cursor(self) -> Cursor:
        return self.monitor.history.cursor()

    def answer(self, address: str) -> Any:
        """In JSON; another run's history is read when it is first wanted, which is waited for."""
        wait_until(lambda: self.client.get(address).status_code != 503, what=address)
        answer = self.client.get(address)
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextmanager
def watched(run_dir: Path, *runs: str, has_logs: bool = True) -> Iterator[Analysed]:
    """The API over a run, once its history is read where it has one."""
    monitor = Monitor(load_settings({"run_dir": str(run_dir), "runs": list(runs)}))
    served = Runs(monitor)
    monitor.history.want()
    monitor.start()
    try:
        if has_logs:
            wait_until(lambda: monitor.history.state == "ready", 60, "the history")
        yield Analysed(monitor, TestClient(create_api(monitor, served)))
    finally:
        served.close()
        monitor.stop()


@pytest.fixture(scope="session")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Analysed]:
    directory = tmp_path_factory.mktemp("analysed")
    record_run(directory / "run")
    record_run(directory / "other", seed=1, learns=False)
    with watched(directory / "run", str(directory / "*")) as served:
        yield served
