"""Several runs side by side: how far each is, and in what their settings differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collectors.training.status_file import parse_status
from control_room.rundir import RunDir

_OUTCOMES = ("loss", "val_loss", "fixed_eval_em")


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What the status file of a run tells; ``values`` are fields of the training reading."""

    name: str
    status: str | None
    values: Mapping[str, Any]
    written_at: float | None  # epoch seconds
    config: Mapping[str, Any]
    problem: str | None = None


def run_summary(name: str, path: Path) -> RunSummary:
    """Never raises: a file that cannot be read is a problem of that run."""
    file = RunDir(path).status_file
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return RunSummary(name, None, {}, None, {}, "no status file")
    except (OSError, ValueError, RecursionError) as error:
        return RunSummary(name, None, {}, None, {}, f"{file} cannot be read: {error}")
    if not isinstance(told, dict):
        return RunSummary(name, None, {}, None, {}, f"{file} holds no object")
    write = parse_status(told)
    config = told.get("config")
    config = config if isinstance(config, dict) else {}
    return RunSummary(name, write.status, write.values, write.written_at, config)


def differing(runs: Sequence[RunSummary]) -> list[str]:
    """The settings in which the runs differ, a missing one included, in the order they are told."""
    names = dict.fromkeys(name for run in runs for name in run.config)
    return [
        name
        for name in names
        if len({json.dumps(run.config.get(name), sort_keys=True, default=str) for run in runs}) > 1
    ]


def outcomes(run: RunSummary) -> dict[str, float]:
    """What came of it: the newest losses and EM that are told."""
    return {name: float(value) for name in _OUTCOMES if (value := run.values.get(name)) is not None}
