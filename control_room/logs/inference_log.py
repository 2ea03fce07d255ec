"""The inference log of the daemon trainer (``status/logs/inference_*.log``).

One answer a line; one reading of a line, for who follows the file and for who imports it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from control_room.judging.scoring import judged_elsewhere
from control_room.logs.imported_names import fields_in, names_in
from control_room.recording.encoding import load_json, parse_timestamp
from control_room.recording.records import INFERENCE_LOG, PreviewRecord, after_torn_line

INFERENCE_GLOB = "inference_*.log"
INFERENCE_POOL = "inference log"  # the source pool of its previews

_START = b'{"ts": "'
_NEEDED = ("ts", "step", "prompt", "golden", "model_output")
_TAKEN = names_in(INFERENCE_LOG) | {"ts", "step", "current_file"}


def parse_inference_line(line: bytes) -> PreviewRecord:
    """The preview that a line tells of; see :func:`inference_preview`.

    Raises ``ValueError`` saying what is wrong with the line.
    """
    return inference_preview(load_inference_line(line))


def load_inference_line(line: bytes) -> Mapping[str, Any]:
    """The line's JSON object. What follows a torn line that it was appended to is taken for it.

    Raises ``ValueError`` for what is none.
    """
    try:
        told = load_json(line)
    except ValueError as error:
        try:
            told = load_json(after_torn_line(line, _START))
        except ValueError:
            raise ValueError(f"inference log: not a line of JSON: {error}") from None
    if not isinstance(told, dict):
        raise ValueError("inference log: expected a JSON object on the line")
    return told


def inference_preview(told: Mapping[str, Any]) -> PreviewRecord:
    """One answer as a preview. ``ts`` without an offset is local time.

    The dataset is the data file in work. ``loss`` becomes ``example_loss`` and is no ``ce``: that
    trainer puts in the loss over prompt and answer together, the training loss where it could not
    compute one, and 0 for the answer before the first step, which has none. The lengths are left
    out: it counts tokens in some lines and characters in others. Raises ``ValueError`` naming the
    field.
    """
    for name in _NEEDED:
        if told.get(name) is None:
            raise ValueError(f"inference log: {name} is missing")
    if not isinstance(told["ts"], str):
        raise ValueError(f"inference log: ts: expected a time as text, got {told['ts']!r}")
    file = told.get("current_file")
    fields = fields_in(INFERENCE_LOG, told)
    preview = PreviewRecord(
        ts=parse_timestamp(told["ts"]),
        step=told["step"],
        dataset_id=(PurePath(file).stem or None) if isinstance(file, str) else None,
        source_pool=INFERENCE_POOL,
        **{**fields, "example_loss": fields["example_loss"] or None},
    )
    return judged_elsewhere(preview)


def left_out_of(told: Mapping[str, Any]) -> list[str]:
    """The fields of a line that say something and have no place in a preview."""
    return [name for name, value in told.items() if value is not None and name not in _TAKEN]
