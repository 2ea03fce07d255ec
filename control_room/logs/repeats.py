"""Lines that stand in the logs twice: copied, or imported and followed as well.

They are one answer, and count once: the first by file and line does. Lines that are equal in all
they say, one after the other and of one moment, may be several samples that nothing tells apart:
of those, only as many are repeats as stand elsewhere too.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from itertools import dropwhile

from control_room.logs.inference_log import INFERENCE_POOL
from control_room.logs.schema import TABLES
from control_room.recording.records import PreviewRecord

# An import keeps a time in milliseconds, and a record that names no run is of this one.
_SAME = tuple(name for name in TABLES["preview"].columns if name not in ("ts", "run_id"))
_MOMENT = "date_trunc('milliseconds', ts)"
_BETWEEN = "ts BETWEEN $first - INTERVAL 1 MILLISECOND AND $last + INTERVAL 1 MILLISECOND"

# The rows from $first to $last that repeat an earlier one. Few share a time, so few are compared.
FIND_REPEATS = f"""
    WITH shared AS (
        SELECT {_MOMENT} AS moment FROM previews WHERE {_BETWEEN}
        GROUP BY moment HAVING count(*) > 1
    ), told AS (
        SELECT rowid AS id, ts, {_MOMENT} AS moment, hash({", ".join(_SAME)}) AS said, file, line,
            line - lag(line) OVER (PARTITION BY file, {_MOMENT} ORDER BY line) AS after
        FROM previews WHERE {_BETWEEN} AND {_MOMENT} IN (FROM shared)
    ), bursts AS (
        SELECT *, count(*) FILTER (after > 1)
            OVER (PARTITION BY file, moment ORDER BY line) AS burst FROM told
    ), placed AS (
        SELECT *, row_number() OVER (
            PARTITION BY moment, said, file, burst ORDER BY line) AS place FROM bursts
    ), compared AS (
        SELECT *, row_number() OVER same AS number,
            first_value(file) OVER same AS first_file, first_value(line) OVER same AS first_line
        FROM placed WINDOW same AS (PARTITION BY moment, said, place ORDER BY file, line)
    )
    SELECT id, ts, file, line, first_file, first_line FROM compared WHERE number > 1
"""


def is_repeat(record: PreviewRecord, newest_first: Iterable[PreviewRecord]) -> bool:
    """Whether the record says what one of these does; those just before it may be samples."""
    key, moment = _key(record), _moment(record)
    if record.source_pool != INFERENCE_POOL:  # in whose log an answer stands once
        newest_first = dropwhile(lambda other: _moment(other) == moment, newest_first)
    return any(other.step == record.step and _key(other) == key for other in newest_first)


def _key(record: PreviewRecord) -> tuple[Hashable, ...]:
    return _moment(record), *(str(getattr(record, name)) for name in _SAME)


def _moment(record: PreviewRecord) -> int | None:
    return None if record.ts is None else int(record.ts.timestamp() * 1000)
