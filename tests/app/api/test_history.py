"""The preview history over the API: pages, files, one preview, and what is wrong with a request."""

from __future__ import annotations

import csv
import io
import json

import httpx
import pyarrow.parquet
import pytest

COUNT = 30
HISTORY = "/api/preview/history"


def test_a_page_counts_its_rows_those_that_match_and_all(client: httpx.Client) -> None:
    page = client.get(HISTORY, params={"limit": 4, "regime": "regime3"}).json()
    assert [preview["step"] for preview in page["previews"]] == [28, 26, 24, 22]
    assert (page["limit"], page["offset"], page["count"]) == (4, 0, 4)
    assert (page["total"], page["total_all"]) == (15, COUNT)
    assert page["previous"] is None


def test_links_lead_through_all_pages_and_back(client: httpx.Client) -> None:
    steps, address, previous = [], f"{HISTORY}?limit=7&source_pool=fixed_eval", None
    while address:
        page = client.get(address).json()
        steps += [preview["step"] for preview in page["previews"]]
        address, previous = page["next"], page["previous"]
    assert steps == list(range(COUNT))[::-1]
    assert previous is not None
    assert client.get(previous).json()["offset"] == 21


@pytest.mark.parametrize(
    ("query", "steps"),
    [
        ("min_step=28", [29, 28]),
        ("max_step=1", [1, 0]),
        ("since=2026-01-01T00:28:00Z", [29, 28]),
        ("until=2026-01-01T00:01:00%2B00:00", [1, 0]),
        ("q=PROMPT%2017", [17]),
        ("exact_match=true&min_step=25", [27]),
        ("min_length=5&below_length=7", [6, 5]),
        ("regime=no%20such", []),
        ("offset=1000", []),
    ],
)
def test_filters_narrow(client: httpx.Client, query: str, steps: list[int]) -> None:
    page = client.get(f"{HISTORY}?{query}").json()
    assert [preview["step"] for preview in page["previews"]] == steps


def test_not_a_number_is_null(client: httpx.Client) -> None:
    page = client.get(HISTORY, params={"min_step": 7, "max_step": 7}).json()
    assert page["previews"][0]["ce"] is None


def test_a_preview_is_found_by_its_id(client: httpx.Client) -> None:
    preview = client.get(HISTORY, params={"min_step": 17, "max_step": 17}).json()["previews"][0]
    assert client.get(f"/api/preview/{preview['id']}").json() == preview
    assert client.get("/api/preview/2000-01-01.1").status_code == 404
    assert client.get("/api/preview/banana").status_code == 422


def test_csv_holds_what_matches(client: httpx.Client) -> None:
    answer = client.get(f"{HISTORY}.csv", params={"regime": "regime3"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "previews.csv" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [int(row["step"]) for row in rows] == list(range(0, COUNT, 2))


def test_json_lines_hold_what_matches(client: httpx.Client) -> None:
    answer = client.get(f"{HISTORY}.jsonl", params={"min_step": 6, "max_step": 7})
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [(row["step"], row["ce"]) for row in rows] == [(6, 0.6), (7, None)]


def test_parquet_holds_what_matches(client: httpx.Client) -> None:
    answer = client.get(f"{HISTORY}.parquet", params={"min_step": "25"})
    table = pyarrow.parquet.read_table(io.BytesIO(answer.content))
    assert table.column("step").to_pylist() == [25, 26, 27, 28, 29]


@pytest.mark.parametrize("path", [HISTORY, f"{HISTORY}.csv", "/api/analytics/heatmap"])
@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("exact_match=banana", "exact_match"),
        ("foo=1", "foo"),
        ("min_step=-1", "min_step"),
        ("min_step=99999999999999999999", "min_step"),
        ("regime=a&regime=b", "regime"),
        ("since=yesterday", "since"),
    ],
)
def test_a_wrong_parameter_is_named(
    client: httpx.Client, path: str, query: str, named: str
) -> None:
    answer = client.get(f"{path}?{query}")
    assert answer.status_code == 422
    assert named in str(answer.json()["detail"])


@pytest.mark.parametrize(
    "query", ["limit=abc", "limit=0", "limit=1001", "limit=1e9", "offset=-1", "max_step=0.0"]
)
def test_a_page_that_cannot_be_is_refused(client: httpx.Client, query: str) -> None:
    assert client.get(f"{HISTORY}?{query}").status_code == 422


def test_a_full_page_is_packed_for_those_who_take_it(client: httpx.Client) -> None:
    packed = client.get(HISTORY, headers={"accept-encoding": "gzip"})
    plain = client.get(HISTORY, headers={"accept-encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.json() == plain.json()
