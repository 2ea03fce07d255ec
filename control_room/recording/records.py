"""One class per kind of log line, each field declared once.

Type and range, unit and meaning of a field stand with it, and so does what people call it. The
check, the line, the columns of every table and file, the API's answers, pages and documentation
follow from that: see :func:`~control_room.recording.fields.described`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from control_room.recording.fields import MAX_STEP, described
from control_room.recording.lines import AnyRecord as AnyRecord
from control_room.recording.lines import Record as Record
from control_room.recording.lines import after_torn_line as after_torn_line
from control_room.recording.lines import fields_to_json_line as fields_to_json_line
from control_room.recording.lines import parse_line as parse_line
from control_room.recording.lines import to_json_line as to_json_line

# The source pool of answers that were drawn several times at a temperature, to see how much they
# agree. They say nothing of how often the model is right, and no rate counts them.
SAMPLES_POOL = "samples"

# Files of the daemon trainer that previews are read from.
SNAPSHOT, PREVIEW_ROUND, INFERENCE_LOG = "snapshot", "preview round", "inference log"

# What most records have. A time without a zone is local; None means now.
_TS = described("when it was logged")
_RUN_ID = described("of which run")
_STEP = described("optimisation step", high=MAX_STEP)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewRecord(Record):
    """One model answer to one example. ``ts`` without a zone is local time; None means now."""

    ts: datetime | None = field(
        default=None, metadata=described("when the model answered", label="Time", column=10)
    )
    step: int = field(
        metadata=described(
            "optimisation step of the weights that answered", high=MAX_STEP, column=20
        )
    )
    checkpoint_id: str | None = field(
        default=None,
        metadata=described("the checkpoint that answered", label="Checkpoint", null=True),
    )
    example_id: str | None = field(
        default=None,
        metadata=described(
            "which example",
            label="Example",
            null=True,
            imported_as={SNAPSHOT: "example_id", PREVIEW_ROUND: "puzzle_id"},
        ),
    )
    dataset_id: str | None = field(
        default=None,
        metadata=described("from which data it is", label="Dataset", null=True, column=30),
    )
    regime: str | None = field(
        default=None,
        metadata=described(
            "output contract: `emoji_think`, `regime3`, `plain_sft`, or your own (PREVIEWS.md)",
            null=True,
            column=50,
        ),
    )
    source_pool: str | None = field(
        default=None,
        metadata=described(
            "`fixed_eval`, `train`, `failures`; `samples`: drawn several times, counted in no rate",
            label="Source",
            null=True,
            column=60,
        ),
    )
    prompt: str = field(
        metadata=described(
            "what was asked, in full",
            is_text=True,
            column=100,
            imported_as={SNAPSHOT: "input", PREVIEW_ROUND: "prompt", INFERENCE_LOG: "prompt"},
        )
    )
    golden: str = field(
        metadata=described(
            "the right answer, in full",
            label="Golden answer",
            is_text=True,
            imported_as={
                SNAPSHOT: "expected_output",
                PREVIEW_ROUND: "expected",
                INFERENCE_LOG: "golden",
            },
        )
    )
    model_answer: str = field(
        metadata=described(
            "the model's answer, in full",
            is_text=True,
            imported_as={
                SNAPSHOT: "model_output",
                PREVIEW_ROUND: "generated",
                INFERENCE_LOG: "model_output",
            },
        )
    )
    exact_match: bool | None = field(
        default=None,
        metadata=described(
            "whether the answer is right; null: not scored, as is every `server_error`, which is "
            "no answer of the model",
            null=True,
            column=70,
            heading="EM",
            imported_as={
                SNAPSHOT: "exact_match",
                PREVIEW_ROUND: "exact_match",
                INFERENCE_LOG: "matches",
            },
        ),
    )
    normalized_match: bool | None = field(
        default=None,
        metadata=described("whether it is right but for its form; null: not scored", null=True),
    )
    failure_mode: str | None = field(
        default=None,
        metadata=described(
            "how it failed; the modes are in DATA.md, and those of other systems stay theirs",
            null=True,
            column=90,
        ),
    )
    ce: float | None = field(
        default=None,
        metadata=described(
            "cross-entropy of the golden answer",
            unit="nats per token",
            label="CE",
            null=True,
            column=80,
        ),
    )
    prompt_tokens: int | None = field(
        default=None, metadata=described("length of the prompt", unit="tokens", null=True)
    )
    golden_tokens: int | None = field(
        default=None, metadata=described("length of the golden answer", unit="tokens", null=True)
    )
    model_tokens: int | None = field(
        default=None,
        metadata=described("length of the answer", unit="tokens", label="Answer tokens", null=True),
    )
    generation_time_ms: float | None = field(
        default=None,
        metadata=described(
            "time to generate the answer",
            unit="ms",
            label="Generation time",
            low=0.0,
            null=True,
            imported_as={PREVIEW_ROUND: "inference_time_ms"},
        ),
    )
    contract_status: Mapping[str, bool] | None = field(
        default=None, metadata=described("check name → kept?", null=True)
    )
    run_id: str | None = field(default=None, metadata=_RUN_ID)
    pattern: str | None = field(
        default=None, metadata=described("what kind of example it is", column=40)
    )
    sample_index: int | None = field(
        default=None, metadata=described("which of several answers to the same example, from 0")
    )
    temperature: float | None = field(
        default=None, metadata=described("at which the answer was drawn", low=0.0)
    )
    confidence: float | None = field(
        default=None, metadata=described("the model's own, in its answer", low=0.0, high=1.0)
    )
    token_log_probs: Sequence[float] | None = field(
        default=None,
        metadata=described("log probability of each token of the answer", unit="nats"),
    )
    top_p: float | None = field(
        default=None, metadata=described("share of probability that tokens were drawn from")
    )
    max_tokens: int | None = field(
        default=None, metadata=described("how long the answer might be", unit="tokens")
    )
    seed: int | None = field(default=None, metadata=described("of the drawing of the answer"))
    finish_reason: str | None = field(
        default=None, metadata=described("as the server said it: `stop`, `length`, ...")
    )
    host: str | None = field(default=None, metadata=described("the server that answered"))
    round_id: str | None = field(
        default=None, metadata=described("the round of the preview runner", label="Round")
    )
    requested_checkpoint_id: str | None = field(
        default=None,
        metadata=described(
            "the checkpoint that was asked for, where another one answered",
            label="Requested checkpoint",
        ),
    )
    error: str | None = field(
        default=None,
        metadata=described(
            "why there is no answer, and the preview not scored; `model_answer` is then what the "
            "server said in its place, or empty"
        ),
    )
    example_loss: float | None = field(
        default=None,
        metadata=described(
            "the loss of this example as the training system reckons it, in its own unit; never a "
            "`ce`, and in no curve or rate",
            imported_as={SNAPSHOT: "loss", INFERENCE_LOG: "loss"},
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ThroughputSample(Record):
    """Speed against memory, for choosing batch size and sequence length."""

    ts: datetime | None = field(default=None, metadata=_TS)
    step: int = field(metadata=_STEP)
    tokens_per_sec: float = field(metadata=described("speed", unit="tokens/s", low=0.0))
    vram_used_gb: float | None = field(
        default=None,
        metadata=described(
            "memory of the training GPU; on a CPU the process's resident memory",
            unit="GiB",
            low=0.0,
        ),
    )
    vram_pct: float | None = field(
        default=None, metadata=described("share of it that is used", unit="percent", low=0.0)
    )
    batch_size: int | None = field(default=None, metadata=described("sequences in a batch"))
    sequence_length: int | None = field(
        default=None, metadata=described("length of each", unit="tokens")
    )
    run_id: str | None = field(default=None, metadata=_RUN_ID)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPoint(Record):
    """What one optimisation step reports. NaN and infinity are kept: they are news."""

    ts: datetime | None = field(default=None, metadata=_TS)
    step: int = field(metadata=_STEP)
    loss: float | None = field(
        default=None,
        metadata=described("of the training; NaN and infinity are kept", unit="nats per token"),
    )
    learning_rate: float | None = field(default=None, metadata=described("of the optimiser"))
    grad_norm: float | None = field(
        default=None, metadata=described("Euclidean norm of the gradient")
    )
    epoch: float | None = field(default=None, metadata=described("passes over the data", low=0.0))
    val_loss: float | None = field(
        default=None,
        metadata=described("of the validation; NaN and infinity are kept", unit="nats per token"),
    )
    tokens_per_sec: float | None = field(
        default=None, metadata=described("speed", unit="tokens/s", low=0.0)
    )
    tokens: int | None = field(default=None, metadata=described("trained on in this step"))
    step_time_ms: float | None = field(
        default=None, metadata=described("how long the step took", unit="ms", low=0.0)
    )
    run_id: str | None = field(default=None, metadata=_RUN_ID)
    current_file: str | None = field(
        default=None, metadata=described("the data file that was trained on")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalRecord(Record):
    """One evaluation of the weights at a step, over a whole set or one domain of it."""

    ts: datetime | None = field(default=None, metadata=_TS)
    step: int = field(metadata=described("step of the weights that were evaluated", high=MAX_STEP))
    kind: str = field(
        metadata=described(
            "`fixed`: the set that every evaluation uses; `micro`: a quick look at the loss; or "
            "your own"
        )
    )
    domain: str | None = field(
        default=None, metadata=described("a part of the set; absent: all of it")
    )
    checkpoint_id: str | None = field(default=None, metadata=described("which weights"))
    em: float | None = field(default=None, metadata=described("exact match", low=0.0, high=1.0))
    ce: float | None = field(
        default=None, metadata=described("cross-entropy", unit="nats per token")
    )
    ece: float | None = field(
        default=None, metadata=described("expected calibration error", low=0.0, high=1.0)
    )
    loss: float | None = field(default=None, metadata=described("loss, for `micro`"))
    count: int | None = field(
        default=None,
        metadata=described("examples evaluated; with it the app shows an interval"),
    )
    run_id: str | None = field(default=None, metadata=_RUN_ID)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRecord(Record):
    """How one round of previews ended: which checkpoint was asked what, and what it cost."""

    ts: datetime | None = field(default=None, metadata=described("when it ended"))
    step: int = field(metadata=described("step of the weights that were asked", high=MAX_STEP))
    round_id: str = field(metadata=described("the id that its previews carry"))
    kind: str = field(metadata=described("`preview`, `eval`, `samples` or `request`"))
    checkpoint_id: str = field(metadata=described("which weights were asked"))
    outcome: str = field(
        metadata=described(
            "`completed`, `skipped` (a newer checkpoint came), `deadline`, `budget` (of tokens) "
            "or `failed`"
        )
    )
    reason: str | None = field(default=None, metadata=described("why, in words"))
    examples: int | None = field(
        default=None, metadata=described("answers that the round was to bring")
    )
    answered: int | None = field(
        default=None,
        metadata=described("answers that came, those of before a restart included"),
    )
    errors: int | None = field(default=None, metadata=described("answers that failed"))
    correct: int | None = field(default=None, metadata=described("answers that were right"))
    time_s: float | None = field(default=None, metadata=described("what it took", unit="seconds"))
    prompt_tokens: int | None = field(
        default=None, metadata=described("of all prompts", unit="tokens")
    )
    model_tokens: int | None = field(
        default=None, metadata=described("of all answers", unit="tokens")
    )
    run_id: str | None = field(default=None, metadata=_RUN_ID)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteRecord(Record):
    """Something a person or a script wants to remember about a moment of the run."""

    ts: datetime | None = field(default=None, metadata=_TS)
    text: str = field(metadata=described("what there is to remember"))
    step: int | None = field(
        default=None,
        metadata=described("at which step; else that of the last metric before it", high=MAX_STEP),
    )
    run_id: str | None = field(default=None, metadata=_RUN_ID)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadRecord(Record):
    """Diagnostics of every attention head at one step.

    Each sequence has ``layers * heads`` values, layer by layer.
    """

    ts: datetime | None = field(default=None, metadata=_TS)
    step: int = field(metadata=_STEP)
    layers: int = field(metadata=described("of the model"))
    heads: int = field(metadata=described("of each layer"))
    attention_entropy: Sequence[float] | None = field(
        default=None, metadata=described("mean over queries", unit="nats")
    )
    first_token_attention: Sequence[float] | None = field(
        default=None, metadata=described("share of the attention, 0 to 1, mean over queries")
    )
    grad_norm: Sequence[float] | None = field(
        default=None, metadata=described("Euclidean norm of the gradient of what is the head's")
    )
    weight_norm: Sequence[float] | None = field(
        default=None, metadata=described("Euclidean norm of the weights that are the head's")
    )
    run_id: str | None = field(default=None, metadata=_RUN_ID)
