"""The tables of the history index, and how a record becomes a row of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from control_room.records import MetricPoint, PreviewRecord, Record, ThroughputSample
from control_room.rundir import LogKind

# An index with another version is rebuilt from the logs.
VERSION = 1

SEARCH_SEPARATOR = "\x1f"


@dataclass(frozen=True, slots=True)
class Table:
    """One kind of record: its columns come first, then where the row stands in the logs."""

    kind: LogKind
    name: str
    record: type[Record]
    columns: Mapping[str, str]  # name -> SQL type, of the record's own fields

    @property
    def create(self) -> str:
        """The statement that makes the table; ``ts`` is UTC without a zone."""
        columns = ", ".join(f"{name} {sql}" for name, sql in self.columns.items())
        search = ", search VARCHAR" if self.kind == "preview" else ""
        return (
            f"CREATE TABLE {self.name} (seq BIGINT, {columns}{search}, "
            "file VARCHAR NOT NULL, line BIGINT NOT NULL)"
        )

    def row(self, record: Any, run_id: str) -> dict[str, Any]:
        """The record's values by column, without ``seq``, ``file`` and ``line``."""
        values = {name: getattr(record, name) for name in self.columns}
        values["ts"] = record.ts.astimezone(UTC).replace(tzinfo=None)
        values["run_id"] = record.run_id or run_id
        if self.kind == "preview":
            values["search"] = SEARCH_SEPARATOR.join(
                (record.prompt, record.golden, record.model_answer)
            ).lower()
        return values


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
        },
    ),
}
