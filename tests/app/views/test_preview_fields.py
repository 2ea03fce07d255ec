"""Every field that a preview may have reaches the pages, the API and all files."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from typing import Any

import httpx
import pyarrow.parquet
import pytest

from app.cards import preview
from app.generate import data_docs
from control_room import PreviewRecord, Recorder, RunDir
from control_room.client import Client
from control_room.history import queries
from control_room.history.filters import PreviewFilter
from control_room.history.index import HistoryIndex
from control_room.recording.fields import rules_of
from tests.support import serving_app, wait_until

HISTORY = "/api/preview/history"
LISTS = {name for name, rule in rules_of(PreviewRecord).items() if rule.kind == "Sequence[float]"}


def everything() -> dict[str, Any]:
    """A value for each field of the record, told apart from all others."""
    values: dict[str, Any] = {}
    for place, (name, rule) in enumerate(rules_of(PreviewRecord).items()):
        values[name] = {
            "int": 1_000 + place,
            "float": place / 64,
            "str": f"{name}-{place}",
            "bool": False,
            "datetime": datetime(2026, 1, 31, 12, tzinfo=UTC),
            "Mapping[str, bool]": {f"check_{place}": True},
            "Sequence[float]": [-0.25, -1.5, float("nan")],
        }[rule.kind]
    return values


LOGGED = everything()
IN_JSON = {
    **LOGGED,
    "ts": "2026-01-31T12:00:00Z",
    **{name: [-0.25, -1.5, None] for name in LISTS},
}


def is_moment(text: str) -> bool:
    return bool(datetime.fromisoformat(text) == LOGGED["ts"])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    found = RunDir(tmp_path_factory.mktemp("fields") / "run")
    with Recorder(found) as recorder:
        recorder.log_preview(**LOGGED)
    return found


@pytest.fixture(scope="module")
def client(run: RunDir) -> Iterator[httpx.Client]:
    with (
        serving_app(run.path, run.path.parent / "app.log") as address,
        httpx.Client(base_url=address, timeout=30) as opened,
    ):
        wait_until(lambda: opened.get(HISTORY).status_code == 200, 60, "the history")
        wait_until(
            lambda: opened.get("/api/status/preview").json()["latest_preview"] is not None, 60
        )
        yield opened


@pytest.mark.parametrize("name", LOGGED)
def test_an_answer_of_the_api_holds_it(client: httpx.Client, name: str) -> None:
    (shown,) = client.get(HISTORY, params={"fields": name}).json()["previews"]
    assert set(shown) == {"id", name}
    assert shown[name] == IN_JSON[name]
    whole = client.get(f"/api/preview/{shown['id']}").json()
    assert (name in whole) is (name not in LISTS)
    assert name in LISTS or whole[name] == IN_JSON[name]


@pytest.mark.parametrize("name", LOGGED)
def test_the_live_answer_holds_it_unless_it_is_a_list(client: httpx.Client, name: str) -> None:
    shown = client.get("/api/status/preview").json()["latest_preview"]
    assert (name in shown) is (name not in LISTS)
    if name == "ts":
        assert is_moment(shown[name])
    elif name not in LISTS:
        assert shown[name] == LOGGED[name]


@pytest.mark.parametrize("name", LOGGED)
def test_json_lines_hold_it(client: httpx.Client, name: str) -> None:
    row = json.loads(client.get(f"{HISTORY}.jsonl").text)
    assert is_moment(row[name]) if name == "ts" else row[name] == IN_JSON[name]


@pytest.mark.parametrize("name", LOGGED)
def test_csv_holds_it(client: httpx.Client, name: str) -> None:
    (row,) = csv.DictReader(io.StringIO(client.get(f"{HISTORY}.csv").text))
    text = row[name]
    if name == "ts":
        assert is_moment(text)
    elif isinstance(LOGGED[name], str):
        assert text == LOGGED[name]
    else:
        assert json.loads(text) == IN_JSON[name]


@pytest.mark.parametrize("name", LOGGED)
def test_parquet_holds_it_as_it_was_logged(client: httpx.Client, name: str) -> None:
    data = io.BytesIO(client.get(f"{HISTORY}.parquet").content)
    (row,) = pyarrow.parquet.read_table(data).to_pylist()
    value = row[name]
    if name == "ts":
        value = value.replace(tzinfo=UTC)
    elif isinstance(LOGGED[name], dict):
        value = dict(value)
    assert str(value) == str(LOGGED[name])


@pytest.mark.parametrize("name", LOGGED)
def test_one_preview_read_whole_on_the_page_shows_it(run: RunDir, name: str) -> None:
    with HistoryIndex(run) as index:
        index.refresh()
        row = queries.preview(index.cursor(), 1)
    assert row is not None
    shown = unescape(re.sub(r"<[^>]+>", " ", preview.detail_html(row)))
    value = LOGGED[name]
    if name == "ts":
        assert f"{value.astimezone():%Y-%m-%d %H:%M:%S}" in shown
    elif name in LISTS:
        assert "3 values, 2 of them finite: mean -0.875, lowest -1.5" in shown
    elif isinstance(value, dict):
        assert "check" in shown and "kept" in shown
    elif isinstance(value, bool):
        assert name in shown
    else:
        assert str(value) in shown


@pytest.mark.parametrize("name", LOGGED)
def test_the_api_and_the_documentation_say_what_it_means(client: httpx.Client, name: str) -> None:
    schemas = client.get("/api/openapi.json").json()["components"]["schemas"]
    about = rules_of(PreviewRecord)[name].about
    described = schemas["LoggedPreview"]["properties"][name]["description"]
    assert about.meaning[1:] in described and about.unit in described
    assert (name in schemas["LatestPreview"]["properties"]) is (name not in LISTS)
    assert f"| `{name}` |" in data_docs.PAGE.read_text(encoding="utf-8")


def test_what_was_not_logged_is_named_on_the_page(tmp_path: Any) -> None:
    run = RunDir(tmp_path / "run")
    with Recorder(run) as recorder:
        recorder.log_preview(step=1, prompt="p", golden="g", model_answer="a", seed=7)
    with HistoryIndex(run) as index:
        index.refresh()
        row = queries.preview(index.cursor(), 1)
    assert row is not None
    shown = preview.detail_html(row)
    assert "<dt>seed</dt><dd>7</dd>" in shown
    missing = shown.partition("Not logged: ")[2]
    assert "temperature" in missing and "token_log_probs" in missing and "seed" not in missing


def test_a_page_of_the_table_does_not_read_the_lists(run: RunDir) -> None:
    with HistoryIndex(run) as index:
        index.refresh()
        (row,) = queries.preview_page(index.cursor(), PreviewFilter(), limit=9, offset=0).rows
        assert row.token_log_probs is None
        (row,) = queries.preview_page(
            index.cursor(), PreviewFilter(), limit=9, offset=0, lists=True
        ).rows
    assert row.token_log_probs is not None and list(row.token_log_probs)[:2] == [-0.25, -1.5]


def test_a_star_stands_for_what_comes_without_asking(client: httpx.Client) -> None:
    (plain,) = client.get(HISTORY).json()["previews"]
    (starred,) = client.get(HISTORY, params={"fields": "*"}).json()["previews"]
    (more,) = client.get(HISTORY, params={"fields": "*, token_log_probs"}).json()["previews"]
    assert plain == starred
    assert more == {**plain, "token_log_probs": [-0.25, -1.5, None]}
    assert client.get(f"/api/preview/{plain['id']}?fields=*,token_log_probs").json() == more


def test_a_number_of_a_list_that_json_lacks_is_described_as_null(client: httpx.Client) -> None:
    schemas = client.get("/api/openapi.json").json()["components"]["schemas"]
    for described in schemas.values():
        for name in described.get("properties", {}).keys() & set(queries.LIST_COLUMNS):
            lists, _ = described["properties"][name]["anyOf"]
            assert {"type": "null"} in lists["items"]["anyOf"]


def test_a_field_that_there_is_not_is_named_with_those_there_are(client: httpx.Client) -> None:
    (known,) = client.get(HISTORY).json()["previews"]
    for path in (HISTORY, f"/api/preview/{known['id']}"):
        answer = client.get(path, params={"fields": "step,stpe"})
        assert answer.status_code == 422
        said = str(answer.json()["detail"])
        assert "stpe" in said and "token_log_probs" in said and "requested_checkpoint_id" in said


def test_the_next_page_has_the_same_fields(client: httpx.Client) -> None:
    page = client.get(HISTORY, params={"fields": "step", "limit": 1, "offset": 1}).json()
    assert "fields=step" in page["previous"]


def test_the_client_asks_for_them_too(client: httpx.Client) -> None:
    asks = Client(str(client.base_url))
    (page,) = asks.previews(fields="step,token_log_probs")
    assert page["token_log_probs"] == [-0.25, -1.5, None]
    assert asks.preview_by_id(page["id"], fields="seed")["seed"] == LOGGED["seed"]
