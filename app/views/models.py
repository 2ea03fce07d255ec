"""What the pages show and the API returns: one model per question, units in the names.

Every value that is not known is None. Times carry their zone; ``_gb`` is GiB (2**30 bytes).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model

from app.views.preview_fields import preview_fields
from control_room.recording.closed_words import RunStatus
from control_room.recording.metrics import PLAIN

Day: TypeAlias = date
Level = Literal["ok", "warning", "critical", "unknown"]


def _rounded(value: float) -> float:
    return round(value, 3)


# What an instrument tells: more digits say nothing, and cost bytes in every answer.
Measured = Annotated[float, AfterValidator(_rounded)]


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class HealthLight(_View):
    """One traffic light of the summary bar; ``text`` says in words what the colour says."""

    name: str
    level: Level
    text: str


class LivenessStatus(_View):
    """Whether the trainer still writes; see ``collectors.files.training.Liveness``."""

    state: Literal["live", "stalled", "ended", "unknown"]
    silent_s: Measured | None = None
    patience_s: Measured | None = None
    reason: str | None = None


class RamStatus(_View):
    used_gb: Measured | None = None
    total_gb: Measured | None = None
    pct: Measured | None = None


class GpuProcessStatus(_View):
    """A process that uses a GPU."""

    pid: int
    name: str | None = None
    vram_used_gb: Measured | None = None


class MigInstanceStatus(_View):
    """A part of a GPU that MIG splits."""

    uuid: str
    name: str
    vram_used_gb: Measured | None = None
    vram_total_gb: Measured | None = None


class GpuStatus(_View):
    """One GPU. ``notes`` says, by field, why a value is None where that is known."""

    uuid: str
    index: int
    name: str
    temp_c: Measured | None = None
    temp_limit_c: Measured | None = None
    util_pct: Measured | None = None
    vram_used_gb: Measured | None = None
    vram_total_gb: Measured | None = None
    vram_pct: Measured | None = None
    power_w: Measured | None = None
    power_limit_w: Measured | None = None
    fan_pct: Measured | None = None
    throttle_reasons: tuple[str, ...] = ()
    mig_instances: tuple[MigInstanceStatus, ...] = ()
    processes: tuple[GpuProcessStatus, ...] | None = None  # the biggest; None: not told
    level: Level = "ok"
    problem: str | None = None
    notes: dict[str, str] = {}


class ServerStatus(_View):
    """A machine's inference server."""

    url: str
    online: bool
    message: str | None = None  # why it is not, and what to do
    api: str | None = None  # "native" (the daemon trainer's) or "openai"
    server: str | None = None
    active_model: str | None = None
    requests_running: Measured | None = None
    requests_waiting: Measured | None = None
    tokens_per_sec: Measured | None = None
    kv_cache_pct: Measured | None = None
    age_s: Measured | None = None


class MachineStatus(_View):
    """One machine: its GPUs, its host, and how old what is shown is."""

    name: str
    role: Literal["training", "inference"]
    online: bool
    reached_by: tuple[Literal["local", "ssh", "http"], ...] = ()
    message: str | None = None  # why it is not online, and what to do
    last_seen_s: Measured | None = None  # since it answered last
    gpus: tuple[GpuStatus, ...] = ()
    gpu_message: str | None = None  # why there are no GPUs to show, and what to do
    gpu_age_s: Measured | None = None
    power_profile: str | None = None
    server: ServerStatus | None = None
    cpu_pct: Measured | None = None
    cpu_count: Measured | None = None
    load_1m: Measured | None = None
    ram_used_gb: Measured | None = None
    ram_total_gb: Measured | None = None
    ram_pct: Measured | None = None
    ram_level: Level = "unknown"
    swap_used_gb: Measured | None = None
    swap_total_gb: Measured | None = None
    disk_path: str | None = None
    disk_used_gb: Measured | None = None
    disk_total_gb: Measured | None = None
    disk_pct: Measured | None = None
    disk_level: Level = "unknown"
    uptime_s: Measured | None = None
    host_age_s: Measured | None = None
    problems: tuple[str, ...] = ()


class GpuSummary(_View):
    """A machine's first GPU, in the shape that the daemon trainer's pages know."""

    online: bool = False
    temp_c: Measured | None = None
    util_pct: Measured | None = None
    vram_used_gb: Measured | None = None
    vram_total_gb: Measured | None = None
    vram_pct: Measured | None = None
    power_w: Measured | None = None
    power_limit_w: Measured | None = None
    fan_pct: Measured | None = None
    power_profile: str | None = None


class HostSummary(_View):
    """A machine's host, in the shape that the daemon trainer's pages know."""

    online: bool = False
    cpu_pct: Measured | None = None
    ram_gb: Measured | None = None
    ram_total_gb: Measured | None = None
    disk_used_gb: Measured | None = None
    disk_total_gb: Measured | None = None
    disk_pct: Measured | None = None
    swap_used_gb: Measured | None = None
    swap_total_gb: Measured | None = None


def _old(text: str) -> Any:
    """A field that is kept for the daemon trainer's pages."""
    return Field(default=None, deprecated=True, description=text)


class NoteStatus(_View):
    """A note on the run; ``step`` where it was told."""

    ts: datetime
    step: int | None = None
    text: str


class AlertStatus(_View):
    """What the trainer itself warns of; ``severity`` is its own word, ``level`` what it means."""

    message: str
    severity: str | None = None
    kind: str | None = None
    level: Level = "warning"


class _Progress(_View):
    run_id: str
    run_dir: str
    status: RunStatus | None = None
    phase: str | None = None
    pause_reason: str | None = None  # while it is paused, where that was told
    liveness: LivenessStatus
    current_step: int | None = None
    total_steps: int | None = None
    progress_pct: Measured | None = None
    epoch: float | None = None
    loss: float | None = None
    loss_history: tuple[tuple[int, float], ...] = ()  # (step, loss), oldest first
    streaming_ce: float | None = None
    loss_trend: Literal["improving", "stable", "rising", "unknown"] | None = None
    loss_variance: float | None = None


if TYPE_CHECKING:
    _ProgressAndMetrics = _Progress
else:
    _ProgressAndMetrics = create_model(
        "_ProgressAndMetrics",
        __base__=_Progress,
        **{metric.name: (float | None, None) for metric in PLAIN},
    )


class LiveStatus(_ProgressAndMetrics):
    """Training state and hardware: the answer to "is the run healthy?"."""

    # The gap is what lies between the two beside it.
    val_loss: float | None = None
    train_loss: float | None = None  # smoothed, when val_loss was told; without one, now
    val_train_gap: float | None = None
    gap_status: Literal["good", "warning", "overfitting"] | None = None
    alerts: tuple[AlertStatus, ...] = ()  # of the trainer itself
    notes: tuple[NoteStatus, ...] = ()  # newest first
    batch_step: int | None = None
    batch_total_steps: int | None = None
    batch_number: int | None = None
    batch_queue_size: int | None = None
    current_file: str | None = None
    dataset_id: str | None = None
    eta_current_file_s: Measured | None = None
    eta_overall_s: Measured | None = None  # of all steps
    eta_queued_s: Measured | None = None  # of the file in work and all that wait
    eta_current_file: str | None = _old('As "2h 15m"; use eta_current_file_s.')
    eta_overall: str | None = _old(
        'Of all queued files, else of all steps, as "12h 30m"; use eta_queued_s, eta_overall_s.'
    )
    tokens_per_sec: float | None = None
    tokens_per_sec_avg: float | None = None
    tokens_per_sec_baseline: float | None = None
    throughput_trend: Literal["normal", "degraded", "excellent"] | None = None
    current_checkpoint_id: str | None = None
    current_model_name: str | None = None
    error_message: str | None = None
    error_type: str | None = None
    segment_start_step: int | None = None
    segment_count: int = 1
    # By field: seconds since the trainer last wrote it.
    value_ages_s: dict[str, float] = Field(default_factory=dict)
    derived: tuple[str, ...] = ()  # fields computed here because the trainer wrote none
    machines: tuple[MachineStatus, ...] = ()
    gpu_4090: GpuSummary | None = _old("The first training machine's first GPU; use machines.")
    gpu_3090: GpuSummary | None = _old("The first inference machine's first GPU; use machines.")
    ram: RamStatus = RamStatus()  # of the first training machine
    latest_snapshot_date: Day | None = None
    health: Literal["healthy", "warning", "critical"] | None = None
    health_lights: tuple[HealthLight, ...] = ()
    health_issues: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()  # what could not be read: the file, what is wrong, what to do
    status_age_s: Measured | None = None  # since the trainer last wrote its status
    timestamp: datetime


class Queues(_View):
    """How many jobs and data files wait; None where there is no such queue."""

    preview_jobs_pending: int | None = None
    eval_jobs_pending: int | None = None
    data_gen_jobs_pending: int | None = None
    training_queue_high: int | None = None
    training_queue_normal: int | None = None
    training_queue_low: int | None = None


class JobQueueStatus(_View):
    """Jobs of one kind, and the machine whose server told it. None: not told."""

    kind: str  # preview, eval, data_gen, training, training_high, ...
    machine: str | None = None
    pending: int | None = None
    running: int | None = None
    failed: int | None = None
    last_latency_ms: Measured | None = None
    pending_history: tuple[Measured, ...] = ()  # means of the last 60 minutes, oldest first


class SystemStatus(_View):
    """Machines and job queues."""

    run_id: str
    machines: tuple[MachineStatus, ...] = ()
    system_4090: HostSummary | None = _old("The first training machine; use machines.")
    system_3090: HostSummary | None = _old("The first inference machine; use machines.")
    queues: Queues
    job_queues: tuple[JobQueueStatus, ...] = ()
    processing_files: tuple[str, ...] = ()
    next_files: tuple[str, ...] = ()
    queue_age_s: Measured | None = None
    problems: tuple[str, ...] = ()
    settings_problems: tuple[str, ...] = ()  # what of the run's own settings is not taken, and why
    timestamp: datetime


class Rate(_View):
    """An exact-match rate (0-1) over ``count`` scored previews."""

    em: float | None = None
    count: int = 0
    em_rate: float | None = _old("Use em.")
    total: int | None = _old("Use count.")


if TYPE_CHECKING:

    class _Logged(_View):
        def __getattr__(self, name: str) -> Any: ...

else:
    _Logged = create_model("_Logged", __base__=_View, **preview_fields(lists=False))


class Preview(_Logged):
    """One model answer as it was logged: the fields of the preview record, but for its lists."""


class LatestPreview(Preview):
    """The newest preview, small enough to be asked for every few seconds.

    ``cut`` has the full length of each text that is cut here, in characters, and ``whole`` the
    address where the preview stands whole. ``ahead_s``: ``ts`` was so far in the future when it was
    read, so a clock is wrong and its age is not known; null: it was not.
    """

    timestamp: datetime | None = _old("Use ts.")
    cut: dict[str, int] = Field(default_factory=dict)
    whole: str | None = None
    ahead_s: Measured | None = None


class PatternHeatmap(_View):
    """EM (0-1) of the newest 100 scored previews by pattern and golden length in tokens.

    Without any, as the trainer's status tells it; then ``counts`` is empty.
    """

    rows: tuple[str, ...] = ()  # patterns
    cols: tuple[str, ...] = ()  # length bins
    data: tuple[tuple[float | None, ...], ...] = ()  # one row each; None: no preview
    counts: tuple[tuple[int, ...], ...] = ()


class RoundStatus(_View):
    """A round of previews: the one that runs (``outcome`` null), or how the last one ended."""

    kind: str
    checkpoint: str
    answered: int | None = None
    total: int | None = None
    errors: int | None = None
    correct: int | None = None
    outcome: str | None = None
    reason: str | None = None


class RunnerStatus(_View):
    """What the preview runner (`python -m control_room.previews`) is doing."""

    running: bool  # false when it has not been heard of for a while
    age_s: Measured | None = None  # null: it has told nothing that can be read
    hostname: str | None = None
    pending: dict[str, int] = {}  # rounds that wait, by kind
    round: RoundStatus | None = None
    last_round: RoundStatus | None = None
    answers_per_sec: Measured | None = None
    tokens_per_sec: Measured | None = None
    last_latency_ms: Measured | None = None
    last_error: str | None = None
    skipped: int | None = None
    failed: int | None = None
    problems: tuple[str, ...] = ()  # those that it tells, after what is wrong with its file


class PreviewStatus(_View):
    """The newest preview and how the last ones went: "what has the model learned?".

    Where groups have very many or very long names, the largest are told by theirs, which may be
    cut, and the rest together as "(all others)".
    """

    run_id: str
    latest_preview: LatestPreview | None = None
    preview_em_last_20: float | None = None
    preview_em_last_50: float | None = None
    preview_em_last_100: float | None = None
    preview_count: int = 0  # scored previews among the newest 100
    unscored_count: int = 0
    regime_stats: dict[str, Rate] = {}
    source_stats: dict[str, Rate] = {}
    domain_stats: dict[str, Rate] = {}  # by pattern
    em_trend: tuple[float, ...] = ()
    pattern_heatmap: PatternHeatmap = PatternHeatmap()
    pending_jobs: int | None = None
    last_job_latency_ms: float | None = None
    runner: RunnerStatus | None = None  # null: none has worked on this run
    age_s: Measured | None = None  # of the newest preview
    problems: tuple[str, ...] = ()
    history_problems: tuple[str, ...] = ()  # why the history may not be all that was logged
    timestamp: datetime


class DomainEval(_View):
    """The newest evaluation of one domain of the fixed set."""

    em: float | None = None
    ce: float | None = None
    ece: float | None = None
    count: int | None = None
    step: int | None = None


class StoredCheckpoint(_View):
    """A checkpoint or snapshot that is kept.

    ``best``: of those listed, the highest EM; where none is known, what the trainer calls the best.
    """

    name: str
    date: Day | None = None
    step: int | None = None
    em: float | None = None
    ce: float | None = None
    loss: float | None = None
    size_gb: Measured | None = None
    protected: bool | None = None
    best: bool = False
    model_id: str | None = _old("Use name.")
    fixed_eval_em: float | None = _old("Use em.")
    tags: tuple[str, ...] | None = _old('["best_so_far"] of the best; use best.')


class EvalStatus(_View):
    """How good the model is on sets that do not change: "has it really learned?"."""

    run_id: str
    fixed_eval_em: float | None = None
    fixed_eval_interval: tuple[float, float] | None = None  # 95 %, where the count is known
    fixed_eval_count: int | None = None
    fixed_eval_ce: float | None = None
    fixed_eval_ece: float | None = None
    fixed_eval_trend: Literal["improving", "stable", "declining", "unknown"] | None = None
    fixed_eval_step: int | None = None
    fixed_eval_timestamp: datetime | None = None
    fixed_eval_history: tuple[tuple[int, float], ...] = ()  # (step, EM), oldest first
    domain_evals: dict[str, DomainEval] = {}
    micro_eval_loss: float | None = None
    micro_eval_step: int | None = None
    val_loss: float | None = None
    train_loss: float | None = None  # smoothed, when val_loss was told; without one, now
    val_train_gap: float | None = None
    gap_status: Literal["good", "warning", "overfitting"] | None = None
    snapshots: tuple[StoredCheckpoint, ...] = ()  # newest first
    checkpoints: tuple[StoredCheckpoint, ...] = ()  # newest first
    age_s: Measured | None = None  # of the newest fixed evaluation
    problems: tuple[str, ...] = ()
    timestamp: datetime


class Views(_View):
    """All views of one tick; ``version`` rises with every tick."""

    version: int
    live: LiveStatus
    preview: PreviewStatus
    evals: EvalStatus
    system: SystemStatus
