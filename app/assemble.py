"""Readings in, views out: pure functions, called once per tick and never by a viewer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from app.assemble_evals import eval_status
from app.health import (
    gap_status,
    gpu_level,
    health_lights,
    machine_issues,
    usage_level,
    worst,
)
from app.history import HistoryReading
from app.lengths import bin_label, bin_of
from app.settings import Settings
from app.views import (
    EvalStatus,
    GpuStatus,
    GpuSummary,
    HostSummary,
    Level,
    LivenessStatus,
    LiveStatus,
    MachineStatus,
    PatternHeatmap,
    Preview,
    PreviewStatus,
    Queues,
    RamStatus,
    Rate,
    SystemStatus,
    Views,
)
from collectors.evals import EvalsReading
from collectors.gpu_reading import GpuReading, GpusReading
from collectors.host import HostReading
from collectors.previews import PreviewsReading
from collectors.queues import QueuesReading
from collectors.sampler import Sample
from collectors.snapshots import SnapshotsReading
from collectors.training import TrainingReading
from control_room.history.recent import GroupRate
from control_room.records import PreviewRecord

# A source that is asked and does not answer for this many of its intervals (at least
# MIN_PATIENCE_S) is said to be silent.
PATIENCE_INTERVALS = 5
MIN_PATIENCE_S = 5.0
LOSS_POINTS = 40  # of the loss curve in the live view


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """The latest sample of every source."""

    training: Sample[TrainingReading] = field(default_factory=Sample)
    previews: Sample[PreviewsReading] = field(default_factory=Sample)
    gpu: Sample[GpusReading] = field(default_factory=Sample)
    host: Sample[HostReading] = field(default_factory=Sample)
    queues: Sample[QueuesReading] = field(default_factory=Sample)
    evals: Sample[EvalsReading] = field(default_factory=Sample)
    snapshots: Sample[SnapshotsReading] = field(default_factory=Sample)
    history: Sample[HistoryReading] = field(default_factory=Sample)


def assemble(samples: Samples, settings: Settings, *, now: float, version: int) -> Views:
    """All views of one tick. ``now`` is epoch seconds."""
    run_dir = settings.run_dir
    training = samples.training.reading
    run_id = run_dir.name if training is None else training.run_id
    machines = (_machine(samples, settings, now),)
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
    issues = [
        *((light.level, light.text) for light in lights if light.level in ("warning", "critical")),
        *machine_issues(machines),
    ]
    troubles = _troubles(samples.training, settings.intervals.training_s, "training state", now)
    common: dict[str, Any] = {
        "run_id": run_id,
        "run_dir": str(run_dir),
        "machines": machines,
        "health_lights": lights,
        "health_issues": tuple(text for _, text in issues),
        "gpu_4090": _gpu_summary(machines, "training"),
        "gpu_3090": _gpu_summary(machines, "inference"),
        "ram": _ram(machines),
        "latest_snapshot_date": _latest_snapshot_date(samples),
        "health": _health([*(light.level for light in lights), *(level for level, _ in issues)]),
        "timestamp": _utc(now),
    }
    if reading is None:
        return LiveStatus(liveness=LivenessStatus(state="unknown"), problems=troubles, **common)
    liveness = reading.liveness
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
        progress_pct=_pct(reading.current_step, reading.total_steps),
        loss_history=_thinned(reading.recent_losses),
        eta_current_file=reading.eta_current_file_s,
        eta_overall=reading.eta_overall_s,
        current_checkpoint_id=reading.checkpoint_id,
        current_model_name=reading.model_name,
        value_ages_s={name: round(max(0.0, now - at), 1) for name, at in reading.seen_at.items()},
        derived=tuple(sorted(reading.derived)),
        problems=(*troubles, *reading.problems),
        status_age_s=None if reading.updated_at is None else max(0.0, now - reading.updated_at),
    )


# Fields that mean the same and are called the same in the reading and in the view.
_SAME_IN_BOTH = tuple(
    name
    for name in LiveStatus.model_fields
    if name in TrainingReading.__dataclass_fields__
    and name not in ("run_id", "liveness", "problems", "derived")
)


def _preview(samples: Samples, settings: Settings, run_id: str, now: float) -> PreviewStatus:
    sample = samples.previews
    troubles = _troubles(sample, settings.intervals.previews_s, "preview log", now)
    reading = sample.reading
    history_problems = _history_problems(samples.history)
    if reading is None:
        return PreviewStatus(
            run_id=run_id,
            problems=troubles,
            history_problems=history_problems,
            timestamp=_utc(now),
        )
    summary = reading.summary
    latest = summary.latest
    return PreviewStatus(
        run_id=run_id,
        latest_preview=None if latest is None else preview_view(latest),
        preview_em_last_20=summary.em_last_20.em,
        preview_em_last_50=summary.em_last_50.em,
        preview_em_last_100=summary.em_last_100.em,
        preview_count=summary.em_last_100.count,
        unscored_count=summary.unscored,
        regime_stats=_rates(summary.by_regime),
        source_stats=_rates(summary.by_source),
        domain_stats=_rates(summary.by_pattern),
        em_trend=summary.em_trend,
        pattern_heatmap=_heatmap(summary.by_pattern_and_length, settings.heatmap.bin_edges),
        age_s=None if latest is None or latest.ts is None else now - latest.ts.timestamp(),
        problems=(*troubles, *reading.problems),
        history_problems=history_problems,
        timestamp=_utc(now),
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
    troubles = _troubles(sample, settings.intervals.queues_s, "data queue", now)
    reading = sample.reading
    old: dict[str, Any] = {
        "system_4090": _host_summary(machines, "training"),
        "system_3090": _host_summary(machines, "inference"),
    }
    if reading is None:
        return SystemStatus(
            run_id=run_id,
            machines=machines,
            **old,
            queues=Queues(),
            problems=troubles,
            timestamp=_utc(now),
        )
    return SystemStatus(
        run_id=run_id,
        machines=machines,
        **old,
        queues=Queues(
            training_queue_high=reading.high,
            training_queue_normal=reading.normal,
            training_queue_low=reading.low,
        ),
        processing_files=reading.processing_files,
        next_files=reading.next_files,
        queue_age_s=sample.age_s(now),
        problems=(*troubles, *((reading.problem,) if reading.problem else ())),
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
            *_troubles(samples.evals, settings.intervals.evals_s, "eval log", now),
            *_troubles(samples.snapshots, settings.intervals.evals_s, "retention index", now),
        ),
        now=now,
    )


def _first(machines: Sequence[MachineStatus], role: str) -> MachineStatus | None:
    return next((machine for machine in machines if machine.role == role), None)


def _gpu_summary(machines: Sequence[MachineStatus], role: str) -> GpuSummary:
    machine = _first(machines, role)
    if machine is None or not machine.gpus:
        return GpuSummary(online=machine is not None and machine.online)
    gpu = machine.gpus[0]
    same = {name: getattr(gpu, name) for name in GpuSummary.model_fields if hasattr(gpu, name)}
    return GpuSummary(online=machine.online, **same)


def _host_summary(machines: Sequence[MachineStatus], role: str) -> HostSummary:
    machine = _first(machines, role)
    if machine is None:
        return HostSummary()
    same = {n: getattr(machine, n) for n in HostSummary.model_fields if hasattr(machine, n)}
    return HostSummary(ram_gb=machine.ram_used_gb, **same)


def _ram(machines: Sequence[MachineStatus]) -> RamStatus:
    machine = _first(machines, "training")
    if machine is None:
        return RamStatus()
    return RamStatus(
        used_gb=machine.ram_used_gb, total_gb=machine.ram_total_gb, pct=machine.ram_pct
    )


def _latest_snapshot_date(samples: Samples) -> date | None:
    reading = samples.snapshots.reading
    moments = [] if reading is None else [each.created_at for each in reading.snapshots]
    return max((moment.date() for moment in moments if moment is not None), default=None)


def _heatmap(
    groups: Mapping[tuple[str, int | None], GroupRate], edges: Sequence[int]
) -> PatternHeatmap:
    """The newest previews by pattern and bin of golden length; unknown lengths come last."""
    rows = sorted({pattern for pattern, _ in groups})
    lows: list[int | None] = list(edges)
    binned: dict[tuple[str, int | None], list[GroupRate]] = {}
    for (pattern, length), rate in groups.items():
        binned.setdefault((pattern, bin_of(edges, length)), []).append(rate)
    if any(low is None for _, low in binned):
        lows.append(None)
    cells = [[binned.get((row, low), []) for low in lows] for row in rows]
    counts = [[sum(rate.count for rate in cell) for cell in row] for row in cells]
    right = [[sum((r.em or 0) * r.count for r in cell) for cell in row] for row in cells]
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


def _machine(samples: Samples, settings: Settings, now: float) -> MachineStatus:
    """This machine, from what NVML and psutil told last."""
    host, gpus = samples.host.reading, samples.gpu.reading
    troubles = (
        *_troubles(samples.gpu, settings.intervals.gpu_s, "GPU", now),
        *_troubles(samples.host, settings.intervals.host_s, "host", now),
    )
    name = settings.machine_name or (host.hostname if host else "this machine")
    gpu_views = tuple(_gpu(gpu, settings) for gpu in gpus.gpus) if gpus else ()
    common: dict[str, Any] = {
        "name": name,
        "role": "training",
        "online": True,
        "gpus": gpu_views,
        "gpu_message": None if gpus is None else gpus.message,
        "gpu_age_s": samples.gpu.age_s(now),
    }
    if host is None:
        return MachineStatus(**common, problems=troubles)
    ram_pct = _pct(host.ram_used_gb, host.ram_total_gb)
    disk_pct = _pct(host.disk_used_gb, host.disk_total_gb)
    return MachineStatus(
        **common,
        cpu_pct=host.cpu_pct,
        cpu_count=host.cpu_count,
        load_1m=host.load_1m,
        ram_used_gb=host.ram_used_gb,
        ram_total_gb=host.ram_total_gb,
        ram_pct=ram_pct,
        ram_level=usage_level(ram_pct, settings.thresholds.ram_warning_pct),
        swap_used_gb=host.swap_used_gb,
        swap_total_gb=host.swap_total_gb,
        disk_path=str(host.disk_path),
        disk_used_gb=host.disk_used_gb,
        disk_total_gb=host.disk_total_gb,
        disk_pct=disk_pct,
        disk_level=usage_level(disk_pct, settings.thresholds.disk_warning_pct),
        uptime_s=host.uptime_s,
        host_age_s=samples.host.age_s(now),
        problems=(*troubles, *((host.problem,) if host.problem else ())),
    )


def _gpu(gpu: GpuReading, settings: Settings) -> GpuStatus:
    return GpuStatus(
        uuid=gpu.uuid,
        index=gpu.index,
        name=gpu.name,
        temp_c=gpu.temp_c,
        temp_limit_c=gpu.temp_slowdown_c,
        util_pct=gpu.util_pct,
        vram_used_gb=gpu.vram_used_gb,
        vram_total_gb=gpu.vram_total_gb,
        vram_pct=_pct(gpu.vram_used_gb, gpu.vram_total_gb),
        power_w=gpu.power_w,
        power_limit_w=gpu.power_limit_w,
        fan_pct=gpu.fan_pct,
        throttle_reasons=gpu.throttle_reasons,
        level=gpu_level(gpu, settings.thresholds),
        problem=gpu.problem,
        notes=dict(gpu.notes),
    )


def preview_view(record: PreviewRecord) -> Preview:
    """A logged record as the pages and the API show it."""
    values = {name: getattr(record, name) for name in Preview.model_fields}
    values["contract_status"] = (
        None if record.contract_status is None else dict(record.contract_status)
    )
    return Preview(**values)


def _rates(groups: Mapping[str, GroupRate]) -> dict[str, Rate]:
    return {name: Rate(em=group.em, count=group.count) for name, group in groups.items()}


def _troubles(sample: Sample[Any], interval_s: float, what: str, now: float) -> tuple[str, ...]:
    patience_s = max(MIN_PATIENCE_S, PATIENCE_INTERVALS * interval_s)
    trouble = sample.trouble(now, patience_s=patience_s)
    return () if trouble is None else (f"{what}: {trouble}",)


def _health(levels: Sequence[Level]) -> str | None:
    return {"ok": "healthy", "warning": "warning", "critical": "critical"}.get(worst(levels))


def _pct(used: float | None, total: float | None) -> float | None:
    if used is None or not total:
        return None
    return 100 * used / total


def _utc(epoch_s: float) -> datetime:
    return datetime.fromtimestamp(epoch_s, UTC)
