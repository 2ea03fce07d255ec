"""A record as a line of a log: how it is checked, written and read back.

What a field may hold is declared where it stands, in :mod:`control_room.recording.records`; here it
is laid out for speed. A bad field raises ``ValueError`` naming the class and the field.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple, Self, TypeVar

from control_room.recording.encoding import encode_text, load_json, to_json, to_utf8
from control_room.recording.fields import FieldRule, rules_of, unknown_field


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What all records share: fields are checked on construction, and read back from a log line.

    Scalars of NumPy, PyTorch and the like are taken for what they stand for; NaN and infinity are
    kept. A class defines its fields in the order in which its lines have them.
    """

    def __post_init__(self) -> None:
        plan = _PLANS[type(self)]
        for (exact, low, high, rule), value in zip(plan.checks, plan.values_of(self), strict=True):
            if type(value) is exact and low <= value <= high:
                continue
            if value is not None or rule.required:
                object.__setattr__(self, rule.name, rule.checked(value))

    @classmethod
    def from_mapping(cls, line: Mapping[str, object]) -> Self:
        """A record from a parsed log line.

        Unknown fields are ignored, null and an empty name are None, ``ts`` is ISO 8601 (without an
        offset: local time) and must be there. Raises ``ValueError`` naming the field.
        """
        found: dict[str, Any] = {}
        for name, column in _PLANS[cls].columns.items():
            value = line.get(name)
            if value is not None:
                found[name] = column.rule.from_json(value)
            elif column.rule.required or name == "ts":
                column.rule.missing()
        return cls(**found)


AnyRecord = TypeVar("AnyRecord", bound=Record)


def to_json_line(record: Record, *, run_id: str, now: str) -> bytes:
    """One line of a log, newline included, as UTF-8.

    ``run_id`` and ``now`` (an :func:`iso_timestamp`) fill in what the record leaves open. NaN and
    infinity become the strings "NaN", "Infinity" and "-Infinity", as JSON has no such numbers.
    """
    plan = _PLANS[type(record)]
    return plan.line(zip(plan.columns, plan.values_of(record), strict=True), run_id, now)


def fields_to_json_line(
    record_class: type[Record], fields: Mapping[str, Any], *, run_id: str, now: str
) -> bytes:
    """``to_json_line(record_class(**fields))``, without the cost of making the record.

    Raises ``ValueError`` naming the field when one is unknown, missing or bad.
    """
    return _PLANS[record_class].line(fields.items(), run_id, now)


def parse_line(record_class: type[AnyRecord], line: bytes) -> AnyRecord:
    """The record that a log line holds; see :meth:`Record.from_mapping`.

    Raises ``ValueError`` saying what is wrong with the line.
    """
    try:
        values = load_json(line)
    except ValueError as error:
        try:
            values = load_json(after_torn_line(line))
        except ValueError:
            raise ValueError(f"{record_class.__name__}: not a line of JSON: {error}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{record_class.__name__}: expected a JSON object on the line")
    return record_class.from_mapping(values)


def after_torn_line(line: bytes, start: bytes = b'{"ts":"') -> bytes:
    """What follows a torn line that another writer's line was appended to; else the line itself.

    A writer killed in the middle of a long line leaves one. The ``start`` of a record cannot stand
    inside another: in a JSON string every quote is escaped.
    """
    return line[max(0, line.rfind(start)) :]


class _Column(NamedTuple):
    """One field's place in a line, and its rule laid out for speed."""

    exact: type | None
    low: Any
    high: Any
    encode: Callable[[Any], str]  # for a value of exactly that type between low and high
    place: int
    key: str
    rule: FieldRule


class _Plan:
    """A record class, prepared for checking and writing many records."""

    def __init__(self, record_class: type[Record]) -> None:
        rules = rules_of(record_class)
        self.columns = {name: _column(rule, i) for i, (name, rule) in enumerate(rules.items())}
        self.checks = [(c.exact, c.low, c.high, c.rule) for c in self.columns.values()]
        self.values_of: Callable[[Record], tuple[Any, ...]] = attrgetter(*rules)
        self._owner = record_class.__name__
        self._required = [c.place for c in self.columns.values() if c.rule.required]
        self._ts, self._run_id = self.columns["ts"].place, self.columns["run_id"].place
        self._blank = [
            column.key + "null" if column.rule.about.null else ""
            for column in self.columns.values()
        ]

    def line(self, fields: Iterable[tuple[str, Any]], run_id: str, now: str) -> bytes:
        """The line of these fields, which are checked, in the order of their definition."""
        columns = self.columns
        parts = self._blank.copy()
        for name, value in fields:
            try:
                exact, low, high, encode, place, key, rule = columns[name]
            except KeyError:
                unknown_field(self._owner, name, columns)
            if type(value) is exact and low <= value <= high:
                parts[place] = key + encode(value)
            elif value is not None:
                plain = rule.checked(value)
                parts[place] = key + (to_json(plain) if exact is float else encode(plain))
        for place in self._required:
            if not parts[place]:
                list(columns.values())[place].rule.missing()
        if not parts[self._ts]:
            parts[self._ts] = f'"ts":"{now}"'
        if not parts[self._run_id]:
            parts[self._run_id] = f',"run_id":{_encode_name(run_id)}'
        return to_utf8("{" + "".join(parts) + "}\n")


def _column(rule: FieldRule, place: int) -> _Column:
    low, high = rule.low, rule.high
    if rule.kind == "float":  # infinity, which JSON lacks, takes the slow way
        low, high = max(low, -sys.float_info.max), min(high, sys.float_info.max)
    encode = _ENCODERS.get(rule.kind, to_json)
    if rule.kind == "str" and rule.low:  # a name: few of them, written again and again
        encode = _encode_name
    key = f'{"," if place else ""}"{rule.name}":'
    return _Column(rule.exact, low, high, encode, place, key, rule)


def _encode_flags(flags: Mapping[str, bool]) -> str:
    pairs = [f"{encode_text(name)}:{_TRUE_OR_FALSE[flag]}" for name, flag in flags.items()]
    return f"{{{','.join(pairs)}}}"


_encode_name: Callable[[str], str] = lru_cache(maxsize=1024)(encode_text)
_TRUE_OR_FALSE = {True: "true", False: "false"}
_ENCODERS: Mapping[str, Callable[[Any], str]] = {
    "int": int.__repr__,
    "float": float.__repr__,
    "str": encode_text,
    "bool": _TRUE_OR_FALSE.__getitem__,
    "Mapping[str, bool]": _encode_flags,
}


class _Plans(dict[type[Record], _Plan]):
    """Made when a class is first met."""

    def __missing__(self, record_class: type[Record]) -> _Plan:
        plan = self[record_class] = _Plan(record_class)
        return plan


_PLANS = _Plans()
