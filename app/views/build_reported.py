"""What the trainer's own status tells beside its step and loss, as the views have it."""

from __future__ import annotations

from collections.abc import Sequence

from app.views.models import AlertStatus, JobQueueStatus, Level, PatternHeatmap
from collectors.files.queues import QueuesReading
from collectors.files.training import TrainingReading

TOLD_BY = "the trainer's status"  # of a job queue that no server tells

_LEVELS: dict[str, Level] = {
    "critical": "critical",
    "error": "critical",
    "high": "critical",
    "warning": "warning",
    "warn": "warning",
    "medium": "warning",
}


def alerts(reading: TrainingReading) -> tuple[AlertStatus, ...]:
    """What the trainer warns of; nothing once the run is completed or waits for its next file."""
    if reading.status in ("completed", "idle"):
        return ()
    return tuple(
        AlertStatus(
            message=alert.message,
            severity=alert.severity,
            kind=alert.kind,
            level=_LEVELS.get((alert.severity or "warning").strip().lower(), "unknown"),
        )
        for alert in reading.active_alerts
    )


def job_queues_told(
    reading: TrainingReading | None, known: Sequence[JobQueueStatus]
) -> tuple[JobQueueStatus, ...]:
    """The queues of the status that are told nowhere else."""
    kinds = {queue.kind for queue in known if queue.pending is not None}
    told = {} if reading is None else reading.jobs_pending
    latency_ms = None if reading is None else reading.last_preview_latency_ms
    return tuple(
        JobQueueStatus(
            kind=kind,
            machine=TOLD_BY,
            pending=count,
            last_latency_ms=latency_ms if kind == "preview" else None,
        )
        for kind, count in told.items()
        if kind not in kinds
    )


def heatmap_told(reading: TrainingReading | None) -> PatternHeatmap:
    """The trainer's own heatmap; it counts no previews."""
    told = None if reading is None else reading.pattern_heatmap
    if told is None:
        return PatternHeatmap()
    return PatternHeatmap(rows=told.rows, cols=told.cols, data=told.data)


def queued_eta_s(reading: TrainingReading, queues: QueuesReading | None) -> float | None:
    """Seconds until the file in work and all that wait are done.

    The trainer's word, else what is left of the file and, at its pace, the files that wait: by
    their bytes where the size of the file in work is known, else each taken to be as long as it.
    """
    if reading.eta_queued_s is not None:
        return reading.eta_queued_s
    left_s, done, total = reading.eta_current_file_s, reading.batch_step, reading.batch_total_steps
    waiting = _files_waiting(reading, queues)
    if left_s is None or waiting is None:
        return None
    if waiting == 0:
        return left_s
    if done is None or not total or done >= total:
        return None
    return left_s + left_s * total / (total - done) * waiting


def _files_waiting(reading: TrainingReading, queues: QueuesReading | None) -> float | None:
    """In sizes of the file in work."""
    counts = [] if queues is None else [queues.high, queues.normal, queues.low]
    known = [count for count in counts if count is not None]
    if queues is None or not known:
        return reading.batch_queue_size
    if queues.processing == 1 and queues.processing_bytes and queues.pending_bytes is not None:
        return queues.pending_bytes / queues.processing_bytes
    return sum(known)
