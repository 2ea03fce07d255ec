"""Readings in, views out: pure functions, called once per tick and never by a viewer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from app.settings import Settings
from app.text.durations import short_duration
from app.views.build_evals import eval_status
from app.views.build_jobs import job_queues, pending, runner_status
from app.views.build_machines import (
    MachineSamples,
    gpu_summary,
    host_summary,
    machine_views,
    pct,
    ram_of,
    troubles_of,
)
from app.views.build_reported import alerts, heatmap_told, queued_eta_s
from app.views.health import gap_status, health_lights, machine_issues, worst
from app.views.length_bins import bin_label, bin_of
from app.views.models import (
    EvalStatus,
    JobQueueStatus,
    Level,
    LivenessStatus,
    LiveStatus,
    MachineStatus,
    NoteStatus,
    PatternHeatmap,
    Preview,
    PreviewStatus,
    Queues,
    Rate,
    SystemStatus,
    Views,
)
from app.views.preview_excerpt import latest_preview, shown_groups
from app.views.readings import HistoryReading, QueueTrends, RetentionReading, with_trend
from collectors.files.evals import EvalsReading
from collectors.files.notes import NotesReading
from collectors.files.preview_runner import RunnerReading
from collectors.files.previews import PreviewsReading
from collectors.files.queues import QueuesReading
from collectors.files.snapshots import SnapshotsReading
from collectors.files.training import TrainingReading
from collectors.sampler import Sample
from control_room.recording.records import PreviewRecord
from control_room.statistics.exact_match import ExactMatchRate

LOSS_POINTS = 40  # of the loss curve in the live view
_BYTES_OF_RATE = 95  # of JSON, beside a group's name
_BYTES_OF_CELL = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """The latest sample of every source."""

    training: Sample[TrainingReading] = field(default_factory=Sample)
    previews: Sample[PreviewsReading] = field(default_factory=Sample)
    queues: Sample[QueuesReading] = field(default_factory=Sample)
    evals: Sample[EvalsReading] = field(default_factory=Sample)
    snapshots: Sample[SnapshotsReading] = field(default_factory=Sample)
    history: Sample[HistoryReading] = field(default_factory=Sample)
    runner: Sample[RunnerReading] = field(default_factory=Sample)
    notes: Sample[NotesReading] = field(default_factory=Sample)
    retention: Sample[RetentionReading] = field(default_factory=Sample)
    links: Sample[tuple[str, ...]] = field(default_factory=Sample)  # those that lead out
    machine_history: Sample[QueueTrends] = field(default_factory=Sample)
    machines: Mapping[str, MachineSamples] = field(default_factory=dict)  # by name


def assemble(samples: Samples, settings: Settings, *, now: float, version: int) -> Views:
    """All views of one tick. ``now`` is epoch seconds."""
    run_dir = settings.run_dir
    training = samples.training.reading
    run_id = run_dir.name if training is None else training.run_id
    machines = machine_views(samples.machines, settings, now)
    return Views(
        version=version,
        live=_live(samples, settings, run_id, run_dir, machines, now),
        preview=_preview(samples, settings, run_id, now),
        evals=_evals(samples, settings, run_id, now),
        system=_system(samples, settings, run_id, machines, now),
    )


def _live(
    samples: Samples,
    settings: Settings,
    run_id: str,
    run_dir: Path,
    machines: tuple[MachineStatus, ...],
    now: float,
) -> LiveStatus:
    reading = samples.training.reading
    lights = health_lights(reading, machines)
    warned = () if reading is None else alerts(reading)
    issues = [
        *((light.level, light.text) for light in lights if light.level in ("warning", "critical")),
        *machine_issues(machines),
        *((alert.level, alert.message) for alert in warned if alert.level != "unknown"),
    ]
    troubles = troubles_of(samples.training, settings.intervals.training_s, "training state", now)
    noted = samples.notes.reading
    if noted is not None:
        troubles = (*troubles, *noted.problems)
    common: dict[str, Any] = {
        "run_id": run_id,
        "run_dir": str(run_dir),
        "notes": tuple(
            NoteStatus(ts=note.ts, step=note.step, text=note.text)
            for note in (noted.notes if noted is not None else ())
            if note.ts is not None
        ),
        "alerts": warned,
        "machines": machines,
        "health_lights": lights,
        "health_issues": tuple(text for _, text in issues),
        "gpu_4090": gpu_summary(machines, "training"),
        "gpu_3090": gpu_summary(machines, "inference"),
        "ram": ram_of(machines),
        "latest_snapshot_date": _latest_snapshot_date(samples),
        "health": _health([*(light.level for light in lights), *(level for level, _ in issues)]),
        "timestamp": _utc(now),
    }
    if reading is None:
        return LiveStatus(liveness=LivenessStatus(state="unknown"), problems=troubles, **common)
    liveness = reading.liveness
    queued_s = queued_eta_s(reading, samples.queues.reading)
    derived = {*reading.derived, *(["eta_queued_s"] if queued_s != reading.eta_queued_s else [])}
    return LiveStatus(
        **common,
        **{name: getattr(reading, name) for name in _SAME_IN_BOTH},
        liveness=LivenessStatus(
            state=liveness.state,
            silent_s=liveness.silent_s,
            patience_s=liveness.patience_s,
            reason=liveness.reason,
        ),
        gap_status=gap_status(reading.val_train_gap, settings.thresholds),
        progress_pct=pct(reading.current_step, reading.total_steps),
        loss_history=_thinned(reading.recent_losses),
        eta_queued_s=queued_s,
        eta_current_file=short_duration(reading.eta_current_file_s),
        eta_overall=short_duration(reading.eta_overall_s if queued_s is None else queued_s),
        current_checkpoint_id=reading.checkpoint_id,
        current_model_name=reading.model_name,
        value_ages_s={name: round(max(0.0, now - at), 1) for name, at in reading.seen_at.items()},
        derived=tuple(sorted(derived)),
        problems=(*troubles, *reading.problems),
        status_age_s=None if reading.updated_at is None else max(0.0, now - reading.updated_at),
    )


# Fields that mean the same and are called the same in the reading and in the view.
_SAME_IN_BOTH = tuple(
    name
    for name in LiveStatus.model_fields
    if name in TrainingReading.__dataclass_fields__
    and name not in ("run_id", "liveness", "problems", "derived", "latest_snapshot_date")
    and name != "eta_queued_s"
)


def _preview(samples: Samples, settings: Settings, run_id: str, now: float) -> PreviewStatus:
    sample = samples.previews
    troubles = troubles_of(sample, settings.intervals.previews_s, "preview log", now)
    reading = sample.reading
    history_problems = _history_problems(samples.history)
    runner = runner_status(samples.runner.reading, now)
    if reading is None:
        return PreviewStatus(
            run_id=run_id,
            runner=runner,
            problems=troubles,
            history_problems=history_problems,
            timestamp=_utc(now),
        )
    summary = reading.summary
    latest = summary.latest
    queues = _queues(samples)
    heatmap = _heatmap(summary.by_pattern_and_length, settings.heatmap.bin_edges)
    return PreviewStatus(
        run_id=run_id,
        latest_preview=None
        if latest is None
        else latest_preview(preview_view(latest), summary.latest_ahead_s),
        preview_em_last_20=summary.em_last_20.em,
        preview_em_last_50=summary.em_last_50.em,
        preview_em_last_100=summary.em_last_100.em,
        preview_count=summary.em_last_100.count,
        unscored_count=summary.unscored,
        regime_stats=_rates(summary.by_regime),
        source_stats=_rates(summary.by_source),
        domain_stats=_rates(summary.by_pattern),
        em_trend=summary.em_trend,
        pending_jobs=pending(queues, "preview"),
        last_job_latency_ms=next(
            (each.last_latency_ms for each in queues if each.kind == "preview"), None
        ),
        pattern_heatmap=heatmap if heatmap.rows else heatmap_told(samples.training.reading),
        runner=runner,
        age_s=None
        if latest is None or latest.ts is None or summary.latest_ahead_s is not None
        else max(0.0, now - latest.ts.timestamp()),
        problems=(*troubles, *reading.problems),
        history_problems=history_problems,
        timestamp=_utc(now),
    )


def _queues(samples: Samples) -> tuple[JobQueueStatus, ...]:
    return job_queues(
        samples.queues.reading,
        samples.machines,
        samples.runner.reading,
        samples.training.reading,
    )


def _history_problems(sample: Sample[HistoryReading]) -> tuple[str, ...]:
    """A long first read is no trouble, so only what was said counts."""
    reading = sample.reading
    told = () if reading is None else (*reading.problems, reading.note)
    return tuple(text for text in (sample.error, *told) if text is not None)


def _system(
    samples: Samples,
    settings: Settings,
    run_id: str,
    machines: tuple[MachineStatus, ...],
    now: float,
) -> SystemStatus:
    sample = samples.queues
    troubles = troubles_of(sample, settings.intervals.queues_s, "data queue", now)
    reading = sample.reading
    trends = samples.machine_history.reading or QueueTrends()
    queues = tuple(with_trend(each, trends) for each in _queues(samples))
    return SystemStatus(
        run_id=run_id,
        machines=machines,
        system_4090=host_summary(machines, "training"),
        system_3090=host_summary(machines, "inference"),
        queues=Queues(
            preview_jobs_pending=pending(queues, "preview"),
            eval_jobs_pending=pending(queues, "eval"),
            data_gen_jobs_pending=pending(queues, "data_gen"),
            training_queue_high=pending(queues, "training_high"),
            training_queue_normal=pending(queues, "training_normal"),
            training_queue_low=pending(queues, "training_low"),
        ),
        job_queues=queues,
        processing_files=() if reading is None else reading.processing_files,
        next_files=() if reading is None else reading.next_files,
        queue_age_s=sample.age_s(now),
        problems=(
            *troubles,
            *((reading.problem,) if reading and reading.problem else ()),
            *(samples.retention.reading.problems if samples.retention.reading else ()),
            *(samples.links.reading or ()),
        ),
        settings_problems=settings.left_out,
        timestamp=_utc(now),
    )


def _evals(samples: Samples, settings: Settings, run_id: str, now: float) -> EvalStatus:
    return eval_status(
        samples.evals.reading,
        samples.snapshots.reading,
        samples.training.reading,
        settings.thresholds,
        run_id=run_id,
        troubles=(
            *troubles_of(samples.evals, settings.intervals.evals_s, "eval log", now),
            *troubles_of(samples.snapshots, settings.intervals.evals_s, "retention index", now),
        ),
        now=now,
    )


def _latest_snapshot_date(samples: Samples) -> date | None:
    reading = samples.snapshots.reading
    moments = [] if reading is None else [each.created_at for each in reading.snapshots]
    days = [moment.date() for moment in moments if moment is not None]
    if (training := samples.training.reading) is not None:
        days += [day for day in (training.latest_snapshot_date,) if day is not None]
        days += [each.date for each in training.recent_snapshots if each.date is not None]
    return max(days, default=None)


def _heatmap(
    groups: Mapping[tuple[str, int | None], ExactMatchRate], edges: Sequence[int]
) -> PatternHeatmap:
    """The newest previews by pattern and bin of golden length; unknown lengths come last."""
    sizes: Counter[str] = Counter()
    for (pattern, _), rate in groups.items():
        sizes[pattern] += rate.count
    names = shown_groups(sizes, bytes_each=_BYTES_OF_CELL * (len(edges) + 1))
    rows = sorted(set(names.values()))
    lows: list[int | None] = list(edges)
    binned: dict[tuple[str, int | None], list[ExactMatchRate]] = {}
    for (pattern, length), rate in groups.items():
        binned.setdefault((names[pattern], bin_of(edges, length)), []).append(rate)
    if any(low is None for _, low in binned):
        lows.append(None)
    cells = [[binned.get((row, low), []) for low in lows] for row in rows]
    counts = [[sum(rate.count for rate in cell) for cell in row] for row in cells]
    right = [[sum(rate.correct for rate in cell) for cell in row] for row in cells]
    return PatternHeatmap(
        rows=tuple(rows),
        cols=tuple(bin_label(edges, low) for low in lows) if rows else (),
        data=tuple(
            tuple(r / c if c else None for r, c in zip(*pair, strict=True))
            for pair in zip(right, counts, strict=True)
        ),
        counts=tuple(map(tuple, counts)),
    )


def _thinned(points: Sequence[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    every = -(-len(points) // LOSS_POINTS) or 1
    return tuple((step, float(f"{loss:.5g}")) for step, loss in points[::-1][::every][::-1])


def preview_view(record: PreviewRecord) -> Preview:
    """A logged record as the pages and the API show it."""
    values = {name: getattr(record, name) for name in Preview.model_fields}
    values["contract_status"] = (
        None if record.contract_status is None else dict(record.contract_status)
    )
    return Preview(**values)


def _rates(groups: Mapping[str, ExactMatchRate]) -> dict[str, Rate]:
    """By name; see :func:`~app.views.preview_excerpt.shown_groups`."""
    names = shown_groups({name: group.count for name, group in groups.items()}, _BYTES_OF_RATE)
    together: dict[str, list[ExactMatchRate]] = {}
    for name, group in groups.items():
        together.setdefault(names[name], []).append(group)
    return {name: _rate(own) for name, own in sorted(together.items())}


def _rate(groups: Sequence[ExactMatchRate]) -> Rate:
    count = sum(group.count for group in groups)
    right = sum(group.correct for group in groups)
    em = right / count if count else None
    return Rate(em=em, count=count, em_rate=em, total=count)


def _health(levels: Sequence[Level]) -> str | None:
    return {"ok": "healthy", "warning": "warning", "critical": "critical"}.get(worst(levels))


def _utc(epoch_s: float) -> datetime:
    return datetime.fromtimestamp(epoch_s, UTC)
