"""Exports: every row that matches, read back by the libraries people read them with."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow.parquet
import pytest

from control_room import PreviewRecord, Recorder, RunDir
from control_room.history import windows
from control_room.history.export import csv_chunks, parquet_chunks
from control_room.history.filters import PreviewFilter
from control_room.history.index import HistoryIndex

START = datetime(2026, 1, 1, tzinfo=UTC)
HOSTILE = 'says "hi",\r\nthen\tleaves; =1+1 🛑'
COUNT = 50


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HistoryIndex]:
    run = RunDir(tmp_path_factory.mktemp("export") / "run")
    with Recorder(run) as recorder:
        for i in range(COUNT):
            recorder.log_preview(
                PreviewRecord(
                    ts=START + timedelta(seconds=i),
                    step=i,
                    prompt=HOSTILE,
                    golden="",
                    model_answer="a",
                    regime=("plain_sft", "regime3")[i % 2],
                    contract_status={"answer_start": True} if i % 2 else None,
                )
            )
    with HistoryIndex(run) as opened:
        opened.refresh()
        yield opened


def rows_of(chunks: Iterator[bytes]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(b"".join(chunks).decode(), newline="")))


def test_csv_holds_every_row_that_matches_oldest_first(index: HistoryIndex) -> None:
    rows = rows_of(csv_chunks(index.cursor(), PreviewFilter(regime="regime3")))
    assert [int(row["step"]) for row in rows] == list(range(1, COUNT, 2))
    assert rows[0]["ts"] == "2026-01-01T00:00:01.000000Z"
    assert rows[0]["prompt"] == HOSTILE
    assert (rows[0]["golden"], rows[0]["ce"]) == ("", "")
    assert json.loads(rows[0]["contract_status"]) == {"answer_start": True}


def test_parquet_keeps_the_types(index: HistoryIndex) -> None:
    data = b"".join(parquet_chunks(index.cursor(), PreviewFilter()))
    table: Any = pyarrow.parquet.read_table(io.BytesIO(data))
    assert table.num_rows == COUNT
    row = table.to_pylist()[1]
    assert row["prompt"] == HOSTILE
    assert row["contract_status"] == [("answer_start", True)]
    assert row["ts"] == (START + timedelta(seconds=1)).replace(tzinfo=None)


@pytest.mark.parametrize("window", [1, 7, 1_000])
def test_rows_come_whole_however_they_are_cut(
    index: HistoryIndex, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    monkeypatch.setattr(windows, "BLOCK_ROWS", window)
    assert len(rows_of(csv_chunks(index.cursor(), PreviewFilter()))) == COUNT
    data = b"".join(parquet_chunks(index.cursor(), PreviewFilter(regime="regime3")))
    assert pyarrow.parquet.read_table(io.BytesIO(data)).num_rows == COUNT // 2


def test_nothing_that_matches_is_a_header_alone(index: HistoryIndex) -> None:
    nothing = PreviewFilter(regime="no such")
    assert rows_of(csv_chunks(index.cursor(), nothing)) == []
    assert b"".join(csv_chunks(index.cursor(), nothing)).startswith(b'"ts","step"')
    data = b"".join(parquet_chunks(index.cursor(), nothing))
    assert pyarrow.parquet.read_table(io.BytesIO(data)).num_rows == 0


def test_an_empty_history_can_be_exported(tmp_path: Any) -> None:
    with HistoryIndex(RunDir(tmp_path)) as index:
        assert rows_of(csv_chunks(index.cursor(), PreviewFilter())) == []


def test_what_is_added_meanwhile_is_not_in_it(tmp_path: Any) -> None:
    run = RunDir(tmp_path)
    with Recorder(run) as recorder, HistoryIndex(run) as index:
        for step in range(3):
            recorder.log_preview(step=step, prompt="p", golden="g", model_answer="a")
        index.refresh()
        chunks = csv_chunks(index.cursor(), PreviewFilter())
        first = next(chunks)
        recorder.log_preview(step=3, prompt="p", golden="g", model_answer="a")
        assert index.refresh().added == 1
        assert len(rows_of(iter([first, *chunks]))) == 3
