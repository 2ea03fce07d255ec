"""``python -m tests.extra_declarations field|filter``: whether what a copy declares more is there.

Run in a copy of the tree in which one file declares the fields, or the filters, of
tests/test_one_declaration.py. Each check raises where something lacks them.
"""

from __future__ import annotations

import csv
import io
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow.parquet
from fastapi.testclient import TestClient

from app.api import create_api
from app.cards import preview
from app.generate import data_docs
from app.generate.api_docs import DOCS, TYPES, generated
from app.watch.monitor import Monitor
from control_room import PreviewRecord, Recorder, RunDir
from control_room.history import export, queries
from control_room.history.filters import PreviewFilter
from control_room.history.index import HistoryIndex
from control_room.logs.inference_log import inference_preview, left_out_of
from control_room.recording.records import fields_to_json_line, parse_line
from tests.pages.opened import html, open_page, watching_run
from tests.support import wait_until

TEXTS: dict[str, Any] = {"prompt": "p", "golden": "g", "model_answer": "a"}
# By name of the field: a value, what the page shows of it, and a value that is refused.
FIELDS: dict[str, tuple[Any, str, Any]] = {
    "kindness": (0.625, "0.625 points", 1.5),
    "mood": ("cheerful", "cheerful", ""),
    "judges": ({"second": True, "third": False}, "second kept, third broken", {"second": 1}),
    "rationale": ("Because\nof it", "Because\nof it", 1),
}
MANY = 200  # so that whole blocks are read at once


def main() -> None:
    """Check what the argument names."""
    with tempfile.TemporaryDirectory() as name:
        {"field": check_fields, "filter": check_filters}[sys.argv[1]](Path(name, "run"))


def check_fields(path: Path) -> None:
    """Line, table, files, API, page and documentation have the fields of :data:`FIELDS`."""
    logged = {name: value for name, (value, _, _) in FIELDS.items()}
    with Recorder(path, strict=True) as recorder:
        for step in range(MANY):
            recorder.log_preview(step=step, **TEXTS, **logged)
    check_line(logged)
    check_import()
    check_history(RunDir(path), logged)
    check_written_down(logged)
    with served(path) as client:
        wait_until(lambda: client.get("/api/preview/history").status_code == 200, 60)
        (shown,) = client.get("/api/preview/history?limit=1").json()["previews"]
        assert logged.items() <= shown.items(), shown
        assert logged.items() <= latest(client).items()
        table = open_page("previews").dataframe[0].value
        assert list(table["Kind"]) == [0.625] * 100, list(table)


def check_line(logged: dict[str, Any]) -> None:
    line = fields_to_json_line(
        PreviewRecord, {"step": 1, **TEXTS, **logged}, run_id="r", now="2026-01-31T12:00:00+00:00"
    )
    assert logged.items() <= json.loads(line).items(), line
    read = parse_line(PreviewRecord, line)
    assert {name: getattr(read, name) for name in logged} == logged
    for name, (_, _, bad) in FIELDS.items():
        try:
            PreviewRecord(step=1, **TEXTS, **{name: bad})
        except ValueError as error:
            assert f"PreviewRecord.{name}" in str(error), error
        else:
            raise AssertionError(f"{name}={bad!r} is taken")
    unknown = json.loads(
        fields_to_json_line(PreviewRecord, {"step": 1, **TEXTS}, run_id="r", now="")
    )
    assert unknown["mood"] is None and "kindness" not in unknown


def check_import() -> None:
    """Another system's file calls it otherwise."""
    told = {"ts": "2026-01-31T12:00:00Z", "step": 1, "prompt": "p", "golden": "g"}
    told |= {"model_output": "a", "kindness_score": 0.5, "other": 1}
    read = inference_preview(told)
    assert getattr(read, "kindness") == 0.5 and left_out_of(told) == ["other"]  # noqa: B009


def check_history(run: RunDir, logged: dict[str, Any]) -> None:
    """The table, one preview whole on the page, and every kind of file."""
    with HistoryIndex(run) as index:
        index.refresh()
        cursor = index.cursor()
        query = f"SELECT DISTINCT {', '.join(logged)} FROM previews"
        assert cursor.execute(query).fetchall() == [tuple(logged.values())]
        row = queries.preview(cursor, 1)
        assert row is not None
        shown = preview.detail_html(row)
        for name, (_, said, _) in FIELDS.items():
            assert f"<dt>{name}</dt><dd>{said}</dd>" in shown.replace("<wbr>", ""), shown
        nothing = PreviewFilter()
        for text in ("CAUSE\nOF", "P"):
            found = queries.preview_page(cursor, PreviewFilter(text=text), limit=1, offset=0)
            assert found.total == MANY, text
        rows = list(
            csv.DictReader(io.StringIO(b"".join(export.csv_chunks(cursor, nothing)).decode()))
        )
        assert rows[0]["mood"] == "cheerful" and json.loads(rows[0]["judges"]) == logged["judges"]
        first = next(io.BytesIO(b"".join(export.jsonl_chunks(cursor, nothing))))
        assert logged.items() <= json.loads(first).items()
        data = io.BytesIO(b"".join(export.parquet_chunks(cursor, nothing)))
        assert set(logged) <= set(pyarrow.parquet.read_table(data).column_names)


def check_written_down(logged: dict[str, Any]) -> None:
    page = data_docs.with_tables(data_docs.PAGE.read_text(encoding="utf-8"))
    assert "| `kindness` | number from 0 to 1 or absent, points | how kind it is |" in page
    written = generated()
    for name in logged:
        assert f"| `{name}` |" in written[DOCS] and f"    {name}: " in written[TYPES]


def check_filters(path: Path) -> None:
    """Address, API, files and widgets have a choice of hosts and a limit of answer tokens."""
    with Recorder(path, strict=True) as recorder:
        for step in range(10):
            recorder.log_preview(step=step, **TEXTS, host=f"box{step % 2}", model_tokens=step)
    with served(path) as client:
        wait_until(lambda: client.get("/api/preview/history").status_code == 200, 60)

        def steps(query: str) -> list[int]:
            found = client.get(f"/api/preview/history?{query}").json()["previews"]
            return [each["step"] for each in found]

        wait_until(lambda: len(steps("")) == 10, 60)
        assert steps("host=box1&most_tokens=5") == [5, 3, 1]
        rows = client.get("/api/preview/history.csv?host=box1&most_tokens=5").text
        assert [each["step"] for each in csv.DictReader(io.StringIO(rows))] == ["1", "3", "5"]
        assert client.get("/api/preview/history?most_tokens=-1").status_code == 422
        page = open_page("previews", host="box1", most_tokens="5")
        assert "3 of 10 previews" in html(page)
        assert page.selectbox(key="previews-host").label == "Host"
        assert page.text_input(key="previews-most_tokens").label == "Answer up to, tokens"
        page.selectbox(key="previews-host").select("box0").run()
        assert "3 of 10 previews" in html(page)
        assert list(page.dataframe[0].value["Step"]) == [4, 2, 0]
    assert "| `most_tokens` | integer or null from 0 |" in generated()[DOCS]


@contextmanager
def served(path: Path) -> Iterator[TestClient]:
    """The API over a run that pages show as well."""
    with watching_run(path) as monitor:
        yield client_of(monitor)


def client_of(monitor: Monitor) -> TestClient:
    return TestClient(create_api(monitor), base_url="http://localhost")


def latest(client: TestClient) -> dict[str, Any]:
    """The newest preview as the live answer has it."""

    def shown() -> dict[str, Any] | None:
        found: dict[str, Any] | None = client.get("/api/status/preview").json()["latest_preview"]
        return found

    wait_until(lambda: shown() is not None, 60)
    return shown() or {}


if __name__ == "__main__":
    main()
