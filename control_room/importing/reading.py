"""What a reader of foreign files returns, and how it refuses one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from control_room.recording.records import MetricPoint, PreviewRecord

ImportedRecord: TypeAlias = PreviewRecord | MetricPoint


class ImportRefused(ValueError):
    """A file that cannot be imported. The message names it and says why."""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What a foreign file leaves to the user.

    ``run_name`` chooses among several runs in one file. ``golden_column`` is the column that holds
    the expected answer. ``right_when`` maps a column of rewards to the least that counts as right.
    """

    run_name: str | None = None
    golden_column: str | None = None
    right_when: tuple[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """The records of one file. ``left_out`` counts, by name, what has no place in a run's logs.

    ``has_times`` is False where the records carry the time of their file, which a copy changes.
    """

    format: str
    records: list[ImportedRecord]
    left_out: Mapping[str, int]
    has_times: bool = True
