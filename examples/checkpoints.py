"""Checkpoints on disk: the newest few, the best one, a snapshot a day, and an index of them all.

The index (``retention_index.json``) lists ``checkpoints`` (name, path, step, created_at,
size_bytes, metrics, protected) and ``snapshots`` (date, step, path, size_bytes, metrics), and says
how many of the newest checkpoints are kept (``keep_newest``); paths are relative to the index.
"""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from control_room import RunDir
from control_room.atomic import replace_file, whole_file
from examples.model import Params
from examples.optimizer import Adam

KEPT = 3

Metrics = Mapping[str, float]


class CheckpointStore:
    """The checkpoints of one run directory."""

    def __init__(self, run_dir: RunDir) -> None:
        self._root = run_dir.checkpoints
        self._index_file = run_dir.retention_index_file
        self._root.mkdir(parents=True, exist_ok=True)
        (self._root / "snapshots").mkdir(exist_ok=True)
        self._index = self._read_index()

    def save(
        self, step: int, params: Params, optimizer: Adam, progress: Mapping[str, Any],
        metrics: Metrics,
    ) -> str:  # fmt: skip
        """Write a checkpoint, let go of old ones, and return its name.

        Args:
            step: the optimisation steps behind these weights.
            params: the weights.
            optimizer: its moments and step count are stored, too.
            progress: what else a resumed run needs; must be JSON.
            metrics: of the newest evaluation; ``em`` decides which checkpoint is best.
        """
        name = f"checkpoint-{step}"
        path = self._root / f"{name}.npz"
        arrays = {f"param/{key}": value for key, value in params.items()}
        arrays |= {f"first/{key}": value for key, value in optimizer.first.items()}
        arrays |= {f"second/{key}": value for key, value in optimizer.second.items()}
        state = {"step": step, "adam_steps": optimizer.steps, "progress": progress}
        with whole_file(path) as file:
            # Any: numpy's stubs take the arrays' names for the function's own options.
            everything: Any = {**arrays, "state": np.array(json.dumps(state))}
            np.savez(file, **everything)
        self._list(name, path, step, metrics)
        self._snapshot(path, step, metrics)
        self._let_go()
        self._write_index()
        return name

    def load_newest(
        self, params: Params, optimizer: Adam
    ) -> tuple[str, int, dict[str, Any]] | None:
        """Fill weights and optimizer from the newest checkpoint that can be read.

        Returns its name, step and progress, or None when there is none.
        """
        paths = sorted(self._root.glob("checkpoint-*.npz"), key=_step_in_name, reverse=True)
        for path in paths:
            try:
                return path.stem, *_load(path, params, optimizer)
            except (
                OSError,
                EOFError,
                ValueError,
                KeyError,
                TypeError,
                zipfile.BadZipFile,
            ) as error:
                message = f"{path} cannot be used ({error}); trying an older checkpoint."
                print(message, file=sys.stderr, flush=True)
        return None

    def _list(self, name: str, path: Path, step: int, metrics: Metrics) -> None:
        others = [entry for entry in self._index["checkpoints"] if entry["name"] != name]
        entry = {
            "name": name,
            "path": path.name,
            "step": step,
            "created_at": datetime.now().astimezone().isoformat(timespec="seconds"),
            "size_bytes": path.stat().st_size,
            "metrics": dict(metrics),
            "protected": False,
        }
        self._index["checkpoints"] = [*others, entry]
        best = max(self._index["checkpoints"], key=lambda each: (_em(each), each["step"]))
        for each in self._index["checkpoints"]:
            each["protected"] = each is best

    def _snapshot(self, path: Path, step: int, metrics: Metrics) -> None:
        """Keep a day's best checkpoint as the snapshot of that day."""
        today = datetime.now().astimezone().date().isoformat()
        earlier = [entry for entry in self._index["snapshots"] if entry["date"] == today]
        if earlier and _em(earlier[0]) > metrics.get("em", -1.0):
            return
        target = self._root / "snapshots" / f"snapshot-{today}.npz"
        target.unlink(missing_ok=True)
        target.hardlink_to(path)
        entry = {
            "date": today,
            "step": step,
            "path": f"snapshots/{target.name}",
            "size_bytes": target.stat().st_size,
            "metrics": dict(metrics),
        }
        kept = [entry for entry in self._index["snapshots"] if entry["date"] != today]
        self._index["snapshots"] = [*kept, entry]

    def _let_go(self) -> None:
        newest = {entry["name"] for entry in self._index["checkpoints"][-KEPT:]}
        kept = []
        for entry in self._index["checkpoints"]:
            if entry["name"] in newest or entry["protected"]:
                kept.append(entry)
            else:
                (self._root / entry["path"]).unlink(missing_ok=True)
        self._index["checkpoints"] = kept

    def _read_index(self) -> dict[str, list[dict[str, Any]]]:
        try:
            index = json.loads(self._index_file.read_text(encoding="utf-8"))
            return {name: list(index[name]) for name in ("checkpoints", "snapshots")}
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return {"checkpoints": [], "snapshots": []}

    def _write_index(self) -> None:
        told = {"keep_newest": KEPT, **self._index}
        replace_file(self._index_file, f"{json.dumps(told, indent=2)}\n".encode())


def load_params(path: Path, params: Params) -> int:
    """Fill the weights alone from a checkpoint, and return its step.

    Raises what reading a file that is no checkpoint raises: OSError, ValueError, KeyError,
    EOFError, zipfile.BadZipFile.
    """
    with np.load(path, allow_pickle=False) as stored:
        step = int(json.loads(str(stored["state"]))["step"])
        arrays = {name: stored[f"param/{name}"] for name in params}
    for name, target in params.items():
        target[...] = arrays[name]
    return step


def _load(path: Path, params: Params, optimizer: Adam) -> tuple[int, dict[str, Any]]:
    targets = {f"param/{name}": value for name, value in params.items()}
    targets |= {f"first/{name}": value for name, value in optimizer.first.items()}
    targets |= {f"second/{name}": value for name, value in optimizer.second.items()}
    with np.load(path, allow_pickle=False) as stored:
        state = json.loads(str(stored["state"]))
        arrays = {name: stored[name] for name in targets}
    for name, target in targets.items():
        if arrays[name].shape != target.shape:
            raise ValueError(f"{name} has the shape {arrays[name].shape}, not {target.shape}")
    step, progress = int(state["step"]), dict(state["progress"])
    optimizer.steps = int(state["adam_steps"])
    # Only now that all of it is known to be good.
    for name, target in targets.items():
        target[...] = arrays[name]
    return step, progress


def _step_in_name(path: Path) -> int:
    number = path.stem.rpartition("-")[2]
    return int(number) if number.isdecimal() else -1


def _em(entry: Mapping[str, Any]) -> float:
    return float(entry["metrics"].get("em", -1.0))
