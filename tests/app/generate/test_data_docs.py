"""The tables of docs/DATA.md are those of the declarations."""

from __future__ import annotations

import pytest

from app.generate.data_docs import PAGE
from control_room.judging.scoring import FAILURES
from control_room.logs.schema import TABLES, Table
from control_room.recording.fields import rules_of
from control_room.recording.metrics import METRICS


def test_every_metric_and_every_failure_mode_is_there_once() -> None:
    page = PAGE.read_text(encoding="utf-8")
    _, _, metrics = page.partition("<!-- training metrics -->")
    _, _, failures = page.partition("<!-- failure modes -->")
    for text, names in ((metrics, [each.name for each in METRICS]), (failures, list(FAILURES))):
        table, _, _ = text.partition("<!-- end")
        assert all(table.count(f"\n| `{name}` |") == 1 for name in names)


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_every_field_of_a_record_stands_in_its_table_with_what_it_means(table: Table) -> None:
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(f"<!-- {table.kind} fields -->")
    shown = rest.partition("<!-- end")[0].splitlines()
    for name, rule in rules_of(table.record).items():
        (row,) = [line for line in shown if line.startswith(f"| `{name}` |")]
        assert rule.about.meaning and row.endswith(f" {rule.about.meaning} |")
