"""``python -m app.field_tables``: write the tables of docs/DATA.md from the records."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from control_room.logs.schema import TABLES
from control_room.recording.fields import FieldRule, rules_of

PAGE = Path(__file__).resolve().parents[1] / "docs" / "DATA.md"
_TABLE = re.compile(r"(<!-- fields: (\w+) -->\n).*?(?=<!-- end of fields -->)", re.DOTALL)
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
    """The page with the tables that are true now: one for each kind of record."""
    kinds = {str(kind): table.record for kind, table in TABLES.items()}
    return _TABLE.sub(lambda match: match[1] + "".join(_rows(rules_of(kinds[match[2]]))), page)


def _rows(rules: dict[str, FieldRule]) -> Iterator[str]:
    yield "| field | type, unit | meaning |\n|---|---|---|\n"
    for rule in rules.values():
        yield f"| `{rule.name}` | {_type(rule)} | {rule.about.meaning} |\n"


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


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
