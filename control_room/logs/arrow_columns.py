"""Log lines as Arrow columns: a whole block at once where it is plain, else record by record.

Both ways give the same rows. The quick one refuses every block in which it might differ from
:func:`~control_room.recording.records.parse_line`, which alone decides what a line means.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from typing import Any

from control_room.extra import load_extra
from control_room.logs.rejects import Rejects
from control_room.logs.schema import Table
from control_room.logs.tail import Block, Reject
from control_room.recording.fields import FieldRule, rules_of
from control_room.recording.records import Record, parse_line

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_US, _LATEST_US = (
    (moment - _EPOCH) // timedelta(microseconds=1)
    for moment in (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC))
)
SMALL_BLOCK_BYTES = 16_384  # below, going line by line is quicker
# A quote inside a JSON string is escaped, so these find keys only.
_FLAGS = rb'"%s"((?:\s*:\s*(?:null|\{[^{}]*\}))?)'
_RECORD_ENDS = re.compile(rb"\}\n\{")  # findall is twice as fast as bytes.count


class Columns:
    """Makes Arrow tables of one kind of record: its fields in their order, ``line``, ``file``.

    ``parse`` reads a line of another system's file; without it lines are those of a recorder.

    ``ts`` is UTC without a zone. Raises :class:`~control_room.extra.MissingExtra` without
    pyarrow.
    """

    def __init__(self, table: Table, parse: Callable[[bytes], Record] | None = None) -> None:
        self._arrow = load_extra("pyarrow")
        self._compute = load_extra("pyarrow.compute")
        self._json = load_extra("pyarrow.json")
        self._table = table
        self._parse = parse or partial(parse_line, table.record)
        self._is_foreign = parse is not None
        self._rules = rules_of(table.record)
        self._types = {name: arrow_type(self._arrow, sql) for name, sql in table.columns.items()}
        self._flag_objects = {
            name: re.compile(_FLAGS % name.encode())
            for name, rule in self._rules.items()
            if rule.kind == "Mapping[str, bool]"
        }

    def read(self, block: Block) -> tuple[Any, list[Reject]]:
        """The records of a block as an Arrow table in order of time, and the lines that are none.

        The table is None when there are no records.
        """
        quick = len(block.data) >= SMALL_BLOCK_BYTES and not self._is_foreign
        rows = self.read_at_once(block) if quick else None
        return self.read_lines(block) if rows is None else (rows, [])

    def read_lines(self, *blocks: Block) -> tuple[Any, list[Reject]]:
        """:meth:`read`, line by line, of one block or of several together."""
        records: list[Record] = []
        numbers: list[int] = []
        files: list[str] = []
        rejects = Rejects()
        for line in chain.from_iterable(block.lines() for block in blocks):
            try:
                records.append(self._parse(line.data))
            except ValueError as error:
                rejects.add(Reject(line.file, line.number, str(error)))
            else:
                numbers.append(line.number)
                files.append(line.file.name)
        if not records:
            return None, rejects.listed()
        return self._in_order(self._from_records(records, numbers, files)), rejects.listed()

    def _from_records(
        self, records: Sequence[Any], numbers: Sequence[int], files: Sequence[str]
    ) -> Any:
        columns = {
            name: self._arrow.array([getattr(record, name) for record in records], kind)
            for name, kind in self._types.items()
            if name != "ts"
        }
        times = [record.ts.astimezone(UTC).replace(tzinfo=None) for record in records]
        ts = self._arrow.array(times, self._types["ts"])
        return self._arrow.table({"ts": ts, **columns, "line": numbers, "file": files})

    def read_at_once(self, block: Block) -> Any:
        """The table of a whole block; None when it holds anything out of the ordinary."""
        data = block.data
        count = block.count
        # So that no record spans lines and no line holds two: the n-th row is the n-th line.
        if len(_RECORD_ENDS.findall(data)) != count - 1 or data[:1] + data[-2:] != b"{}\n":
            return None
        try:
            data.decode()
            rows = self._json.read_json(
                self._arrow.BufferReader(data),
                read_options=self._json.ReadOptions(use_threads=False, block_size=len(data) + 1),
                parse_options=self._json.ParseOptions(
                    explicit_schema=self._schema(data), unexpected_field_behavior="ignore"
                ),
            )
            columns = {name: self._plain(name, rows.column(name)) for name in self._types}
        except (self._arrow.ArrowInvalid, _NotPlain, UnicodeDecodeError):
            return None
        if rows.num_rows != count:
            return None
        columns["line"] = self._arrow.array(range(block.first_number, block.first_number + count))
        columns["file"] = self._arrow.repeat(block.file.name, count)
        return self._in_order(self._arrow.table(columns))

    def _schema(self, data: bytes) -> Any:
        fields = dict(self._types)
        fields["ts"] = self._arrow.string()
        for field, objects in self._flag_objects.items():
            flags = [(name, self._arrow.bool_()) for name in _flag_names(objects.findall(data))]
            fields[field] = self._arrow.struct(flags)
        return self._arrow.schema(list(fields.items()))

    def _plain(self, name: str, column: Any) -> Any:
        """The column as the table has it. Raises :class:`_NotPlain` for what a record refuses."""
        rule = self._rules[name]
        if (rule.required or name == "ts") and column.null_count:
            raise _NotPlain
        if rule.kind == "datetime":
            return self._times(column)
        if rule.kind == "Mapping[str, bool]":
            return self._flags(column)
        if rule.kind == "Sequence[float]":
            items = self._compute.list_flatten(column)
            self._check_range(rule, items)
            if items.null_count:
                raise _NotPlain
        elif rule.kind in ("int", "float"):
            self._check_range(rule, column)
        elif rule.kind == "str" and rule.low:  # a name, which stands for none when it is empty
            return self._compute.if_else(self._compute.equal(column, ""), None, column)
        return column

    def _check_range(self, rule: FieldRule, numbers: Any) -> None:
        compute = self._compute
        if rule.kind != "int" and compute.all(compute.is_finite(numbers)).as_py() not in (
            True,
            None,
        ):
            raise _NotPlain
        if rule.kind == "Sequence[float]":
            return
        found = compute.min_max(numbers).as_py()
        if found["min"] is not None and not rule.low <= found["min"] <= found["max"] <= rule.high:
            raise _NotPlain

    def _times(self, texts: Any) -> Any:
        moments = texts.cast(self._arrow.timestamp("us", "UTC")).cast(self._types["ts"])
        found = self._compute.min_max(moments.cast(self._arrow.int64())).as_py()
        if found["min"] is not None and not (
            _EARLIEST_US <= found["min"] <= found["max"] <= _LATEST_US
        ):
            raise _NotPlain
        return moments

    def _flags(self, column: Any) -> Any:
        """Structs of flags as maps: a flag that is null is not in its map."""
        arrow, compute = self._arrow, self._compute
        structs = column.combine_chunks()
        count, names = len(structs), [field.name for field in structs.type]
        if not names:
            return arrow.array([None if null else [] for null in structs.is_null()], _map(arrow))
        children = structs.flatten()
        places = arrow.array(range(count * len(names)))
        child = compute.subtract(
            places, compute.multiply(compute.divide(places, len(names)), len(names))
        )
        row = compute.divide(places, len(names))
        flags = arrow.concat_arrays(children).take(compute.add(compute.multiply(child, count), row))
        given = flags.is_valid()
        sizes = children[0].is_valid().cast(arrow.int32())
        for other in children[1:]:
            sizes = compute.add(sizes, other.is_valid().cast(arrow.int32()))
        ends = compute.cumulative_sum(sizes)
        starts = arrow.concat_arrays([arrow.array([0], arrow.int32()), ends.slice(0, count - 1)])
        starts = compute.if_else(structs.is_valid(), starts, None)
        offsets = arrow.concat_arrays([starts, ends.slice(count - 1)])
        keys = arrow.array(names).take(child)
        return arrow.MapArray.from_arrays(offsets, keys.filter(given), flags.filter(given))

    def _in_order(self, rows: Any) -> Any:
        ts, compute = rows.column("ts"), self._compute
        if len(ts) < 2 or compute.all(compute.less_equal(ts[:-1], ts[1:])).as_py():
            return rows
        keys = [("ts", "ascending"), ("file", "ascending"), ("line", "ascending")]
        return rows.take(compute.sort_indices(rows, sort_keys=keys))


def arrow_type(arrow: Any, sql: str) -> Any:
    """The Arrow type of a column's SQL type."""
    return {
        "VARCHAR": arrow.string(),
        "BIGINT": arrow.int64(),
        "DOUBLE": arrow.float64(),
        "BOOLEAN": arrow.bool_(),
        "TIMESTAMP": arrow.timestamp("us"),
        "DOUBLE[]": arrow.list_(arrow.float64()),
        "MAP(VARCHAR, BOOLEAN)": _map(arrow),
    }[sql]


class _NotPlain(ValueError):
    """A block that must be read line by line."""


def _flag_names(objects: Iterable[bytes]) -> list[str]:
    """The keys of all these objects of flags. Raises :class:`_NotPlain` when one is odd."""
    names: dict[str, None] = {}
    for text in set(objects):
        try:
            flags = json.loads(text.partition(b":")[2])
        except ValueError:
            raise _NotPlain from None
        names.update(dict.fromkeys(flags or ()))
    return sorted(names)


def _map(arrow: Any) -> Any:
    return arrow.map_(arrow.string(), arrow.bool_())
