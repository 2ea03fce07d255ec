"""Where each file of a run directory lives: the only place that spells those paths."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from control_room.security.inside import Inside

LogKind = Literal["preview", "throughput", "metrics", "eval", "round", "note", "heads", "refused"]
LOG_KINDS: tuple[LogKind, ...] = (
    "preview",
    "throughput",
    "metrics",
    "eval",
    "round",
    "note",
    "heads",
    "refused",
)

QueuePriority = Literal["high", "normal", "low"]
QUEUE_PRIORITIES: tuple[QueuePriority, ...] = ("high", "normal", "low")

_LOG_STEMS: dict[LogKind, str] = {
    "preview": "preview_history",
    "throughput": "throughput",
    "metrics": "metrics",
    "eval": "eval",
    "round": "rounds",
    "note": "notes",
    "heads": "heads",
    "refused": "refused",
}


def retention_index_files(checkpoints: Path) -> tuple[Path, ...]:
    """Where the retention index of a directory of checkpoints may be.

    The daemon trainer leaves it above ``checkpoints``, in the output directory.
    """
    places = (
        [checkpoints, checkpoints.parent] if checkpoints.name == "checkpoints" else [checkpoints]
    )
    return tuple(place / "retention_index.json" for place in places)


@dataclass(frozen=True, slots=True)
class RunDir:
    """One run's directory. Nothing here touches the disk, except where a name says so.

    ``follow_links``: directories outside that links in it may lead to.
    """

    path: Path
    follow_links: tuple[Path, ...] = ()

    @property
    def inside(self) -> Inside:
        """What opens its files, and follows no link out of it."""
        # A trainer's own directory is not guarded, so its import need not wait for this.
        from control_room.security.inside import Inside

        return Inside(self.path, self.follow_links)

    @property
    def status_file(self) -> Path:
        """The status file that the trainer replaces atomically."""
        return self.path / "status" / "training_status.json"

    @property
    def control_state_file(self) -> Path:
        """Where the daemon trainer says that it is paused."""
        return self.path / "control" / "state.json"

    @property
    def runner_state_file(self) -> Path:
        """What the preview runner is doing; replaced atomically."""
        return self.path / "status" / "preview_runner.json"

    @property
    def round_request_file(self) -> Path:
        """Its presence asks the preview runner for a round now; the runner takes it away."""
        return self.path / "control" / "preview_request.json"

    @property
    def previews_file(self) -> Path:
        """The preview runner's settings."""
        return self.path / "previews.toml"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def retention_index_file(self) -> Path:
        """The list of checkpoints and snapshots with their sizes and metrics, as it is written."""
        return self.retention_index_files[0]

    @property
    def retention_index_files(self) -> tuple[Path, ...]:
        """Where that list is looked for; the first that is there counts."""
        return retention_index_files(self.checkpoints)

    @property
    def cache(self) -> Path:
        """What the app derives from the logs and can rebuild at any time."""
        return self.path / ".control_room"

    @property
    def settings_file(self) -> Path:
        return self.path / "control_room.toml"

    def queue(self, priority: QueuePriority | Literal["processing", "failed"]) -> Path:
        """The directory of data files (``*.jsonl``) that wait at this priority, or no longer do."""
        return self.path / "queue" / priority

    def logs(self, kind: LogKind) -> Path:
        """The directory that holds one kind of daily log."""
        return self.path / "logs" / kind

    @property
    def inference_logs(self) -> Path:
        """Where the daemon trainer logs its answers: ``inference_YYYYMMDD.log``."""
        return self.status_file.parent / "logs"

    def has_logs(self) -> bool:
        """Whether there is a directory of logs, of this project's or the daemon trainer.

        Looks at the disk.
        """
        return (self.path / "logs").is_dir() or self.inference_logs.is_dir()

    def log_file(self, kind: LogKind, day: date) -> Path:
        """The file that records of ``day`` (local time) are appended to."""
        return self.logs(kind) / f"{_LOG_STEMS[kind]}_{day.isoformat()}.jsonl"

    def log_globs(self, kind: LogKind) -> tuple[str, str]:
        """Patterns, within :meth:`logs`, of this kind's daily files and of days' further parts.

        Add ``.gz`` or ``.parquet`` for those that are packed.
        """
        day = f"{_LOG_STEMS[kind]}_????-??-??"
        return f"{day}.jsonl", f"{day}.part*.jsonl"
