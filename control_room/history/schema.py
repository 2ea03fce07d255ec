"""The tables of the history index, and how a record becomes a row of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from control_room.records import (
    EvalRecord,
    HeadRecord,
    MetricPoint,
    NoteRecord,
    PreviewRecord,
    Record,
    RoundRecord,
    ThroughputSample,
)
from control_room.rundir import LogKind

# An index with another version is rebuilt from the logs.
VERSION = 7

SEARCH_SEPARATOR = "\x1f"  # between the texts
# Compressing long texts takes more time than everything else together, and searching them too.
LONG_TEXTS = ("prompt", "golden", "model_answer")
_STORED_PLAIN = " USING COMPRESSION uncompressed"


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of record: its columns come first, then where the row stands in the logs."""

    kind: LogKind
    name: str
    record: type[Record]
    columns: Mapping[str, str]  # name -> SQL type, of the record's own fields

    @property
    def all_columns(self) -> dict[str, str]:
        """Every column's SQL type in the table's order; ``ts`` is UTC without a zone."""
        search = {"search": "VARCHAR"} if self.kind == "preview" else {}
        return {"seq": "BIGINT", **self.columns, **search, "file": "VARCHAR", "line": "BIGINT"}

    @property
    def create(self) -> str:
        """The statement that makes the table."""
        columns = ", ".join(
            f"{name} {sql}{_STORED_PLAIN if name in (*LONG_TEXTS, 'search') else ''}"
            for name, sql in self.all_columns.items()
        )
        return f"CREATE TABLE {self.name} ({columns})"


TABLES: dict[LogKind, Table] = {
    "preview": Table(
        "preview",
        "previews",
        PreviewRecord,
        {
            "ts": "TIMESTAMP",
            "step": "BIGINT",
            "checkpoint_id": "VARCHAR",
            "example_id": "VARCHAR",
            "dataset_id": "VARCHAR",
            "regime": "VARCHAR",
            "source_pool": "VARCHAR",
            "prompt": "VARCHAR",
            "golden": "VARCHAR",
            "model_answer": "VARCHAR",
            "exact_match": "BOOLEAN",
            "normalized_match": "BOOLEAN",
            "failure_mode": "VARCHAR",
            "ce": "DOUBLE",
            "prompt_tokens": "BIGINT",
            "golden_tokens": "BIGINT",
            "model_tokens": "BIGINT",
            "generation_time_ms": "DOUBLE",
            "contract_status": "MAP(VARCHAR, BOOLEAN)",
            "run_id": "VARCHAR",
            "pattern": "VARCHAR",
            "sample_index": "BIGINT",
            "temperature": "DOUBLE",
            "confidence": "DOUBLE",
            "token_log_probs": "DOUBLE[]",
            "top_p": "DOUBLE",
            "max_tokens": "BIGINT",
            "seed": "BIGINT",
            "finish_reason": "VARCHAR",
            "host": "VARCHAR",
            "round_id": "VARCHAR",
            "requested_checkpoint_id": "VARCHAR",
            "error": "VARCHAR",
            "example_loss": "DOUBLE",
        },
    ),
    "throughput": Table(
        "throughput",
        "throughput",
        ThroughputSample,
        {
            "ts": "TIMESTAMP",
            "step": "BIGINT",
            "tokens_per_sec": "DOUBLE",
            "vram_used_gb": "DOUBLE",
            "vram_pct": "DOUBLE",
            "batch_size": "BIGINT",
            "sequence_length": "BIGINT",
            "run_id": "VARCHAR",
        },
    ),
    "metrics": Table(
        "metrics",
        "metrics",
        MetricPoint,
        {
            "ts": "TIMESTAMP",
            "step": "BIGINT",
            "loss": "DOUBLE",
            "learning_rate": "DOUBLE",
            "grad_norm": "DOUBLE",
            "epoch": "DOUBLE",
            "val_loss": "DOUBLE",
            "tokens_per_sec": "DOUBLE",
            "tokens": "BIGINT",
            "step_time_ms": "DOUBLE",
            "run_id": "VARCHAR",
            "current_file": "VARCHAR",
        },
    ),
    "eval": Table(
        "eval",
        "evals",
        EvalRecord,
        {
            "ts": "TIMESTAMP",
            "step": "BIGINT",
            "kind": "VARCHAR",
            "domain": "VARCHAR",
            "checkpoint_id": "VARCHAR",
            "em": "DOUBLE",
            "ce": "DOUBLE",
            "ece": "DOUBLE",
            "loss": "DOUBLE",
            "count": "BIGINT",
            "run_id": "VARCHAR",
        },
    ),
    "round": Table(
        "round",
        "rounds",
        RoundRecord,
        {
            "ts": "TIMESTAMP",
            "step": "BIGINT",
            "round_id": "VARCHAR",
            "kind": "VARCHAR",
            "checkpoint_id": "VARCHAR",
            "outcome": "VARCHAR",
            "reason": "VARCHAR",
            "examples": "BIGINT",
            "answered": "BIGINT",
            "errors": "BIGINT",
            "correct": "BIGINT",
            "time_s": "DOUBLE",
            "prompt_tokens": "BIGINT",
            "model_tokens": "BIGINT",
            "run_id": "VARCHAR",
        },
    ),
    "note": Table(
        "note",
        "notes",
        NoteRecord,
        {
            "ts": "TIMESTAMP",
            "text": "VARCHAR",
            "step": "BIGINT",
            "run_id": "VARCHAR",
        },
    ),
    "heads": Table(
        "heads",
        "heads",
        HeadRecord,
        {
            "ts": "TIMESTAMP",
            "step": "BIGINT",
            "layers": "BIGINT",
            "heads": "BIGINT",
            "attention_entropy": "DOUBLE[]",
            "first_token_attention": "DOUBLE[]",
            "grad_norm": "DOUBLE[]",
            "weight_norm": "DOUBLE[]",
            "run_id": "VARCHAR",
        },
    ),
}
