"""How right each run is, from the ends of its logs: also of runs that nobody looks at in detail."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from collectors.files.evals import EvalWatch
from collectors.files.previews import PreviewWatch
from control_room.logs.archive import PACKED
from control_room.logs.day_parts import day_files
from control_room.logs.patterns import PatternRules
from control_room.rundir import RunDir

Kind = Literal["fixed set", "previews"]


@dataclass(frozen=True, slots=True)
class RunEm:
    """Exact match (0-1) and what it is of; ``said`` tells it, or why it is not known, in words."""

    em: float | None
    kind: Kind
    said: str


class RunEms:
    """The EM of any run directory. Each look reads only what was logged since the last one."""

    def __init__(self, follow_links: tuple[Path, ...] = ()) -> None:
        self._follow_links = follow_links
        self._lock = threading.Lock()
        self._watches: dict[Path, tuple[EvalWatch, PreviewWatch]] = {}

    def of(self, path: Path) -> RunEm | None:
        """Of the newest fixed evaluation, else of the newest previews; None without either.

        Days that were packed are not read: that takes an index of all of them.
        """
        with self._lock:
            run = RunDir(path, self._follow_links)
            if path not in self._watches:
                self._watches[path] = EvalWatch(run), PreviewWatch(run, PatternRules())
            evals, previews = self._watches[path]
            fixed = next((e for e in reversed(evals.read().fixed) if e.em is not None), None)
            if fixed is not None and fixed.em is not None:
                return RunEm(fixed.em, "fixed set", f"fixed set, step {fixed.step:,}")
            newest = previews.read().summary.em_last_100
        if newest.em is None:
            return RunEm(None, "previews", "in packed days, see Compare") if _packed(run) else None
        return RunEm(newest.em, "previews", f"last {newest.count} previews")

    def keep(self, paths: set[Path]) -> None:
        """Forget every other run."""
        with self._lock:
            self._watches = {path: own for path, own in self._watches.items() if path in paths}


def _packed(run: RunDir) -> bool:
    try:
        return any(file.suffix in PACKED for file, _ in day_files(run, "preview"))
    except OSError:
        return False
