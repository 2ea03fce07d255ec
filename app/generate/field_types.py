"""The fields that the Recorder takes, as types for editors and checkers, from the records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from control_room.recording.fields import rules_of
from control_room.recording.metrics import LIVE
from control_room.recording.records import (
    EvalRecord,
    MetricPoint,
    PreviewRecord,
    Record,
    RoundRecord,
    ThroughputSample,
)

FILE = Path(__file__).resolve().parents[2] / "control_room" / "recording" / "field_types.py"
_CLASSES: dict[str, type[Record]] = {
    "PreviewFields": PreviewRecord,
    "ThroughputFields": ThroughputSample,
    "MetricFields": MetricPoint,
    "EvalFields": EvalRecord,
    "RoundFields": RoundRecord,
}
# What a call takes for what a field of a record holds.
_TAKES = {
    "int": "SupportsIndex",
    "float": "SupportsFloat",
    "str": "str",
    "bool": "Flag",
    "datetime": "datetime | str",
    "Mapping[str, bool]": "Mapping[str, Flag]",
    "Sequence[float]": "Iterable[SupportsFloat]",
}
# Texts of which a call takes these alone.
_CLOSED = {("RoundRecord", "kind"): "RoundKind", ("RoundRecord", "outcome"): "RoundOutcome"}


def with_fields(code: str) -> str:
    """The module with the fields that are true now. Raises ``ValueError`` where it has no place."""
    code = _replaced(code, "fields of records", _classes())
    return _replaced(code, "metrics of the status", _status_metrics())


def _replaced(code: str, name: str, lines: Iterable[str]) -> str:
    place = re.compile(rf"(# Written: {name}\n).*?( *# End of {name}\n)", re.DOTALL)
    text = "\n".join(lines) + "\n"
    code, count = place.subn(lambda match: match[1] + text + match[2], code)
    if count != 1:
        raise ValueError(f"{FILE} has no place for the {name}")
    return code


def _classes() -> Iterator[str]:
    for name, record in _CLASSES.items():
        yield from ("", "", f"class {name}(TypedDict, total=False):")
        yield f'    """Of a :class:`~control_room.{record.__name__}`."""'
        yield ""
        for rule in rules_of(record).values():
            takes = _CLOSED.get((record.__name__, rule.name), _TAKES[rule.kind])
            yield f"    {rule.name}: " + (
                f"Required[{takes}]" if rule.required else f"{takes} | None"
            )
    yield from ("", "")


def _status_metrics() -> Iterator[str]:
    for metric in LIVE:
        for name in (metric.name, *metric.status_names):
            yield f"        {name}: SupportsFloat | None = ...,"
