"""What the history cannot answer is said by the status and in words, by pages and files alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from fastapi.testclient import TestClient

from app.api import create_api
from app.settings import load_settings
from app.watch.monitor import Monitor
from control_room import Recorder
from control_room.history.watched_cursor import guarded
from tests.support import wait_until

ADDRESSES = (
    "/api/preview/history",
    "/api/preview/history.csv",
    "/api/preview/history.jsonl",
    "/api/preview/history.parquet",
    "/api/analytics/heatmap",
    "/api/metrics/series",
)


class Failing:
    """A connection whose every question fails."""

    def __init__(self, error: duckdb.Error) -> None:
        self._error = error

    def execute(self, *arguments: object) -> None:
        raise self._error

    sql = execute

    def begin(self) -> None:
        return

    rollback = begin


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Monitor]:
    with Recorder(tmp_path / "run") as recorder:
        recorder.log_preview(step=1, prompt="p", golden="g", model_answer="a")
    started = Monitor(load_settings({"run_dir": str(tmp_path / "run")}))
    started.history.want()
    started.start()
    wait_until(lambda: started.history.state == "ready")
    yield started
    started.stop()


def ask(monitor: Monitor, error: duckdb.Error, address: str) -> tuple[int, str, str | None]:
    history = monitor.history

    def cursor(*, wait_s: float = 0) -> duckdb.DuckDBPyConnection:
        return guarded(Failing(error), history._failed)  # type: ignore[arg-type]  # as much as is asked

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(history, "cursor", cursor)
        answer = TestClient(create_api(monitor), raise_server_exceptions=False).get(address)
    return answer.status_code, answer.json()["detail"], answer.headers.get("retry-after")


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_damaged_cache_is_asked_again_later(monitor: Monitor, address: str) -> None:
    error = duckdb.Error("Corrupt database file: computed checksum 1 does not match 2")
    status, detail, again = ask(monitor, error, address)
    assert (status, again) == (503, "1")
    assert "built again from the logs" in detail


@pytest.mark.parametrize("address", ADDRESSES)
def test_what_it_has_no_memory_for_is_named(monitor: Monitor, address: str) -> None:
    error = duckdb.OutOfMemoryException("could not allocate block of 1 GiB")
    status, detail, again = ask(monitor, error, address)
    assert (status, again) == (500, None)
    assert "cannot answer this: it takes more than history.memory_limit_mb" in detail


def test_what_a_failure_quotes_stays_in_the_log(
    monitor: Monitor, caplog: pytest.LogCaptureFixture
) -> None:
    error = duckdb.ConversionException("Could not convert string 'CANARY' to INT64")
    status, detail, _ = ask(monitor, error, ADDRESSES[0])
    assert status == 500
    assert "CANARY" not in detail and "log" in detail
    assert "CANARY" in caplog.text
