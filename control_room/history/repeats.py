"""Lines that stand in the logs twice: copied, or imported and followed as well.

They are one answer, and count once: the first by file and line does.
"""

from __future__ import annotations

from operator import attrgetter

from control_room.history.schema import LONG_TEXTS

# What two lines of the same answer have in common.
SAME = (
    *("ts", "step", "checkpoint_id", "dataset_id", "example_id", "round_id", "sample_index"),
    *("prompt", "model_answer"),
)
key_of = attrgetter(*SAME)  # of a PreviewRecord

_SHORT = ", ".join(name for name in SAME if name not in LONG_TEXTS)
_LONG = ", ".join(name for name in SAME if name in LONG_TEXTS)

# The rows from $first to $last that repeat an earlier one. Few share a time, so few are compared.
# Answers to an example without an id may be several samples, logged in one moment: of those, only
# as many as another file holds are repeats.
FIND_REPEATS = f"""
    WITH shared AS (
        SELECT ts FROM previews WHERE ts BETWEEN $first AND $last GROUP BY ts HAVING count(*) > 1
    ), told AS (
        SELECT rowid AS id, {_SHORT}, hash({_LONG}) AS texts, file, line FROM previews
        WHERE ts BETWEEN $first AND $last AND ts IN (FROM shared)
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
