"""What the watch room's own sources bring, as the views take it: plain values, no machinery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.views.models import JobQueueStatus


@dataclass(frozen=True, slots=True)
class HistoryReading:
    """What the last look at the logs brought."""

    added: int = 0
    problems: tuple[str, ...] = ()
    note: str | None = None  # why the index is not kept on disk


@dataclass(frozen=True, slots=True)
class RetentionReading:
    """What the last look at the run's old days brought."""

    changed: int = 0
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueTrends:
    """How much waited, by machine (None: the run's own) and kind, minute by minute."""

    pending: Mapping[tuple[str | None, str], tuple[float, ...]] = field(default_factory=dict)


def with_trend(queue: JobQueueStatus, trends: QueueTrends) -> JobQueueStatus:
    """The queue with how much waited in the last hour."""
    trend = trends.pending.get((queue.machine, queue.kind), ())
    return queue.model_copy(update={"pending_history": trend}) if trend else queue
