"""The training metrics, each declared once: its names, its meaning, and where it is shown.

A new one is a field of ``MetricPoint`` (records.py) and a row of :data:`METRICS`; a test names what
editors are told of it (field_types.py). Import names, the
status file's reading, the live view and its card, the Prometheus line, the series of the API, the
curves of the Runs page and the table of docs/DATA.md follow from the row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One number that training reports, under the ``name`` that it has everywhere here."""

    name: str
    label: str  # on cards and charts
    meaning: str  # one sentence: of the documentation and of Prometheus
    unit: str = ""  # of what is not logged; else it stands with the record's field
    logged: bool = True  # a metric point has it
    live: bool = True  # the status file and the live view have it
    # Of the status file; what is logged is checked by the record. "any" number keeps NaN and the
    # infinities, which are news.
    allowed: Literal["any", "finite", "not negative"] = "any"
    status_names: tuple[str, ...] = ()  # in the status file, beside its own
    library_names: tuple[str, ...] = ()  # in lower case; nothing is imported under any other
    prometheus: str | None = None  # without the prefix control_room_
    digits: int | None = 3  # behind the point, on the card; None: as 1e-4
    on_card: bool = True  # as a row of the training card
    curve: bool = True  # on the Runs page
    outlives_process: bool = False  # still holds when another process goes on with the run
    # The reading and the live view have a line of their own for it, where code there names it.
    own_line: bool = False


# In the order of the training card.
METRICS: tuple[Metric, ...] = (
    Metric(
        name="epoch",
        label="Epoch",
        meaning="Epochs done.",
        allowed="not negative",
        library_names=("epoch", "train/epoch", "trainer/epoch"),
        prometheus="training_epoch",
        digits=2,
        curve=False,
        outlives_process=True,
        own_line=True,
    ),
    Metric(
        name="loss",
        label="Loss",
        meaning="Newest training loss.",
        library_names=("loss", "train_loss", "train/loss", "loss/train", "training_loss"),
        prometheus="training_loss",
        on_card=False,  # a figure above the rows
        outlives_process=True,
        own_line=True,
    ),
    Metric(
        name="streaming_ce",
        label="Streaming CE",
        meaning="Moving average of the loss.",
        unit="nats per token",
        logged=False,
        allowed="finite",
        prometheus="training_loss_smoothed",
        digits=4,
        curve=False,
        own_line=True,
    ),
    Metric(
        name="loss_variance",
        label="Loss variance",
        meaning="Variance of the recent loss.",
        logged=False,
        allowed="not negative",
        prometheus="training_loss_variance",
        digits=5,
        curve=False,
        own_line=True,
    ),
    Metric(
        name="val_loss",
        label="Validation loss",
        meaning="Newest validation loss.",
        status_names=("validation_loss",),
        library_names=(
            *("eval_loss", "eval/loss", "loss/eval", "val_loss", "val/loss", "loss/val"),
            *("validation_loss", "validation/loss", "loss/validation"),
        ),
        prometheus="training_validation_loss",
        on_card=False,  # the card of evaluations has it
        own_line=True,
    ),
    Metric(
        name="val_train_gap",
        label="Val/train gap",
        meaning="Validation loss less training loss.",
        unit="nats per token",
        logged=False,
        allowed="finite",
        prometheus="training_validation_gap",
        curve=False,
        own_line=True,
    ),
    Metric(
        name="learning_rate",
        label="Learning rate",
        meaning="Learning rate.",
        allowed="finite",
        library_names=("learning_rate", "lr", "train/learning_rate", "train/lr"),
        prometheus="training_learning_rate",
        digits=None,
    ),
    Metric(
        name="grad_norm",
        label="Gradient norm",
        meaning="Norm of the gradient.",
        library_names=("grad_norm", "train/grad_norm"),
        prometheus="training_gradient_norm",
    ),
    Metric(
        name="tokens_per_sec",
        label="Tokens per second",
        meaning="Newest throughput.",
        allowed="not negative",
        library_names=("tokens_per_sec", "train/tokens_per_sec"),
        prometheus="training_tokens_per_second",
        on_card=False,  # a figure above the rows
        own_line=True,
    ),
    Metric(
        name="tokens_per_sec_avg",
        label="Tokens/s, average",
        meaning="Moving average of the throughput.",
        unit="tokens/s",
        logged=False,
        allowed="not negative",
        digits=0,
        curve=False,
        own_line=True,
    ),
    Metric(
        name="tokens_per_sec_baseline",
        label="Tokens/s, baseline",
        meaning="Throughput that is usual for this run.",
        unit="tokens/s",
        logged=False,
        allowed="not negative",
        prometheus="training_tokens_per_second_baseline",
        digits=0,
        curve=False,
        own_line=True,
    ),
    Metric(
        name="step_time_ms",
        label="Step time",
        meaning="How long the step took.",
        live=False,
        on_card=False,
        curve=False,
    ),
)

LOGGED = tuple(metric for metric in METRICS if metric.logged)
LIVE = tuple(metric for metric in METRICS if metric.live)
# Those of the reading and the live view that no code there names.
PLAIN = tuple(metric for metric in LIVE if not metric.own_line)
