"""Job queues: what waits, runs and failed, by kind of work."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from app.cards import kit
from app.text.html import fill, text
from app.views.models import JobQueueStatus

TITLE = "Jobs"
_NAMES = {
    "preview": "Preview",
    "eval": "Evaluation",
    "data_gen": "Data generation",
    "training": "Training files",
    "training_high": "Training, high",
    "training_normal": "Training, normal",
    "training_low": "Training, low",
    "all": "All jobs",
}


def html(queues: Sequence[JobQueueStatus]) -> Markup:
    """The card as HTML."""
    if not queues:
        return kit.empty(
            TITLE,
            "No job queue is known.",
            "A machine whose inference server is set (http = {...}) tells its jobs, and data files "
            "(*.jsonl) in queue/ of the run directory are counted.",
        )
    return kit.card(TITLE, table(queues))


def table(queues: Sequence[JobQueueStatus]) -> Markup:
    """One row for each queue."""
    several = len({queue.machine for queue in queues if queue.machine is not None}) > 1
    return kit.table(
        ("", "Waiting", "Running", "Failed", "Last took", "Waiting, 1 h"),
        [
            (
                text(_name(queue, several)),
                kit.number(queue.pending),
                kit.number(queue.running),
                _failed(queue.failed),
                _took(queue.last_latency_ms),
                kit.sparkline(queue.pending_history, f"{_name(queue, several)} waiting"),
            )
            for queue in queues
        ],
    )


def _name(queue: JobQueueStatus, several_machines: bool) -> str:
    name = _NAMES.get(queue.kind, queue.kind.replace("_", " ").capitalize())
    return f"{name} · {queue.machine}" if several_machines and queue.machine else name


def _took(latency_ms: float | None) -> Markup:
    if latency_ms is None:
        return kit.missing()
    if latency_ms < 1000:
        return kit.number(latency_ms, 0, "ms")
    return kit.number(latency_ms / 1000, 1, "s")


def _failed(count: int | None) -> Markup:
    if not count:
        return kit.number(count)
    return fill('<span class="cr-warn">{} {:,}</span>', kit.SYMBOLS["warning"], count)
