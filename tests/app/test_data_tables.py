"""The tables of docs/DATA.md are those of the declarations."""

from __future__ import annotations

import pytest

from app.data_tables import PAGE, with_tables
from control_room.judging.scoring import FAILURES
from control_room.recording.metrics import METRICS


def test_the_tables_are_current() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_tables(page), "run python -m app.data_tables"


def test_every_metric_and_every_failure_mode_is_there_once() -> None:
    page = PAGE.read_text(encoding="utf-8")
    _, _, metrics = page.partition("<!-- metrics -->")
    _, _, failures = page.partition("<!-- failure modes -->")
    for text, names in ((metrics, [each.name for each in METRICS]), (failures, list(FAILURES))):
        table, _, _ = text.partition("<!-- end")
        assert all(table.count(f"\n| `{name}` |") == 1 for name in names)


def test_a_page_that_has_no_place_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the table of metrics"):
        with_tables("# The run directory\n")
