"""No CSV of the app holds a cell that a spreadsheet runs; programs get texts as logged."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.charts.base import Chart
from control_room.history.export import csv_chunks, jsonl_chunks
from control_room.history.filters import PreviewFilter
from control_room.history.index import HistoryIndex
from control_room.security.spreadsheets import guarded, guarded_rows, unguarded
from tests.security.long_previews import read_all, write_log
from tests.support import ROOT

# OWASP's list (CSV Injection), what Excel skips in front of a sign, and what LibreOffice takes.
RUN = (
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "\tno formula",
    "\rno formula",
    "\nno formula",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://127.0.0.1:9/?"&A1,"x")',
    "=WEBSERVICE(A1)",
    "  =1+1",
    "\u00a0=1+1",
    "\u3000=1+1",
    "\ufeff=1+1",
    "\u200b=1+1",
    '"=1+1',
    "'=1+1",
    "''=1+1",
    "\x00=1+1",
    "＝1+1",
    "＋1+1",
    "－1+1",
    "＠SUM(1)",
    " ＝1+1",
    "-5",
)
HARMLESS = ("", "a=1", "1+1", "text", "'quoted'", "5", "🛑=", " a=b", "{}", "é", "~=", '"said"')
SIGNS = re.compile('[\\s"\u00a0\u200b\u3000\ufeff\x00]*[=+\\-@＝＋－＠\t\r\n]')


def is_run(cell: str) -> bool:
    """Whether some spreadsheet takes what a CSV reader finds for a formula, or moves the cell."""
    return SIGNS.match(cell) is not None


@pytest.mark.parametrize("text", RUN)
def test_a_text_that_would_run_has_an_apostrophe_in_front(text: str) -> None:
    assert guarded(text) == f"'{text}"
    assert unguarded(guarded(text)) == text
    assert not is_run(guarded(text))


@pytest.mark.parametrize("text", HARMLESS)
def test_other_texts_are_as_they_are(text: str) -> None:
    assert guarded(text) == text == unguarded(text)


def test_numbers_are_untouched() -> None:
    row = [-5, -0.25, 1e-9, True, None, "x"]
    assert list(guarded_rows([row])) == [row]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HistoryIndex]:
    names = ("prompt", "golden", "model_answer", "regime", "error", "dataset_id", "example_id")
    rows = [{**dict.fromkeys(names, text), "ce": 0.5} for text in (*RUN, *HARMLESS) if text]
    rows.append({"prompt": " " * 200_000 + "=1+1", "error": "=" + "1" * 200_000})
    run = write_log(tmp_path_factory.mktemp("cells") / "run", rows)
    with HistoryIndex(run) as opened:
        read_all(opened)
        yield opened


@pytest.mark.parametrize("window", [4_000_000, 1], ids=["whole", "in pieces"])
def test_no_cell_of_the_history_is_run(
    index: HistoryIndex, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    monkeypatch.setattr("control_room.history.export._WINDOW_BYTES", window)
    csv.field_size_limit(10**7)
    data = b"".join(csv_chunks(index.cursor(), PreviewFilter())).decode()
    rows = list(csv.reader(io.StringIO(data, newline="")))
    assert len(rows) == len(RUN) + len(HARMLESS) + 1
    assert [cell for row in rows for cell in row if is_run(cell)] == []


def test_programs_get_texts_as_they_were_logged(index: HistoryIndex) -> None:
    csv.field_size_limit(10**7)
    data = b"".join(csv_chunks(index.cursor(), PreviewFilter(), raw=True)).decode()
    rows = list(csv.DictReader(io.StringIO(data, newline="")))
    assert [row["prompt"] for row in rows][: len(RUN)] == list(RUN)
    guarded_data = b"".join(csv_chunks(index.cursor(), PreviewFilter())).decode()
    guarded_rows_read = csv.DictReader(io.StringIO(guarded_data, newline=""))
    assert [unguarded(row["prompt"]) for row in guarded_rows_read] == [r["prompt"] for r in rows]


def test_json_lines_are_for_programs(index: HistoryIndex) -> None:
    data = b"".join(jsonl_chunks(index.cursor(), PreviewFilter(regime="=1+1")))
    assert b'"prompt":"=1+1"' in data


def test_charts_hand_out_no_cell_that_is_run() -> None:
    rows = [{"=1+1": text, "em": -0.5, "low": None} for text in RUN]
    told = list(csv.reader(io.StringIO(Chart({}, "", rows).csv(), newline="")))
    assert [line[1:] for line in told] == [["em", "low"], *[["-0.5", ""]] * len(RUN)]
    assert [line[0] for line in told if is_run(line[0])] == []


def test_every_csv_is_written_by_what_guards_it() -> None:
    """A new writer has to go through guarded_rows, or through export's own condition."""
    writers = [
        path.relative_to(ROOT).as_posix()
        for folder in ("app", "pages", "control_room", "collectors")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if re.search(r"csv\.(Dict)?[wW]riter|to_csv|write_csv|CSVWriter", path.read_text())
    ]
    assert "app/charts/base.py" in writers
    for path in writers:
        text = Path(ROOT / path).read_text()
        assert "guarded_rows(" in text or "FORMULA" in text, path
