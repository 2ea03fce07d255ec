"""Leaves the files of a trainer in a run directory, at times that a test chooses."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from collectors.files.training import TrainingReading
from control_room.rundir import LogKind, RunDir

START = 1_800_000_000.0


class TrainerStandIn:
    """Writes like the daemon trainer, or with ``own`` like this project's recorder."""

    def __init__(self, path: Path, own: dict[str, object] | None = None) -> None:
        self.run = RunDir(path)
        self.own = own
        self._told: dict[str, object] = {}

    def status(self, at: float, **fields: object) -> None:
        """Replace the status file; ``at`` is in epoch seconds."""
        if self.own is not None:
            self._told |= fields
            fields = {**self._told, **self.own}
        self.put(self.run.status_file, json.dumps({"timestamp": stamp(at), **fields}), at)

    def control(self, at: float, **fields: object) -> None:
        self.put(self.run.control_state_file, json.dumps(fields), at)

    def log(self, log: LogKind, at: float, /, **fields: Any) -> None:
        """Append one line."""
        self.log_raw(log, at, json.dumps({"ts": stamp(at), **fields}) + "\n")

    def log_raw(self, kind: LogKind, at: float, text: str) -> None:
        path = self.run.log_file(kind, datetime.fromtimestamp(at).astimezone().date())
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write(text)
        os.utime(path, (at, at))

    def put(self, path: Path, content: str | bytes, at: float) -> None:
        """Replace a file as a careful writer does."""
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(path.name + ".tmp")
        new.write_bytes(content if isinstance(content, bytes) else content.encode())
        os.utime(new, (at, at))
        new.replace(path)


def metric(reading: TrainingReading, name: str) -> float | None:
    """A metric that no code of the app names."""
    value: float | None = getattr(reading, name)
    return value


def stamp(at: float) -> str:
    """ISO 8601 with an offset."""
    return datetime.fromtimestamp(at, UTC).isoformat()
