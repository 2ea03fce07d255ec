"""The completions that TRL's online trainers log (``log_completions=True``).

One file a step, ``completions/completions_00010.parquet``: ``step``, ``prompt``, ``completion``, a
column for each reward, ``advantage``, and whatever columns the reward functions add.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from control_room.extra import load_extra
from control_room.importing.reading import ImportedRecord, ImportOptions, ImportRefused, Reading
from control_room.judging.scoring import score
from control_room.recording.records import PreviewRecord

_GOLDEN_COLUMNS = ("golden", "answer", "solution", "ground_truth", "target")


def read_completions(path: Path, options: ImportOptions) -> Reading:
    """A preview for each completion.

    The example's id is made of the prompt, so that the same prompt is the same example at every
    step; several completions of it are samples. An answer is right where ``options.right_when``
    says so, else where it equals the golden answer; without either it is not scored.
    Raises ``ImportRefused``, and ``MissingExtra`` without pyarrow.
    """
    parquet = load_extra("pyarrow.parquet")
    pyarrow = load_extra("pyarrow")
    try:
        rows = parquet.read_table(path).to_pylist()
        ts = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except (OSError, pyarrow.ArrowException) as error:
        raise ImportRefused(f"{path} cannot be read: {error}") from None
    columns = set(rows[0]) if rows else set()
    if rows and not {"step", "prompt", "completion"} <= columns:
        raise ImportRefused(f"{path} holds no completions: step, prompt or completion is missing.")
    asked_for = [options.golden_column] if options.golden_column else []
    asked_for += [options.right_when[0]] if options.right_when else []
    for column in asked_for:
        if rows and column not in columns:
            there = ", ".join(sorted(columns))
            raise ImportRefused(f"{path} has no column {column}. There are: {there}.")
    golden = options.golden_column or next((c for c in _GOLDEN_COLUMNS if c in columns), None)
    samples: Counter[str] = Counter()
    try:
        records: list[ImportedRecord] = [
            _preview(row, ts, golden, options.right_when, samples) for row in rows
        ]
    except (ValueError, TypeError) as error:
        raise ImportRefused(f"{path} holds no completions: {error}") from None
    return Reading("TRL completions", records, {}, has_times=False)


def _preview(
    row: dict[str, Any],
    ts: datetime,
    golden_column: str | None,
    right_when: tuple[str, float] | None,
    samples: Counter[str],
) -> PreviewRecord:
    prompt, answer = _text(row["prompt"]), _text(row["completion"])
    golden = "" if golden_column is None else _text(row[golden_column])
    example_id = hashlib.blake2b(prompt.encode(errors="replace"), digest_size=6).hexdigest()
    scored = score(golden, answer).fields() if golden else {}
    if right_when is not None and scored.get("error") is None:
        reward = row[right_when[0]]
        right = None if reward is None else float(reward) >= right_when[1]
        mode = scored.get("failure_mode") if right is False else None
        scored |= {"exact_match": right, "failure_mode": mode}
    sample = samples[example_id]
    samples[example_id] += 1
    return PreviewRecord(
        ts=ts,
        step=row["step"],
        example_id=example_id,
        source_pool="train",
        prompt=prompt,
        golden=golden,
        model_answer=answer,
        **scored,
        sample_index=sample,
    )


def _text(value: object) -> str:
    """Of a conversation, its one message; of several, each with its role."""
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(each, dict) for each in value):
        if len(value) == 1:
            return _content(value[0])
        return "\n\n".join(f"{each.get('role')}: {_content(each)}" for each in value)
    return str(value)


def _content(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):  # parts of text and images
        return "\n".join(str(part.get("text") or f"[{part.get('type')}]") for part in content)
    return str(content or "")
