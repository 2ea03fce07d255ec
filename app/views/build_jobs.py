"""Job queues as the views tell them: from the run's queue directory and from the servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.views.build_machines import MachineSamples
from app.views.build_reported import job_queues_told
from app.views.models import JobQueueStatus, RoundStatus, RunnerStatus
from collectors.files.preview_runner import RoundReading, RunnerReading
from collectors.files.queues import QueuesReading
from collectors.files.training import TrainingReading
from collectors.jobs import JobQueue
from control_room.rundir import QUEUE_PRIORITIES

RUNNER_SILENT_S = 30.0  # it writes its state every few seconds


def runner_status(reading: RunnerReading | None, now: float) -> RunnerStatus | None:
    """The preview runner; None when there has been none in this run."""
    if reading is None or (reading.updated_at is None and reading.problem is None):
        return None
    age_s = None if reading.updated_at is None else max(0.0, now - reading.updated_at)
    return RunnerStatus(
        running=age_s is not None and age_s <= RUNNER_SILENT_S,
        age_s=age_s,
        hostname=reading.hostname,
        pending=dict(reading.pending or {}),
        round=_round(reading.round),
        last_round=_round(reading.last_round),
        answers_per_sec=reading.answers_per_sec,
        tokens_per_sec=reading.tokens_per_sec,
        last_latency_ms=reading.last_latency_ms,
        last_error=reading.last_error,
        skipped=reading.skipped,
        failed=reading.failed,
        problems=(*([] if reading.problem is None else [reading.problem]), *reading.problems),
    )


def _round(reading: RoundReading | None) -> RoundStatus | None:
    if reading is None:
        return None
    return RoundStatus(**{name: getattr(reading, name) for name in RoundStatus.model_fields})


def job_queues(
    directory: QueuesReading | None,
    machines: Mapping[str, MachineSamples],
    runner: RunnerReading | None = None,
    training: TrainingReading | None = None,
) -> tuple[JobQueueStatus, ...]:
    """The servers' queues, the preview runner's rounds, then the run's data files.

    What none of them tells is taken from the trainer's status.
    """
    of_runner = () if runner is None else runner.jobs()
    found = [
        _view(queue, name)
        for name, samples in machines.items()
        if samples.server is not None and samples.server.reading is not None
        for queue in samples.server.reading.jobs
    ]
    found += [_view(queue, "preview runner") for queue in of_runner]
    found += _data_queues(directory) if directory is not None else ()
    return (*found, *job_queues_told(training, found))


def pending(queues: Sequence[JobQueueStatus], kind: str) -> int | None:
    """How many jobs of a kind wait, on all machines together; None when none is told."""
    told = [queue.pending for queue in queues if queue.kind == kind and queue.pending is not None]
    return sum(told) if told else None


def _view(queue: JobQueue, machine: str | None) -> JobQueueStatus:
    return JobQueueStatus(
        kind=queue.kind,
        machine=machine,
        pending=queue.pending,
        running=queue.running,
        failed=queue.failed,
        last_latency_ms=queue.last_latency_ms,
    )


def _data_queues(directory: QueuesReading) -> tuple[JobQueueStatus, ...]:
    """Which priority a file in work, or a failed one, had is not told, so all of them share those.

    None where the run has no such directories.
    """
    waiting = {priority: getattr(directory, priority) for priority in QUEUE_PRIORITIES}
    together = (directory.processing, directory.failed)
    if all(count is None for count in (*waiting.values(), *together)):
        return ()
    told = [count for count in waiting.values() if count is not None]
    return (
        JobQueueStatus(
            kind="training",
            pending=sum(told) if told else None,
            running=directory.processing,
            failed=directory.failed,
        ),
        *(
            JobQueueStatus(kind=f"training_{priority}", pending=count)
            for priority, count in waiting.items()
        ),
    )
