"""``python -m app.data_tables``: write the tables of docs/DATA.md that follow from declarations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from control_room.judging.scoring import FAILURES
from control_room.recording.fields import rules_of
from control_room.recording.metrics import METRICS
from control_room.recording.records import MetricPoint

PAGE = Path(__file__).resolve().parents[1] / "docs" / "DATA.md"


def with_tables(page: str) -> str:
    """The page with the tables that are true now. Raises ``ValueError`` where one has no place."""
    page = _replaced(page, "metrics", _metrics())
    return _replaced(page, "failure modes", _failures())


def _replaced(page: str, name: str, lines: Iterable[str]) -> str:
    place = re.compile(rf"(?<=<!-- {name} -->\n).*(?=<!-- end of {name} -->)", re.DOTALL)
    table = "\n".join(lines) + "\n"
    page, count = place.subn(lambda _: table, page)
    if count != 1:
        raise ValueError(f"docs/DATA.md has no place for the table of {name}")
    return page


def _metrics() -> Iterator[str]:
    yield "| metric | unit | meaning | in a metric line | in the status file | imported from |"
    yield "|---|---|---|---|---|---|"
    fields = rules_of(MetricPoint)
    for each in METRICS:
        unit = fields[each.name].about.unit if each.logged else each.unit
        status = _names((each.name, *each.status_names)) if each.live else ""
        logged = "yes" if each.logged else ""
        imported = _names(each.library_names)
        yield (f"| `{each.name}` | {unit} | {each.meaning} | {logged} | {status} | {imported} |")


def _failures() -> Iterator[str]:
    yield "| failure mode | meaning |"
    yield "|---|---|"
    for mode, failure in FAILURES.items():
        yield f"| `{mode}` | {failure.meaning} |"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
