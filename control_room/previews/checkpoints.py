"""Which checkpoints a run has: by its retention index, or by the names in a directory."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from control_room.recording.encoding import load_json
from control_room.rundir import RunDir, retention_index_files
from control_room.security.inside import Inside, read_regular

_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True, order=True)
class Checkpoint:
    """Saved weights. Ordered by step."""

    step: int
    name: str

    def filled_into(self, template: str) -> str:
        """The template with its ``{checkpoint}`` and ``{step}`` replaced."""
        return template.replace("{checkpoint}", self.name).replace("{step}", str(self.step))


def find_checkpoints(
    run: RunDir,
    *,
    directory: Path | None = None,
    pattern: str = "checkpoint-*",
    settle_s: float = 0,
) -> list[Checkpoint]:
    """All that are there and written whole, oldest first; of a retention index, all it lists.

    A directory's entry counts when nothing in it was written for ``settle_s`` seconds. What is
    not there or cannot be read holds no checkpoints.
    """
    # A directory that somebody named may lie anywhere.
    inside = None if directory else run.inside
    listed = _listed(retention_index_files(directory or run.checkpoints), inside)
    if listed is not None:
        return sorted(listed)
    return sorted(set(_named(directory or run.checkpoints, inside, pattern, settle_s)))


def step_of(name: str) -> int | None:
    """The last number in a checkpoint's name."""
    found = _NUMBER.findall(name)
    return int(found[-1]) if found else None


def _listed(indexes: Sequence[Path], inside: Inside | None) -> set[Checkpoint] | None:
    index = next((each for each in indexes if each.exists()), None)
    if index is None:
        return None
    try:
        told = load_json(read_regular(index) if inside is None else inside.read(index))
        entries = told["checkpoints"]
        listed = {
            Checkpoint(entry["step"], str(entry.get("name") or Path(entry["path"]).name))
            for entry in entries
            if isinstance(entry.get("step"), int)
        }
        return {each for each in listed if _is_a_name(each.name)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # none, or half written: looked at again soon


def _is_a_name(name: str) -> bool:
    """Of one directory entry: names are filled into paths of servers, and lead nowhere else."""
    return Path(name).name == name and name != ".." and name.isprintable() and len(name) <= 255


def _named(
    directory: Path, inside: Inside | None, pattern: str, settle_s: float
) -> Iterator[Checkpoint]:
    written_before = time.time() - settle_s
    try:
        for path in directory.glob(pattern):
            if inside is not None:
                inside.check(path)
            step = step_of(path.stem if path.is_file() else path.name)
            if step is not None and _last_write(path) <= written_before:
                yield Checkpoint(step, path.stem if path.is_file() else path.name)
    except OSError:
        return  # it went away meanwhile


def _last_write(path: Path) -> float:
    inner = [each.stat().st_mtime for each in path.iterdir()] if path.is_dir() else []
    return max([path.stat().st_mtime, *inner])
