"""Queue and data: which file is in work, what waits behind it, and how long it will take."""

from __future__ import annotations

from markupsafe import Markup

from app.cards import jobs, kit
from app.cards.draw_html import draw_html
from app.text.html import NOTHING, text
from app.views.models import LiveStatus, SystemStatus

TITLE = "Queue and data"


def draw(live: LiveStatus, system: SystemStatus) -> None:
    """Draw the card."""
    draw_html(html(live, system))


def html(live: LiveStatus, system: SystemStatus) -> Markup:
    """The card as HTML."""
    queues = system.queues
    counts = (queues.training_queue_high, queues.training_queue_normal, queues.training_queue_low)
    jobs_of_servers = [queue for queue in system.job_queues if queue.machine is not None]
    if live.current_file is None and all(count is None for count in counts) and not jobs_of_servers:
        return kit.empty(
            TITLE,
            "No data file is in work and there is no queue.",
            "Name the file with recorder.update_status(current_file=…); data files (*.jsonl) "
            "in queue/high, queue/normal and queue/low of the run directory are counted here.",
            kit.problems(system.problems),
        )
    file = kit.missing() if live.current_file is None else text(live.current_file)
    dataset = kit.missing() if live.dataset_id is None else text(live.dataset_id)
    high, normal, low = (kit.number(count) for count in counts)
    return kit.card(
        TITLE,
        kit.rows([("File", file), ("Dataset", dataset), ("Batch", _batch(live))]),
        kit.bar(_batch_pct(live), "Current file"),
        kit.figures(
            [
                ("High", high),
                ("Normal", normal),
                ("Low", low),
                ("This file", text(kit.duration(live.eta_current_file_s))),
                ("All queued", text(kit.duration(live.eta_queued_s))),
                ("All steps", text(kit.duration(live.eta_overall_s))),
            ],
            small=True,
        ),
        kit.note(
            "High, normal and low: files that wait. Time left: of this file, of it and all that "
            "wait, of all steps."
        ),
        kit.heading("Jobs") + jobs.table(jobs_of_servers) if jobs_of_servers else NOTHING,
        kit.problems(system.problems),
    )


def _batch(live: LiveStatus) -> Markup:
    if live.batch_step is None:
        return kit.missing()
    if not live.batch_total_steps:
        return kit.number(live.batch_step)
    return text(f"{live.batch_step:,} / {live.batch_total_steps:,} · {_batch_pct(live):.0f}%")


def _batch_pct(live: LiveStatus) -> float | None:
    if live.batch_step is None or not live.batch_total_steps:
        return None
    return min(100.0, 100 * live.batch_step / live.batch_total_steps)
