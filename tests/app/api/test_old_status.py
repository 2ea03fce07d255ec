"""The old status address: the trainer's own file, for pages of other origins and with any query."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support import serving_app, wait_until

ADDRESS = "/status/training_status.json"
OLD_PAGES = "http://old-pages.lan:8080"
# As a writer in Python leaves it: its own order, words, spaces, escapes and local time.
WRITTEN = b"""{
  "status": "training", "current_step": 15000, "loss": 0.45071714560849613,
  "loss_trend": "degrading", "throughput_trend": "degrading",
  "timestamp": "2026-11-23T13:32:26.237558", "learning_rate": 2e-4,
  "val_train_gap": null, "current_prompt": "\\ud83e\\udd14 NaN",
  "pattern_loss_trend": {"syllogism": {"avg_loss": 0.5666695681654945}}
}"""


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("old") / "run"
    (directory / "status").mkdir(parents=True)
    return directory


@pytest.fixture(scope="module")
def client(run_dir: Path) -> Iterator[httpx.Client]:
    with (
        serving_app(
            run_dir,
            run_dir.parent / "app.log",
            *("--set", f'api.allowed_origins=["{OLD_PAGES}"]'),
        ) as served,
        httpx.Client(base_url=served, timeout=30) as opened,
    ):
        yield opened


def put(run_dir: Path, content: bytes) -> None:
    """Replace the status as a careful writer does."""
    path = run_dir / "status" / "training_status.json"
    new = path.with_suffix(".tmp")
    new.write_bytes(content)
    new.replace(path)


def answered(client: httpx.Client, content: bytes) -> bool:
    answer = client.get(ADDRESS)
    return answer.status_code == 200 and answer.content == content


def test_before_a_trainer_has_written_there_is_none_and_it_says_so(client: httpx.Client) -> None:
    wait_until(lambda: client.get("/health").json()["sources"]["training"]["age_s"] is not None)
    answer = client.get(ADDRESS, params={"t": "1764000000000"})
    assert answer.status_code == 404
    assert "training_status.json is not there yet" in answer.json()["detail"]


def test_the_file_is_handed_out_as_the_trainer_wrote_it(
    client: httpx.Client, run_dir: Path
) -> None:
    put(run_dir, WRITTEN)
    wait_until(lambda: answered(client, WRITTEN), 10, "the file's own bytes")
    answer = client.get(ADDRESS)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == json.loads(WRITTEN)


@pytest.mark.parametrize("query", ["?t=1764000000000", "?_=1764000000000", "?t=1&t=2&x", "?%FF="])
def test_whatever_the_query_says_is_ignored(
    client: httpx.Client, run_dir: Path, query: str
) -> None:
    put(run_dir, WRITTEN)
    wait_until(lambda: answered(client, WRITTEN), 10, "the file")
    assert client.get(ADDRESS + query).content == WRITTEN


def test_numbers_that_browsers_cannot_read_are_null_and_the_rest_stays(
    client: httpx.Client, run_dir: Path
) -> None:
    put(run_dir, b'{"loss": NaN, "a":[ -Infinity,Infinity ], "said": "NaN \\" Infinity"}')
    plain = b'{"loss": null, "a":[ null,null ], "said": "NaN \\" Infinity"}'
    wait_until(lambda: answered(client, plain), 10, "null in place of NaN")


@pytest.mark.parametrize("broken", [b'{"status": "trai', b"", b"[1]"])
def test_half_a_file_leaves_the_last_whole_one(
    client: httpx.Client, run_dir: Path, broken: bytes
) -> None:
    put(run_dir, WRITTEN)
    wait_until(lambda: answered(client, WRITTEN), 10, "the whole file")
    looked_at = client.get("/api/status/live").json()["problems"]
    put(run_dir, broken)
    os.utime(run_dir / "status" / "training_status.json", (1_800_000_000, 1_800_000_000))
    wait_until(
        lambda: client.get("/api/status/live").json()["problems"] != looked_at, 10, "a look at it"
    )
    assert client.get(ADDRESS).content == WRITTEN


def test_a_removed_file_leaves_the_last_one(client: httpx.Client, run_dir: Path) -> None:
    put(run_dir, WRITTEN)
    wait_until(lambda: answered(client, WRITTEN), 10, "the file")
    (run_dir / "status" / "training_status.json").unlink()

    def seen() -> bool:
        problems = client.get("/api/status/live").json()["problems"]
        return any("was removed" in problem for problem in problems)

    wait_until(seen, 10, "a look at nothing")
    assert client.get(ADDRESS).content == WRITTEN


def test_a_page_of_a_named_origin_may_read_it(client: httpx.Client, run_dir: Path) -> None:
    put(run_dir, WRITTEN)
    wait_until(lambda: answered(client, WRITTEN), 10, "the file")
    for path in (ADDRESS, "/api/status/live", "/api/status/live?_=1764000000000"):
        answer = client.get(path, headers={"origin": OLD_PAGES})
        assert answer.status_code == 200, path
        assert answer.headers["access-control-allow-origin"] == OLD_PAGES, path
        assert "Origin" in answer.headers["vary"], path
        assert "access-control-allow-credentials" not in answer.headers, path


def test_a_page_of_a_named_origin_may_ask_first(client: httpx.Client) -> None:
    asked = {
        "origin": OLD_PAGES,
        "access-control-request-method": "GET",
        "access-control-request-headers": "if-none-match, cache-control, content-type",
    }
    answer = client.options(ADDRESS, headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == OLD_PAGES
    assert "GET" in answer.headers["access-control-allow-methods"]
    asked["access-control-request-method"] = "DELETE"
    assert client.options(ADDRESS, headers=asked).status_code == 400


@pytest.mark.parametrize("origin", ["https://example.org", "null", OLD_PAGES + ".example.org"])
def test_no_other_page_may_read_it(client: httpx.Client, origin: str) -> None:
    for method in ("GET", "OPTIONS"):
        answer = client.request(
            method,
            ADDRESS,
            headers={"origin": origin, "access-control-request-method": "GET"},
        )
        assert "access-control-allow-origin" not in answer.headers, method


@pytest.mark.parametrize("name", ["live", "preview", "evals", "system"])
def test_a_cache_buster_is_ignored_on_the_status_views(client: httpx.Client, name: str) -> None:
    assert client.get(f"/api/status/{name}?_=1764000000000").status_code == 200
    assert client.get(f"/api/status/{name}?nonsense=1").status_code == 422
