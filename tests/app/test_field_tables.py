"""The tables of lines in the documentation are those of the records."""

from __future__ import annotations

import pytest

from app.field_tables import PAGE, with_tables
from control_room.logs.schema import TABLES, Table
from control_room.recording.fields import rules_of


def test_the_tables_are_current() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_tables(page), "run python -m app.field_tables"


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_every_field_of_a_record_stands_in_its_table_with_what_it_means(table: Table) -> None:
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(f"<!-- fields: {table.kind} -->")
    shown = rest.partition("<!-- end of fields -->")[0].splitlines()
    for name, rule in rules_of(table.record).items():
        (row,) = [line for line in shown if line.startswith(f"| `{name}` |")]
        assert rule.about.meaning and row.endswith(f" {rule.about.meaning} |")
