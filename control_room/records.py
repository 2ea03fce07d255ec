"""One class per log line, and the line itself: how a record is written and read back.

A record checks itself: a bad field raises ``ValueError`` naming the class and the field.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any, ClassVar, NamedTuple, Self, TypeVar

from control_room.encoding import iso_timestamp, to_json, to_utf8
from control_room.fields import FieldRule, rules_of, unknown_field


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What all records share: fields are checked on construction, and read back from a log line.

    Scalars of NumPy, PyTorch and the like are taken for what they stand for; NaN and infinity are
    kept. A class defines its fields in the order in which its lines have them.
    """

    null_when_unknown: ClassVar[frozenset[str]] = frozenset()  # other fields are left out

    def __post_init__(self) -> None:
        for name, (exact, low, high, rule) in _plan(type(self)).checks.items():
            value = getattr(self, name)
            if type(value) is exact and low <= value <= high:
                continue
            if value is not None or rule.required:
                object.__setattr__(self, name, rule.checked(value))

    @classmethod
    def from_mapping(cls, line: Mapping[str, object]) -> Self:
        """A record from a parsed log line.

        Unknown fields are ignored, null and an empty name are None, ``ts`` is ISO 8601 (without an
        offset: local time) and must be there. Raises ``ValueError`` naming the field.
        """
        found: dict[str, Any] = {}
        for name, (_, _, _, rule) in _plan(cls).checks.items():
            value = line.get(name)
            if value is not None:
                found[name] = rule.from_json(value)
            elif rule.required or name == "ts":
                rule.missing()
        return cls(**found)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewRecord(Record):
    """One model answer to one example. ``ts`` without a zone is local time; None means now."""

    null_when_unknown: ClassVar[frozenset[str]] = frozenset(
        {
            *("checkpoint_id", "example_id", "dataset_id", "regime", "source_pool"),
            *("exact_match", "normalized_match", "failure_mode", "ce", "contract_status"),
            *("prompt_tokens", "golden_tokens", "model_tokens", "generation_time_ms"),
        }
    )

    ts: datetime | None = None
    step: int
    checkpoint_id: str | None = None
    example_id: str | None = None
    dataset_id: str | None = None
    regime: str | None = None
    source_pool: str | None = None
    prompt: str
    golden: str
    model_answer: str
    exact_match: bool | None = None
    normalized_match: bool | None = None
    failure_mode: str | None = None
    ce: float | None = None
    prompt_tokens: int | None = None
    golden_tokens: int | None = None
    model_tokens: int | None = None
    generation_time_ms: float | None = None
    contract_status: Mapping[str, bool] | None = None
    run_id: str | None = None
    pattern: str | None = None
    sample_index: int | None = None
    temperature: float | None = None
    confidence: float | None = None  # 0-1, the model's own
    token_log_probs: Sequence[float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputSample(Record):
    """Speed against memory, for choosing batch size and sequence length."""

    ts: datetime | None = None
    step: int
    tokens_per_sec: float
    vram_used_gb: float | None = None  # GiB; on a CPU run, the process's resident memory
    vram_pct: float | None = None
    batch_size: int | None = None
    sequence_length: int | None = None
    run_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPoint(Record):
    """What one optimisation step reports. NaN and infinity are kept: they are news."""

    ts: datetime | None = None
    step: int
    loss: float | None = None
    learning_rate: float | None = None
    grad_norm: float | None = None
    epoch: float | None = None
    val_loss: float | None = None
    tokens_per_sec: float | None = None
    tokens: int | None = None  # trained on in this step
    step_time_ms: float | None = None
    run_id: str | None = None


AnyRecord = TypeVar("AnyRecord", bound=Record)


def to_json_line(record: Record, *, run_id: str, now: str) -> bytes:
    """One line of a log, newline included, as UTF-8.

    ``run_id`` and ``now`` (an :func:`iso_timestamp`) fill in what the record leaves open. NaN and
    infinity become the strings "NaN", "Infinity" and "-Infinity", as JSON has no such numbers.
    """
    plan = _plan(type(record))
    values = zip(plan.checks, plan.values_of(record), strict=True)
    line = plan.blank | {name: value for name, value in values if value is not None}
    return _finish(line, run_id, now)


def fields_to_json_line(
    record_class: type[Record], fields: Mapping[str, Any], *, run_id: str, now: str
) -> bytes:
    """``to_json_line(record_class(**fields))``, without the cost of making the record.

    Raises ``ValueError`` naming the field when one is unknown, missing or bad.
    """
    plan = _plan(record_class)
    line = plan.blank.copy()
    for name, value in fields.items():
        check = plan.checks.get(name)
        if check is None:
            unknown_field(record_class.__name__, name, plan.checks)
        exact, low, high, rule = check
        if type(value) is exact and low <= value <= high:
            line[name] = value
        elif value is not None:
            line[name] = rule.checked(value)
    for rule in plan.required:
        if line[rule.name] is None:
            rule.missing()
    return _finish(line, run_id, now)


def parse_line(record_class: type[AnyRecord], line: bytes) -> AnyRecord:
    """The record that a log line holds; see :meth:`Record.from_mapping`.

    Raises ``ValueError`` saying what is wrong with the line.
    """
    try:
        values = json.loads(line)
    except ValueError as error:
        try:
            values = json.loads(after_torn_line(line))
        except ValueError:
            raise ValueError(f"{record_class.__name__}: not a line of JSON: {error}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{record_class.__name__}: expected a JSON object on the line")
    return record_class.from_mapping(values)


def after_torn_line(line: bytes) -> bytes:
    """What follows a torn line that another writer's line was appended to; else the line itself.

    A writer killed in the middle of a long line leaves one. The start of a record cannot stand
    inside another: in a JSON string every quote is escaped.
    """
    return line[max(0, line.rfind(b'{"ts":"')) :]


def _finish(line: dict[str, Any], run_id: str, now: str) -> bytes:
    ts = line["ts"]
    line["ts"] = now if ts is None else iso_timestamp(ts)
    if "run_id" not in line:
        line["run_id"] = run_id
    return to_utf8(to_json(line) + "\n")


class _Plan(NamedTuple):
    """A record class, prepared for being checked and written many times."""

    checks: dict[str, tuple[type | None, Any, Any, FieldRule]]
    required: tuple[FieldRule, ...]
    values_of: Callable[[Record], tuple[Any, ...]]
    blank: dict[str, Any]  # a line with nothing known


def _make_plan(record_class: type[Record]) -> _Plan:
    rules = rules_of(record_class)
    required = tuple(rule for rule in rules.values() if rule.required)
    always = {"ts", *(rule.name for rule in required), *record_class.null_when_unknown}
    return _Plan(
        {name: (rule.exact, rule.low, rule.high, rule) for name, rule in rules.items()},
        required,
        attrgetter(*rules),
        {name: None for name in rules if name in always},
    )


_plan: Callable[[type[Record]], _Plan] = cache(_make_plan)
