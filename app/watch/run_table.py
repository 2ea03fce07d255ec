"""Several runs side by side: how far each is, and in what their settings differ."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.watch.run_exact_match import RunEm
from collectors.files.training.status_file import parse_status
from control_room.recording.encoding import load_json
from control_room.rundir import RunDir

_LOSSES = {"loss": "Loss", "val_loss": "Validation loss"}
_TOLD_EM = "fixed_eval_em"
# A number written out with more digits than it has, as Decimal and some formats do.
_WRITTEN_OUT = re.compile(r"[+-]?\d+\.\d{4,}")


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What the status file of a run tells; ``values`` are fields of the training reading.

    ``em`` is that of its logs, else the one that the status file tells.
    """

    name: str
    status: str | None
    values: Mapping[str, Any]
    written_at: float | None  # epoch seconds
    config: Mapping[str, Any]
    problem: str | None = None
    em: RunEm | None = None


def run_summary(
    name: str, path: Path, em: RunEm | None = None, follow_links: tuple[Path, ...] = ()
) -> RunSummary:
    """Never raises: a file that cannot be read is a problem of that run."""
    run = RunDir(path, follow_links)
    file = run.status_file
    try:
        told = load_json(run.inside.read(file))
    except FileNotFoundError:
        return RunSummary(name, None, {}, None, {}, "no status file", em)
    except (OSError, ValueError) as error:
        return RunSummary(name, None, {}, None, {}, f"{file} cannot be read: {error}", em)
    if not isinstance(told, dict):
        return RunSummary(name, None, {}, None, {}, f"{file} holds no object", em)
    write = parse_status(told)
    config = told.get("config")
    config = config if isinstance(config, dict) else {}
    told_em = write.values.get(_TOLD_EM)
    if told_em is not None and (em is None or em.kind != "fixed set"):
        em = RunEm(float(told_em), "fixed set", "fixed set, told in the status file")
    return RunSummary(name, write.status, write.values, write.written_at, config, em=em)


def differing(runs: Sequence[RunSummary]) -> list[str]:
    """The settings in which the runs differ, a missing one included, in the order they are told."""
    names = dict.fromkeys(name for run in runs for name in run.config)
    return [
        name
        for name in names
        if len({json.dumps(run.config.get(name), sort_keys=True, default=str) for run in runs}) > 1
    ]


def outcomes(run: RunSummary) -> dict[str, float]:
    """What came of it, by name: the newest losses that are told, and EM by what it is of."""
    found = {
        label: float(value)
        for name, label in _LOSSES.items()
        if (value := run.values.get(name)) is not None
    }
    if run.em is not None and run.em.em is not None:
        found[f"EM, {run.em.kind}"] = run.em.em
    return found


def setting_text(value: object) -> str:
    """A setting as a person writes it: 0.0003, whether it is told as 0.00030000001 or as text."""
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.6g}"
    if isinstance(value, str) and _WRITTEN_OUT.fullmatch(value):
        short = f"{float(value):.15g}"
        return short if len(short) < len(value) else value
    return "" if value is None else str(value)
