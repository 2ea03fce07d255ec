"""The tables of the history index, and how a record becomes a row of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from zlib import crc32

from control_room.recording.fields import rules_of
from control_room.recording.records import (
    EvalRecord,
    HeadRecord,
    MetricPoint,
    NoteRecord,
    PreviewRecord,
    Record,
    RoundRecord,
    ThroughputSample,
)
from control_room.rundir import LogKind

# Of a preview: what its texts and lists take, so that nobody has to read them to know.
SIZE = "size_bytes"
SEARCH_SEPARATOR = "\x1f"  # between the texts
# Compressing long texts takes more time than everything else together, and searching them too.
LONG_TEXTS = tuple(name for name, rule in rules_of(PreviewRecord).items() if rule.about.is_text)
_STORED_PLAIN = " USING COMPRESSION uncompressed"


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of record: its columns come first, then where the row stands in the logs."""

    kind: LogKind
    name: str
    record: type[Record]
    columns: Mapping[str, str]  # name -> SQL type, of the record's own fields

    @property
    def all_columns(self) -> dict[str, str]:
        """Every column's SQL type in the table's order; ``ts`` is UTC without a zone."""
        added = {SIZE: "BIGINT", "search": "VARCHAR"} if self.kind == "preview" else {}
        return {"seq": "BIGINT", **self.columns, **added, "file": "VARCHAR", "line": "BIGINT"}

    @property
    def create(self) -> str:
        """The statement that makes the table."""
        columns = ", ".join(
            f"{name} {sql}{_STORED_PLAIN if name in (*LONG_TEXTS, 'search') else ''}"
            for name, sql in self.all_columns.items()
        )
        return f"CREATE TABLE {self.name} ({columns})"


def _table(kind: LogKind, name: str, record: type[Record]) -> Table:
    columns = {field: _SQL_TYPES[rule.kind] for field, rule in rules_of(record).items()}
    return Table(kind, name, record, columns)


_SQL_TYPES = {
    "datetime": "TIMESTAMP",
    "int": "BIGINT",
    "float": "DOUBLE",
    "str": "VARCHAR",
    "bool": "BOOLEAN",
    "Mapping[str, bool]": "MAP(VARCHAR, BOOLEAN)",
    "Sequence[float]": "DOUBLE[]",
}

TABLES: dict[LogKind, Table] = {
    table.kind: table
    for table in (
        _table("preview", "previews", PreviewRecord),
        _table("throughput", "throughput", ThroughputSample),
        _table("metrics", "metrics", MetricPoint),
        _table("eval", "evals", EvalRecord),
        _table("round", "rounds", RoundRecord),
        _table("note", "notes", NoteRecord),
        _table("heads", "heads", HeadRecord),
    )
}

# To be raised where the rows would be others though the columns are the same.
_CONTENT = 8
# An index with another version is rebuilt from the logs: one with other columns too.
VERSION = f"{_CONTENT}.{crc32(' '.join(table.create for table in TABLES.values()).encode()):08x}"
