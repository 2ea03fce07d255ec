"""The tables of docs/DATA.md: the fields of records, the training metrics, the failure modes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from control_room.judging.scoring import FAILURES
from control_room.logs.schema import TABLES
from control_room.recording.fields import FieldRule, rules_of
from control_room.recording.metrics import METRICS
from control_room.recording.records import MetricPoint

PAGE = Path(__file__).resolve().parents[2] / "docs" / "DATA.md"

_TYPES = {
    "int": "integer",
    "float": "number",
    "str": "string",
    "bool": "boolean",
    "datetime": "time",
    "Mapping[str, bool]": "object",
    "Sequence[float]": "list of numbers",
}
_FILLED_IN = ("ts", "run_id")  # by the Recorder, where they are left out


def with_tables(page: str) -> str:
    """The page with the tables that are true now. Raises ``ValueError`` where one has no place."""
    for kind, table in TABLES.items():
        page = _replaced(page, f"{kind} fields", _fields(rules_of(table.record)))
    page = _replaced(page, "training metrics", _metrics())
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


def _fields(rules: dict[str, FieldRule]) -> Iterator[str]:
    yield "| field | type, unit | meaning |"
    yield "|---|---|---|"
    for rule in rules.values():
        yield f"| `{rule.name}` | {_type(rule)} | {rule.about.meaning} |"


def _type(rule: FieldRule) -> str:
    about, kind = rule.about, _TYPES[rule.kind]
    if about.low is not None and about.high is not None:
        kind += f" from {about.low:g} to {about.high:g}"
    elif about.low is not None:
        kind += f" from {about.low:g}"
    if about.null:
        kind += " or null"
    elif not rule.required and rule.name not in _FILLED_IN:
        kind += " or absent"
    return f"{kind}, {about.unit}" if about.unit else kind
