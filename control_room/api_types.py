"""What the API answers, field by field. Written by ``python -m app.generate``."""

from __future__ import annotations

from typing import Any, Literal, TypedDict


class AlertStatus(TypedDict):
    """What the trainer itself warns of; ``severity`` is its own word, ``level`` what it means."""

    message: str
    severity: str | None
    kind: str | None
    level: Literal["ok", "warning", "critical", "unknown"]


class BinRate(TypedDict):
    """The rate of the previews from ``low`` to before ``high`` (None: and beyond)."""

    low: float | None
    high: float | None
    rate: ExactMatchRate


class Choices(TypedDict):
    """The first values of a column, by the alphabet, of `total` that occur."""

    column: Literal[
        "regime",
        "source_pool",
        "failure_mode",
        "dataset_id",
        "pattern",
        "checkpoint_id",
    ]
    values: list[str]
    total: int


class ComparedFlip(TypedDict):
    """One example whose answer turned: the preview of `a`, and that of `b`."""

    before: LoggedPreview
    after: LoggedPreview


class ComparedFlips(TypedDict):
    """The newest examples that turned right (fixed) or wrong (broken), of `total`."""

    by: Literal["checkpoint", "regime", "dataset", "run"]
    a: str
    b: str
    turned: Literal["fixed", "broken"]
    flips: list[ComparedFlip]
    count: int
    total: int


class Comparison(TypedDict):
    """Of A to B."""

    a: ExactMatchRate
    b: ExactMatchRate
    common: int
    both_right: int
    both_wrong: int
    fixed: int
    broken: int
    p_value: float | None
    interval: Interval | None
    patterns: list[Flips]
    fixed_modes: dict[str, int]
    broken_modes: dict[str, int]
    difference: float | None


class ComparisonSides(TypedDict):
    """What can be compared: checkpoints in the order of their steps, others by name."""

    by: Literal["checkpoint", "regime", "dataset", "run"]
    sides: list[str]
    total: int


class ConfidenceBin(TypedDict):
    """Answers whose confidence lies between ``low`` and ``high``."""

    low: float | None
    high: float | None
    count: int
    correct: int
    mean_confidence: float | None
    em: float | None
    gap: float | None


class CurvePoint(TypedDict):
    """A value at a step."""

    step: int
    value: float | None


class DataFileEffects(TypedDict):
    """Between each two checkpoints, oldest first; of many files and patterns the first."""

    stretches: list[Stretch]


class DomainEval(TypedDict):
    """The newest evaluation of one domain of the fixed set."""

    em: float | None
    ce: float | None
    ece: float | None
    count: int | None
    step: int | None


class Drift(TypedDict):
    """Stretches of steps with about as many answers each; `verdict` compares their halves."""

    bins: list[DriftBin]
    verdict: DriftVerdict | None


class DriftBin(TypedDict):
    """A stretch of steps and how its answers divide."""

    first_step: int
    last_step: int
    counts: dict[str, int]
    total: int


class DriftVerdict(TypedDict):
    """What changed beyond chance, in words and by kind of answer."""

    text: str
    changes: dict[str, ShareChange]


class EvalStatus(TypedDict):
    """How good the model is on sets that do not change: "has it really learned?"."""

    run_id: str
    fixed_eval_em: float | None
    fixed_eval_interval: list[Any] | None
    fixed_eval_count: int | None
    fixed_eval_ce: float | None
    fixed_eval_ece: float | None
    fixed_eval_trend: Literal["improving", "stable", "declining", "unknown"] | None
    fixed_eval_step: int | None
    fixed_eval_timestamp: str | None
    fixed_eval_history: list[list[Any]]
    domain_evals: dict[str, DomainEval]
    micro_eval_loss: float | None
    micro_eval_step: int | None
    val_loss: float | None
    train_loss: float | None
    val_train_gap: float | None
    gap_status: Literal["good", "warning", "overfitting"] | None
    snapshots: list[StoredCheckpoint]
    checkpoints: list[StoredCheckpoint]
    age_s: float | None
    problems: list[str]
    timestamp: str


class Evaluation(TypedDict):
    """One evaluation."""

    step: int
    domain: str | None
    checkpoint_id: str | None
    em: float | None
    ce: float | None
    ece: float | None
    count: int | None
    all_of: int
    em_interval: Interval | None


class EvaluationsOverSteps(TypedDict):
    """By domain and step, the whole set (`domain` null) first; `domains` are evaluated."""

    evaluations: list[Evaluation]
    domains: int


class ExactMatchRate(TypedDict):
    """An exact-match rate: ``correct`` of ``count`` scored previews, with its 95 % interval."""

    correct: int
    count: int
    em: float | None
    interval: Interval | None


class ExampleLife(TypedDict):
    """One example over the run."""

    example_id: str | None
    dataset_id: str | None
    pattern: str | None
    prompt: str
    answers: int
    flips: int
    forgotten: int
    first_right_step: int | None
    learned_step: int | None
    last_right_step: int | None
    right_now: bool
    last_step: int
    confidence: float | None


class ExampleSamples(TypedDict):
    """The samples of one example at one checkpoint."""

    example_id: str
    dataset_id: str | None
    checkpoint_id: str | None
    step: int
    count: int
    correct: int
    distinct: int
    agreement: float | None
    entropy_nats: float | None


class FailureShare(TypedDict):
    """How many of the failures from ``first_step`` to ``last_step`` were of one mode."""

    failure_mode: str
    first_step: int
    last_step: int
    count: int
    failures: int
    share: float | None


class Failures(TypedDict):
    """Failures by mode over equal stretches of steps; in each, the most frequent first."""

    shares: list[FailureShare]


class Flips(TypedDict):
    """Of one group of common examples: how many turned right, and how many wrong."""

    group: str
    common: int
    fixed: int
    broken: int


class GapPoint(TypedDict):
    """Validation against training loss at one evaluation, in nats."""

    step: int
    val_loss: float | None
    loss: float | None
    gap: float | None


class GpuProcessStatus(TypedDict):
    """A process that uses a GPU."""

    pid: int
    name: str | None
    vram_used_gb: float | None


class GpuStatus(TypedDict):
    """One GPU."""

    uuid: str
    index: int
    name: str
    temp_c: float | None
    temp_limit_c: float | None
    util_pct: float | None
    vram_used_gb: float | None
    vram_total_gb: float | None
    vram_pct: float | None
    power_w: float | None
    power_limit_w: float | None
    fan_pct: float | None
    throttle_reasons: list[str]
    mig_instances: list[MigInstanceStatus]
    processes: list[GpuProcessStatus] | None
    level: Literal["ok", "warning", "critical", "unknown"]
    problem: str | None
    notes: dict[str, str]


class GpuSummary(TypedDict):
    """A machine's first GPU, in the shape that the daemon trainer's pages know."""

    online: bool
    temp_c: float | None
    util_pct: float | None
    vram_used_gb: float | None
    vram_total_gb: float | None
    vram_pct: float | None
    power_w: float | None
    power_limit_w: float | None
    fan_pct: float | None
    power_profile: str | None


class HeadWarning(TypedDict):
    """A head that a rule points out (docs/ANALYSIS.md)."""

    layer: int
    head: int
    rule: str
    measured: str


class Heads(TypedDict):
    """One step."""

    step: int
    layers: int
    heads: int
    values: dict[str, list[list[float | None]] | None]
    warnings: list[HeadWarning]
    steps: list[int]
    total_steps: int


class Health(TypedDict):
    """Whether the app itself is well; the run may be in any state."""

    status: Literal["ok", "failing"]
    reasons: list[str]
    sampler_alive: bool
    views_age_s: float
    history: Literal["not opened", "reading", "ready", "failing"]
    sources: dict[str, SourceHealth]


class HealthLight(TypedDict):
    """One traffic light of the summary bar; ``text`` says in words what the colour says."""

    name: str
    level: Literal["ok", "warning", "critical", "unknown"]
    text: str


class HeatmapCellView(TypedDict):
    """EM (0-1) of one pattern and length, with its 95 % interval."""

    pattern: str
    length: str
    em: float
    em_low: float
    em_high: float
    correct: int
    count: int


class HeatmapView(TypedDict):
    """Every pattern and length that has scored previews."""

    cells: list[HeatmapCellView]


class HostSummary(TypedDict):
    """A machine's host, in the shape that the daemon trainer's pages know."""

    online: bool
    cpu_pct: float | None
    ram_gb: float | None
    ram_total_gb: float | None
    disk_used_gb: float | None
    disk_total_gb: float | None
    disk_pct: float | None
    swap_used_gb: float | None
    swap_total_gb: float | None


class Interval(TypedDict):
    """Both ends of a 95 % interval."""

    low: float | None
    high: float | None


class JobQueueStatus(TypedDict):
    """Jobs of one kind, and the machine whose server told it."""

    kind: str
    machine: str | None
    pending: int | None
    running: int | None
    failed: int | None
    last_latency_ms: float | None
    pending_history: list[float]


class KeptWeights(TypedDict):
    """What the retention index lists, newest first, and the name of the best by each metric."""

    checkpoints: list[StoredWeights]
    snapshots: list[StoredWeights]
    keep_newest: int | None
    best_by: dict[str, str]
    problem: str | None


class LatestPreview(TypedDict):
    """The newest preview, small enough to be asked for every few seconds."""

    ts: str
    step: int
    checkpoint_id: str | None
    example_id: str | None
    dataset_id: str | None
    regime: str | None
    source_pool: str | None
    prompt: str
    golden: str
    model_answer: str
    exact_match: bool | None
    normalized_match: bool | None
    failure_mode: str | None
    ce: float | None
    prompt_tokens: int | None
    golden_tokens: int | None
    model_tokens: int | None
    generation_time_ms: float | None
    contract_status: dict[str, bool] | None
    run_id: str | None
    pattern: str | None
    sample_index: int | None
    temperature: float | None
    confidence: float | None
    top_p: float | None
    max_tokens: int | None
    seed: int | None
    finish_reason: str | None
    host: str | None
    round_id: str | None
    requested_checkpoint_id: str | None
    error: str | None
    example_loss: float | None
    timestamp: str | None
    cut: dict[str, int]
    whole: str | None
    ahead_s: float | None


class LearnedAtStep(TypedDict):
    """Of `examples` that were asked up to a step, `learned` were right in their newest answer."""

    step: int
    learned: int
    examples: int


class Learning(TypedDict):
    """How many examples are in each state, over the steps too, and the first of a ranking."""

    summary: LearningSummary
    over_steps: list[LearnedAtStep]
    examples: list[ExampleLife]


class LearningSummary(TypedDict):
    """How many examples there are in each state."""

    examples: int
    learned: int
    forgotten: int
    never: int
    unstable: int


class LiveStatus(TypedDict):
    """Training state and hardware: the answer to "is the run healthy?"."""

    run_id: str
    run_dir: str
    status: Literal["idle", "training", "paused", "completed", "crashed"] | None
    phase: str | None
    pause_reason: str | None
    liveness: LivenessStatus
    current_step: int | None
    total_steps: int | None
    progress_pct: float | None
    epoch: float | None
    loss: float | None
    loss_history: list[list[Any]]
    streaming_ce: float | None
    loss_trend: Literal["improving", "stable", "rising", "unknown"] | None
    loss_variance: float | None
    learning_rate: float | None
    grad_norm: float | None
    val_loss: float | None
    train_loss: float | None
    val_train_gap: float | None
    gap_status: Literal["good", "warning", "overfitting"] | None
    alerts: list[AlertStatus]
    notes: list[NoteStatus]
    batch_step: int | None
    batch_total_steps: int | None
    batch_number: int | None
    batch_queue_size: int | None
    current_file: str | None
    dataset_id: str | None
    eta_current_file_s: float | None
    eta_overall_s: float | None
    eta_queued_s: float | None
    eta_current_file: str | None
    eta_overall: str | None
    tokens_per_sec: float | None
    tokens_per_sec_avg: float | None
    tokens_per_sec_baseline: float | None
    throughput_trend: Literal["normal", "degraded", "excellent"] | None
    current_checkpoint_id: str | None
    current_model_name: str | None
    error_message: str | None
    error_type: str | None
    segment_start_step: int | None
    segment_count: int
    value_ages_s: dict[str, float]
    derived: list[str]
    machines: list[MachineStatus]
    gpu_4090: GpuSummary | None
    gpu_3090: GpuSummary | None
    ram: RamStatus
    latest_snapshot_date: str | None
    health: Literal["healthy", "warning", "critical"] | None
    health_lights: list[HealthLight]
    health_issues: list[str]
    problems: list[str]
    status_age_s: float | None
    timestamp: str


class LivenessStatus(TypedDict):
    """Whether the trainer still writes; see ``collectors.files.training.Liveness``."""

    state: Literal["live", "stalled", "ended", "unknown"]
    silent_s: float | None
    patience_s: float | None
    reason: str | None


class LoggedPreview(TypedDict):
    """A preview of the history; ``id`` is its day and line in the logs."""

    ts: str
    step: int
    checkpoint_id: str | None
    example_id: str | None
    dataset_id: str | None
    regime: str | None
    source_pool: str | None
    prompt: str
    golden: str
    model_answer: str
    exact_match: bool | None
    normalized_match: bool | None
    failure_mode: str | None
    ce: float | None
    prompt_tokens: int | None
    golden_tokens: int | None
    model_tokens: int | None
    generation_time_ms: float | None
    contract_status: dict[str, bool] | None
    run_id: str | None
    pattern: str | None
    sample_index: int | None
    temperature: float | None
    confidence: float | None
    token_log_probs: list[float | None] | None
    top_p: float | None
    max_tokens: int | None
    seed: int | None
    finish_reason: str | None
    host: str | None
    round_id: str | None
    requested_checkpoint_id: str | None
    error: str | None
    example_loss: float | None
    id: str
    cut: dict[str, int]
    whole: str | None


class MachineHistoryView(TypedDict):
    """The minutes of a machine, oldest first; up to a day is kept."""

    machine: str
    minutes: list[MachineMinuteView]
    count: int


class MachineMinuteView(TypedDict):
    """Means of one minute: of the machine (`device` null), or of one of its GPUs (a UUID)."""

    timestamp: str
    device: str | None
    name: str
    online: float
    temp_max_c: float | None
    util_pct: float | None
    temp_c: float | None
    vram_pct: float | None
    vram_used_gb: float | None
    power_w: float | None
    cpu_pct: float | None
    ram_pct: float | None
    disk_pct: float | None


class MachineStatus(TypedDict):
    """One machine: its GPUs, its host, and how old what is shown is."""

    name: str
    role: Literal["training", "inference"]
    online: bool
    reached_by: list[Literal["local", "ssh", "http"]]
    message: str | None
    last_seen_s: float | None
    gpus: list[GpuStatus]
    gpu_message: str | None
    gpu_age_s: float | None
    power_profile: str | None
    server: ServerStatus | None
    cpu_pct: float | None
    cpu_count: float | None
    load_1m: float | None
    ram_used_gb: float | None
    ram_total_gb: float | None
    ram_pct: float | None
    ram_level: Literal["ok", "warning", "critical", "unknown"]
    swap_used_gb: float | None
    swap_total_gb: float | None
    disk_path: str | None
    disk_used_gb: float | None
    disk_total_gb: float | None
    disk_pct: float | None
    disk_level: Literal["ok", "warning", "critical", "unknown"]
    uptime_s: float | None
    host_age_s: float | None
    problems: list[str]


class MetricSeries(TypedDict):
    """One metric over steps, thinned so that its lowest and highest points stay."""

    field: str
    points: list[SeriesPoint]
    total: int
    not_finite: int


class MigInstanceStatus(TypedDict):
    """A part of a GPU that MIG splits."""

    uuid: str
    name: str
    vram_used_gb: float | None
    vram_total_gb: float | None


class Note(TypedDict):
    """``step`` is the note's own, or that of the last metric before it; None before any."""

    ts: str
    step: int | None
    text: str


class NoteStatus(TypedDict):
    """A note on the run; ``step`` where it was told."""

    ts: str
    step: int | None
    text: str


class Notes(TypedDict):
    """The newest notes, oldest first."""

    notes: list[Note]
    count: int


class Overfitting(TypedDict):
    """Validation against training loss, in nats, by step; `total` evaluations have both."""

    onset_step: int | None
    points: list[GapPoint]
    total: int


class PassAtK(TypedDict):
    """The mean of pass@k over the examples that have at least ``k`` samples."""

    k: int
    value: float | None
    examples: int
    interval: Interval | None


class PatternEffect(TypedDict):
    """Of `common` examples of a pattern, how many turned right (fixed) and wrong (broken)."""

    pattern: str
    common: int
    fixed: int
    broken: int


class PatternHeatmap(TypedDict):
    """EM (0-1) of the newest 100 scored previews by pattern and golden length in tokens."""

    rows: list[str]
    cols: list[str]
    data: list[list[float | None]]
    counts: list[list[int]]


class PreviewHistory(TypedDict):
    """One page, newest first."""

    previews: list[LoggedPreview]
    limit: int
    offset: int
    count: int
    total: int
    total_all: int
    next: str | None
    previous: str | None


class PreviewStatus(TypedDict):
    """The newest preview and how the last ones went: "what has the model learned?"."""

    run_id: str
    latest_preview: LatestPreview | None
    preview_em_last_20: float | None
    preview_em_last_50: float | None
    preview_em_last_100: float | None
    preview_count: int
    unscored_count: int
    regime_stats: dict[str, Rate]
    source_stats: dict[str, Rate]
    domain_stats: dict[str, Rate]
    em_trend: list[float]
    pattern_heatmap: PatternHeatmap
    pending_jobs: int | None
    last_job_latency_ms: float | None
    runner: RunnerStatus | None
    age_s: float | None
    problems: list[str]
    history_problems: list[str]
    timestamp: str


class Queues(TypedDict):
    """How many jobs and data files wait; None where there is no such queue."""

    preview_jobs_pending: int | None
    eval_jobs_pending: int | None
    data_gen_jobs_pending: int | None
    training_queue_high: int | None
    training_queue_normal: int | None
    training_queue_low: int | None


class RamStatus(TypedDict):
    """RamStatus."""

    used_gb: float | None
    total_gb: float | None
    pct: float | None


class Rate(TypedDict):
    """An exact-match rate (0-1) over ``count`` scored previews."""

    em: float | None
    count: int
    em_rate: float | None
    total: int | None


class RateCurve(TypedDict):
    """EM in bins of the lengths of answers (tokens), or of CE (nats per token)."""

    by: Literal["answer_length", "ce"]
    bins: list[BinRate]


class RatesOverSteps(TypedDict):
    """EM of each group over equal stretches of steps, oldest first."""

    rates: list[StepRate]


class RejectedLines(TypedDict):
    """Lines of one log file that cannot be read: how many, the newest of them, and why it."""

    file: str
    lines: int
    newest_line: int
    reason: str


class Rejects(TypedDict):
    """By file, the last file first; of `total` files."""

    files: list[RejectedLines]
    total: int


class Reliability(TypedDict):
    """Bins of confidence that hold answers, from the least sure up, and the figures over them."""

    bins: list[ConfidenceBin]
    count: int
    without_confidence: int
    expected_calibration_error: float | None
    maximum_calibration_error: float | None
    brier_score: float | None


class RoundStatus(TypedDict):
    """A round of previews: the one that runs (``outcome`` null), or how the last one ended."""

    kind: str
    checkpoint: str
    answered: int | None
    total: int | None
    errors: int | None
    correct: int | None
    outcome: str | None
    reason: str | None


class Run(TypedDict):
    """What the status file of a run says, its EM, and its settings (`config`) by name."""

    name: str
    status: str | None
    model_name: str | None
    current_step: int | None
    total_steps: int | None
    loss: float | None
    val_loss: float | None
    exact_match: RunExactMatch | None
    written_at: str | None
    config: dict[str, str | bool | int | float | None]
    problem: str | None


class RunCurve(TypedDict):
    """One curve of a run, thinned; `total` values were logged."""

    run: str
    curve: Literal[
        "loss",
        "val_loss",
        "learning_rate",
        "grad_norm",
        "tokens_per_sec",
        "exact_match",
    ]
    points: list[CurvePoint]
    total: int


class RunExactMatch(TypedDict):
    """EM from 0 to 1: of the newest evaluation of the fixed set, else of the newest previews."""

    value: float | None
    kind: Literal["fixed set", "previews"]
    text: str


class RunnerStatus(TypedDict):
    """What the preview runner (`python -m control_room.previews`) is doing."""

    running: bool
    age_s: float | None
    hostname: str | None
    pending: dict[str, int]
    round: RoundStatus | None
    last_round: RoundStatus | None
    answers_per_sec: float | None
    tokens_per_sec: float | None
    last_latency_ms: float | None
    last_error: str | None
    skipped: int | None
    failed: int | None
    problems: list[str]


class RunsTable(TypedDict):
    """The run that the app was started for, then the others by their directories; of `total`."""

    runs: list[Run]
    total: int
    differing_settings: list[str]


class Samples(TypedDict):
    """pass@k, and the examples whose answers agree least."""

    pass_at_k: list[PassAtK]
    examples: list[ExampleSamples]


class SeriesPoint(TypedDict):
    """A logged value."""

    step: int
    value: float


class ServerStatus(TypedDict):
    """A machine's inference server."""

    url: str
    online: bool
    message: str | None
    api: str | None
    server: str | None
    active_model: str | None
    requests_running: float | None
    requests_waiting: float | None
    tokens_per_sec: float | None
    kv_cache_pct: float | None
    age_s: float | None


class ShareChange(TypedDict):
    """By how much a share changed from the first half to the second, with its 95 % interval."""

    difference: float | None
    interval: Interval


class SidesCompared(TypedDict):
    """From `a` to `b`; in `comparison`, the patterns with most flips come first."""

    by: Literal["checkpoint", "regime", "dataset", "run"]
    a: str
    b: str
    comparison: Comparison


class SourceHealth(TypedDict):
    """One source of readings."""

    age_s: float | None
    error: str | None
    hangs_s: float | None


class Statistics(TypedDict):
    """The rate over all that match, and by regime and source; and how many were not scored."""

    overall: ExactMatchRate
    unscored: int
    by_regime: dict[str, ExactMatchRate]
    by_source: dict[str, ExactMatchRate]


class StepAnswer(TypedDict):
    """Whether one answer was right."""

    step: int
    right: bool


class StepRate(TypedDict):
    """The rate of one group over the steps from ``first_step`` to ``last_step``."""

    group: str
    first_step: int
    last_step: int
    rate: ExactMatchRate


class StoredCheckpoint(TypedDict):
    """A checkpoint or snapshot that is kept."""

    name: str
    date: str | None
    step: int | None
    em: float | None
    ce: float | None
    loss: float | None
    size_gb: float | None
    protected: bool | None
    best: bool
    model_id: str | None
    fixed_eval_em: float | None
    tags: list[str] | None


class StoredWeights(TypedDict):
    """A checkpoint or a snapshot on disk."""

    name: str
    step: int | None
    created_at: str | None
    size_gb: float | None
    em: float | None
    ce: float | None
    loss: float | None
    protected: bool | None
    keep_until: str | None
    source: str | None


class Stretch(TypedDict):
    """After `first_step` up to `last_step`: what was trained on, and what it changed."""

    first_step: int
    last_step: int
    files: list[TrainedFile]
    patterns: list[PatternEffect]


class SystemStatus(TypedDict):
    """Machines and job queues."""

    run_id: str
    machines: list[MachineStatus]
    system_4090: HostSummary | None
    system_3090: HostSummary | None
    queues: Queues
    job_queues: list[JobQueueStatus]
    processing_files: list[str]
    next_files: list[str]
    queue_age_s: float | None
    problems: list[str]
    settings_problems: list[str]
    timestamp: str


class Throughput(TypedDict):
    """Samples of the log, oldest first, thinned, of `total`; and what each setting gave."""

    points: list[ThroughputPoint]
    total: int
    settings: list[ThroughputSetting]


class ThroughputPoint(TypedDict):
    """One throughput sample."""

    step: int | None
    tokens_per_sec: float | None
    vram_used_gb: float | None
    vram_pct: float | None
    batch_size: int | None
    sequence_length: int | None


class ThroughputSampleView(TypedDict):
    """One sample of speed and memory; one of the trainer's status may lack its time or step."""

    timestamp: str | None
    step: int | None
    tokens_per_sec: float | None
    vram_used_gb: float | None
    vram_pct: float | None
    batch_size: int | None
    sequence_length: int | None


class ThroughputSamples(TypedDict):
    """The newest samples, newest first."""

    samples: list[ThroughputSampleView]
    count: int
    source: Literal["log", "status"]


class ThroughputSetting(TypedDict):
    """A batch size and sequence length, and what it gave."""

    batch_size: int | None
    sequence_length: int | None
    samples: int
    tokens_per_sec_median: float | None
    vram_used_gb_max: float | None
    vram_pct_max: float | None


class Timeline(TypedDict):
    """The newest answers to one example, oldest first, of `total`."""

    example_id: str | None
    dataset_id: str | None
    prompt: str
    answers: list[StepAnswer]
    total: int


class Timelines(TypedDict):
    """The first of a ranking, each with its answers."""

    timelines: list[Timeline]


class TrainedFile(TypedDict):
    """A data file, and for how many steps it was trained on."""

    name: str
    steps: int
