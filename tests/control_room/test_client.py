"""The client against the real app: typed answers, all pages, and errors that say what to do."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import get_type_hints

import pytest

from control_room import Recorder, api_types
from control_room.api_methods import ApiMethods
from control_room.client import ApiError, Client
from tests.support import free_port, serving_app

COUNT = 1_200
NOTHING_TO_TELL = {("compare", 404), ("compare_flips", 404), ("heads", 404)}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    directory = tmp_path_factory.mktemp("client")
    with Recorder(directory / "run") as recorder:
        for step in range(COUNT):
            recorder.log_preview(
                step=step,
                prompt=f"Prompt {step}",
                golden="g",
                model_answer="a",
                exact_match=step % 4 == 0,
                pattern="addition",
                golden_tokens=5,
            )
            recorder.log_metrics(step=step, loss=1.0)
        recorder.log_throughput(step=1, tokens_per_sec=5.0)
    with serving_app(directory / "run", directory / "app.log") as address:
        yield Client(address)


def test_the_history_is_waited_for_and_told_page_by_page(client: Client) -> None:
    steps = [preview["step"] for preview in client.previews(exact_match=True)]
    assert steps == list(range(0, COUNT, 4))[::-1]


def test_the_views_are_told(client: Client) -> None:
    assert client.live()["run_id"] == "run"
    assert client.preview()["run_id"] == "run"
    assert client.evals()["snapshots"] == []
    assert len(client.system()["machines"]) == 1
    assert client.health()["status"] == "ok"


def test_series_samples_and_heatmap_are_told(client: Client) -> None:
    series = client.metric_series("loss", points=10, min_step=100)
    assert (series["total"], len(series["points"]) <= 10) == (COUNT - 100, True)
    assert client.throughput_samples()["count"] == 1
    assert client.heatmap()["cells"][0]["count"] == COUNT


def test_every_method_answers_with_the_fields_of_its_type(client: Client) -> None:
    for name, method in inspect.getmembers(client, inspect.ismethod):
        if name not in vars(ApiMethods) or name.startswith("_") or name == "one_preview":
            continue
        fields = get_type_hints(getattr(ApiMethods, name), vars(api_types) | {"datetime": datetime})
        try:
            answer = method()
        except ApiError as error:
            assert (name, error.status) in NOTHING_TO_TELL, error
        else:
            assert answer.keys() <= fields["return"].__annotations__.keys(), name
            assert fields["return"].__annotations__.keys() - answer.keys() <= {"cut", "whole"}, name


def test_what_is_asked_for_narrows_the_answer(client: Client) -> None:
    rates = client.rates(exact_match=True, since=datetime(2000, 1, 1, tzinfo=UTC))
    assert rates["overall"]["em"] == 1.0
    assert rates["overall"]["count"] == COUNT // 4
    assert client.runs(limit=1)["runs"][0]["name"] == "run"
    with pytest.raises(ApiError, match="not two regimes to compare") as refused:
        client.compare(by="regime")
    assert refused.value.status == 404


def test_one_preview_is_found_by_its_id(client: Client) -> None:
    (first,) = client.preview_history(limit=1)["previews"]
    assert client.preview_by_id(first["id"]) == first


def test_times_are_taken_as_they_are(client: Client) -> None:
    assert client.preview_history(until=datetime(2000, 1, 1, tzinfo=UTC))["total"] == 0


def test_a_refusal_names_the_parameter(client: Client) -> None:
    with pytest.raises(ApiError, match="limit: Input should be less") as refused:
        client.preview_history(limit=10**6)
    assert refused.value.status == 422
    with pytest.raises(ApiError, match="no parameter 'colour'"):
        client.preview_history(colour="red")


def test_an_app_that_is_not_there_is_named() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ApiError, match=f"{address}/api/status/live does not answer") as refused:
        Client(address, timeout_s=1).live()
    assert refused.value.status is None


def test_a_run_without_logs_is_said_so(tmp_path: Path) -> None:
    with (
        serving_app(tmp_path / "run", tmp_path / "app.log") as address,
        pytest.raises(ApiError, match="Nothing has been logged"),
    ):
        Client(address, history_wait_s=0).preview_history()
