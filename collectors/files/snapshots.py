"""The retention index: which checkpoints and snapshots are kept, how large, and how good."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePath

from collectors.files.json_file import JsonFile
from collectors.json_values import finite, flag, moment, or_none, whole
from control_room.rundir import RunDir
from control_room.security.inside import Inside

_GB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWeights:
    """A checkpoint or a snapshot on disk. What its entry does not tell is None."""

    name: str
    step: int | None = None
    created_at: datetime | None = None
    size_gb: float | None = None
    em: float | None = None
    ce: float | None = None
    loss: float | None = None
    protected: bool | None = None
    keep_until: datetime | None = None
    source: str | None = None  # of a snapshot: the checkpoint that it was made of


@dataclass(frozen=True, slots=True)
class SnapshotsReading:
    """What is kept, in the order of the index.

    ``keep_newest``: of the checkpoints that are not protected, so many of the newest stay.
    ``best``: the checkpoint that the index calls the best, by whatever metric.
    """

    checkpoints: tuple[StoredWeights, ...] = ()
    snapshots: tuple[StoredWeights, ...] = ()
    keep_newest: int | None = None
    best: str | None = None
    problem: str | None = None


class SnapshotWatch:
    """Reads the retention index, wherever it is, when it has changed. Not safe for threads."""

    def __init__(self, run: RunDir) -> None:
        self._indexes = [_Index(path, run.inside) for path in run.retention_index_files]

    def read(self) -> SnapshotsReading:
        """What is kept now; what was kept last while the file cannot be read."""
        readings = [index.read() for index in self._indexes]
        return next((reading for reading in readings if reading is not None), SnapshotsReading())


class _Index:
    """One place where the index may be."""

    def __init__(self, path: Path, inside: Inside) -> None:
        self._file = JsonFile(path, inside=inside)
        self._reading = SnapshotsReading()

    def read(self) -> SnapshotsReading | None:
        """None where there is no such file."""
        look = self._file.look(time.time())
        if look.mtime is None and look.problem is None:
            return None
        if look.data is not None:
            self._reading = SnapshotsReading(
                tuple(_entries(look.data, "checkpoints")),
                tuple(_entries(look.data, "snapshots")),
                or_none(whole, look.data.get("keep_newest")),
                _best(look.data.get("best_checkpoint")),
            )
        return replace(self._reading, problem=look.problem)


def _entries(index: Mapping[str, object], name: str) -> Iterator[StoredWeights]:
    entries = index.get(name)
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict):
            yield _stored(entry)


def _stored(entry: Mapping[str, object]) -> StoredWeights:
    metrics = entry.get("metrics", entry.get("source_metrics"))
    metrics = metrics if isinstance(metrics, dict) else {}
    losses = (or_none(finite, metrics.get(name)) for name in ("val_loss", "eval_loss", "loss"))
    size = or_none(finite, entry.get("size_bytes"))
    size_gb = or_none(finite, entry.get("size_gb")) if size is None else size / _GB
    date = entry.get("created_at") or entry.get("date")
    name = entry.get("name") or _last_part(entry.get("path")) or date or "unnamed"
    step = or_none(whole, entry.get("step"))
    return StoredWeights(
        name=str(name),
        step=or_none(whole, entry.get("source_step")) if step is None else step,
        created_at=or_none(moment, date),
        size_gb=size_gb,
        em=or_none(finite, metrics.get("em")),
        ce=or_none(finite, metrics.get("ce")),
        loss=next((loss for loss in losses if loss is not None), None),
        protected=or_none(flag, entry.get("protected")),
        keep_until=or_none(moment, entry.get("keep_until")),
        source=_last_part(entry.get("source_checkpoint")),
    )


def _best(told: object) -> str | None:
    return _last_part(told.get("path") if isinstance(told, dict) else told)


def _last_part(path: object) -> str | None:
    """``checkpoint-5`` of ``checkpoints/checkpoint-5``: the name that previews carry."""
    return PurePath(path).name or None if isinstance(path, str) else None
