"""The API against the real server: files of the history, and answers to what is wrong."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import httpx
import pyarrow.parquet
import pytest

from control_room import Recorder
from tests.support import serving_app, wait_until

COUNT = 30


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    directory = tmp_path_factory.mktemp("api")
    with Recorder(directory / "run") as recorder:
        for step in range(COUNT):
            recorder.log_preview(
                step=step,
                prompt="p",
                golden="g",
                model_answer="a",
                regime=("regime3", "plain_sft")[step % 2],
            )
    with (
        serving_app(directory / "run", directory / "app.log") as address,
        httpx.Client(base_url=f"{address}/api", timeout=30) as opened,
    ):
        wait_until(lambda: opened.get("/preview/history.csv").status_code == 200, 30, "the history")
        yield opened


def test_csv_holds_what_matches(client: httpx.Client) -> None:
    answer = client.get("/preview/history.csv", params={"regime": "regime3"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "previews.csv" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["step"]) for row in rows] == list(range(0, COUNT, 2))


def test_parquet_holds_what_matches(client: httpx.Client) -> None:
    answer = client.get("/preview/history.parquet", params={"min_step": "25"})
    table = pyarrow.parquet.read_table(io.BytesIO(answer.content))
    assert table.column("step").to_pylist() == [25, 26, 27, 28, 29]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("exact_match=banana", "exact_match=banana"),
        ("foo=1", "foo=1"),
        ("min_step=-1", "min_step=-1"),
        ("regime=a&regime=b", "regime is given more than once"),
    ],
)
def test_a_wrong_parameter_is_named(client: httpx.Client, query: str, named: str) -> None:
    answer = client.get(f"/preview/history.csv?{query}")
    assert answer.status_code == 422
    assert named in answer.json()["detail"]


def test_an_unknown_path_is_a_404_in_json(client: httpx.Client) -> None:
    answer = client.get("/nothing")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not Found"})
