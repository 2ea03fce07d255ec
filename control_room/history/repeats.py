"""Lines that stand in the logs twice: copied, or imported and followed as well.

They are one answer, and count once: the first by file and line does.
"""

from __future__ import annotations

from collections.abc import Hashable
from operator import attrgetter

from control_room.history.schema import LONG_TEXTS
from control_room.records import PreviewRecord

# What two lines of the same answer have in common, beside their time in milliseconds: an import
# keeps no more of it.
_SAME = (
    *("step", "checkpoint_id", "dataset_id", "example_id", "round_id", "sample_index"),
    *("prompt", "model_answer"),
)
_same_of = attrgetter(*_SAME)
_MOMENT = "date_trunc('milliseconds', ts)"
_BETWEEN = "ts BETWEEN $first - INTERVAL 1 MILLISECOND AND $last + INTERVAL 1 MILLISECOND"
_SHORT = ", ".join(["moment", *(name for name in _SAME if name not in LONG_TEXTS)])
_LONG = ", ".join(name for name in _SAME if name in LONG_TEXTS)


def key_of(record: PreviewRecord) -> Hashable:
    """What is the same of records that tell of one answer."""
    return None if record.ts is None else int(record.ts.timestamp() * 1000), _same_of(record)


# The rows from $first to $last that repeat an earlier one. Few share a time, so few are compared.
# Answers to an example without an id may be several samples, logged in one moment: of those, only
# as many as another file holds are repeats.
FIND_REPEATS = f"""
    WITH shared AS (
        SELECT {_MOMENT} AS moment FROM previews WHERE {_BETWEEN}
        GROUP BY moment HAVING count(*) > 1
    ), told AS (
        SELECT rowid AS id, ts, {_MOMENT} AS {_SHORT}, hash({_LONG}) AS texts, file, line
        FROM previews WHERE {_BETWEEN} AND {_MOMENT} IN (FROM shared)
    ), placed AS (
        SELECT *, CASE WHEN example_id IS NULL THEN row_number() OVER (
            PARTITION BY {_SHORT}, texts, file ORDER BY line) END AS place FROM told
    ), compared AS (
        SELECT *, row_number() OVER same AS number,
            first_value(file) OVER same AS first_file, first_value(line) OVER same AS first_line
        FROM placed WINDOW same AS (PARTITION BY {_SHORT}, texts, place ORDER BY file, line)
    )
    SELECT id, ts, file, line, first_file, first_line FROM compared WHERE number > 1
"""
