"""What a status file tells as lists and objects: samples, alerts, evaluations, a heatmap.

The daemon trainer and its readers write them; each entry is checked by itself, and one
that is wrong costs no other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Generic, TypeVar

from collectors.files.training.reported import (
    Alert,
    ToldEval,
    ToldHeatmap,
    ToldSample,
    ToldSnapshot,
)
from collectors.json_values import (
    WrongTypeError,
    epoch_seconds,
    finite,
    not_negative,
    text,
    whole,
)

Value = TypeVar("Value")

MAX_SAMPLES = 1_000  # of one write; the newest
MAX_ALERTS = 20
_MAX_LISTED = 200
_MAX_WORDS = 500  # characters of an alert


@dataclass(frozen=True, slots=True)
class Partly(Generic[Value]):
    """A value of which something had to be left out; ``problem`` says what and why."""

    value: Value
    problem: str


def samples_of(value: object) -> Any:
    """Samples under the trainer's names or under its readers'; the newest last."""
    return _each(_items(value)[-MAX_SAMPLES:], _sample, "a number tokens_per_sec")


def alerts_of(value: object) -> Any:
    """Objects with a ``message``, or the messages alone."""
    return _each(_items(value)[:MAX_ALERTS], _alert, "a text, or an object with a message")


def evals_of(value: object) -> Any:
    """Evaluations over time, oldest first."""
    return _each(_items(value)[-_MAX_LISTED:], _eval, "an object with em, ce or ece")


def domains_of(value: object) -> dict[str, ToldEval]:
    """Evaluations by domain; a number alone is its EM."""
    if not isinstance(value, Mapping):
        raise WrongTypeError("an object of domains")
    named = list(value.items())[:_MAX_LISTED]
    return {
        text(str(name)): _eval(told if isinstance(told, Mapping) else {"em": told})
        for name, told in named
    }


def snapshots_of(value: object) -> Any:
    """Snapshots, in the order that they are told."""
    return _each(_items(value)[-_MAX_LISTED:], _snapshot, "an object with a date or a model_id")


def heatmap_of(value: object) -> ToldHeatmap:
    """Rows, columns and a row of numbers (or null) for each row."""
    expected = WrongTypeError("an object with rows, cols and a matrix data that fits them")
    if not isinstance(value, Mapping):
        raise expected
    rows, cols = (_items(value.get(name), expected) for name in ("rows", "cols"))
    data = [_items(row, expected) for row in _items(value.get("data"), expected)]
    if len(data) != len(rows) or any(len(row) != len(cols) for row in data):
        raise expected
    return ToldHeatmap(
        tuple(text(str(row)) for row in rows),
        tuple(text(str(col)) for col in cols),
        tuple(tuple(None if cell is None else finite(cell) for cell in row) for row in data),
    )


def day_of(value: object) -> date:
    """A day, alone or with a time."""
    try:
        return date.fromisoformat(text(value)[:10])
    except ValueError:
        raise WrongTypeError("a day such as 2025-11-22") from None


def _items(value: object, expected: WrongTypeError | None = None) -> Sequence[Any]:
    if not isinstance(value, list):
        raise expected or WrongTypeError("a list")
    return value


def _each(items: Sequence[object], parse: Callable[[Any], Value], expected: str) -> Any:
    """All that can be read, as a tuple; :class:`Partly` where some cannot."""
    found = []
    for item in items:
        try:
            found.append(parse(item))
        except WrongTypeError:
            continue
    if items and not found:
        raise WrongTypeError(f"a list, each entry {expected}")
    missing = len(items) - len(found)
    if not missing:
        return tuple(found)
    return Partly(tuple(found), f"{missing} of {len(items)} are left out: expected {expected}.")


def _sample(told: object) -> ToldSample:
    entry = _object(told)
    memory = entry.get("vram_used_gb", entry.get("vram_gb"))
    return ToldSample(
        not_negative(entry.get("tokens_per_sec")),
        step=_if_told(whole, entry.get("step")),
        at=_if_told(epoch_seconds, entry.get("timestamp")),
        vram_used_gb=_if_told(not_negative, memory),
        vram_pct=_if_told(not_negative, entry.get("vram_pct")),
        batch_size=_if_told(whole, entry.get("batch_size")),
        sequence_length=_if_told(whole, entry.get("sequence_length")),
    )


def _alert(told: object) -> Alert:
    if isinstance(told, str):
        return Alert(text(told)[:_MAX_WORDS])
    entry = _object(told)
    return Alert(
        text(entry.get("message"))[:_MAX_WORDS],
        severity=_if_told(text, entry.get("severity", entry.get("level"))),
        kind=_if_told(text, entry.get("type")),
    )


def _eval(told: object) -> ToldEval:
    entry = _object(told)
    found = ToldEval(
        em=_if_told(finite, entry.get("em")),
        ce=_if_told(finite, entry.get("ce")),
        ece=_if_told(finite, entry.get("ece")),
        count=_if_told(whole, entry.get("count")),
        step=_if_told(whole, entry.get("step")),
    )
    if found.em is None and found.ce is None and found.ece is None:
        raise WrongTypeError("em, ce or ece")
    return found


def _snapshot(told: object) -> ToldSnapshot:
    entry = _object(told)
    name = next((entry[key] for key in ("model_id", "name", "path", "date") if entry.get(key)), "")
    tags = entry.get("tags")
    if not name:
        raise WrongTypeError("a date or a model_id")
    return ToldSnapshot(
        text(name),
        date=_if_told(day_of, entry.get("date")),
        step=_if_told(whole, entry.get("step")),
        em=_if_told(finite, entry.get("fixed_eval_em", entry.get("em"))),
        is_best=isinstance(tags, list) and "best_so_far" in tags,
    )


def _object(told: object) -> Mapping[str, Any]:
    if not isinstance(told, Mapping):
        raise WrongTypeError("an object")
    return told


def _if_told(parse: Callable[[object], Value], value: object) -> Value | None:
    """None where nothing, or nothing of use, is told: one odd value does not cost the entry."""
    if value is None:
        return None
    try:
        return parse(value)
    except WrongTypeError:
        return None
