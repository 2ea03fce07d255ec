"""Several runs side by side: how far each is, and in what their settings differ."""

from __future__ import annotations

import json
import logging
import math
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.watch.run_exact_match import RunEm, RunEms
from collectors.files.training.status_file import parse_status
from control_room.recording.encoding import load_json
from control_room.rundir import RunDir

log = logging.getLogger(__name__)

EVERY_S = 5.0
_FRESH_S = 2 * EVERY_S  # whoever comes after nobody has looked waits for a newer look than this
_LOOKED_AT_S = 3 * EVERY_S  # so long after the last viewer reading goes on
_LOSSES = {"loss": "Loss", "val_loss": "Validation loss"}
_TOLD_EM = "fixed_eval_em"
_DEEPEST = 100  # as a setting may nest; writing one takes a call for each level
_TOO_DEEP = "nested too deeply"
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


class RunTable:
    """Every run's summary, read once for all viewers, and only while somebody looks.

    ``directories`` tells where the runs are, by name; it is called in the thread that reads.
    """

    def __init__(
        self,
        directories: Callable[[], Mapping[str, Path]],
        follow_links: tuple[Path, ...] = (),
        *,
        every_s: float = EVERY_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directories = directories
        self._follow_links = follow_links
        self._ems = RunEms(follow_links)
        self._every_s = every_s
        self._clock = clock
        self._changed = threading.Condition()
        self._summaries: tuple[RunSummary, ...] = ()
        self._read_at = float("-inf")
        self._asked_at = float("-inf")
        self._thread: threading.Thread | None = None
        self._stopping = False

    def summaries(self, *, wait_s: float = 10.0) -> tuple[RunSummary, ...]:
        """The newest, in the order of the directories; nothing when reading takes too long."""
        with self._changed:
            self._asked_at = now = self._clock()
            if self._thread is None and not self._stopping:
                self._thread = threading.Thread(target=self._watch, name="run-table", daemon=True)
                self._thread.start()
            self._changed.wait_for(
                lambda: self._stopping or self._read_at >= now - _FRESH_S, wait_s
            )
            return self._summaries

    def is_reading(self) -> bool:
        """Whether files are read from time to time."""
        with self._changed:
            return self._thread is not None

    def close(self) -> None:
        """Stop reading; what was read last stays."""
        with self._changed:
            self._stopping = True
            thread = self._thread
            self._changed.notify_all()
        if thread is not None:
            thread.join(timeout=2.0)

    def _watch(self) -> None:
        while True:
            try:
                summaries = self._read()
            except Exception:
                # What one look stumbles over must not end the later ones.
                log.exception("the runs could not be read")
                summaries = self._summaries
            with self._changed:
                self._summaries, self._read_at = summaries, self._clock()
                self._changed.notify_all()
                stopped = self._changed.wait_for(lambda: self._stopping, self._every_s)
                if stopped or self._clock() - self._asked_at > _LOOKED_AT_S:
                    self._thread = None
                    return

    def _read(self) -> tuple[RunSummary, ...]:
        directories = self._directories()
        self._ems.keep(set(directories.values()))
        return tuple(
            run_summary(name, path, self._ems.of(path), self._follow_links)
            for name, path in directories.items()
        )


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
    config = {name: _TOO_DEEP if _is_deep(each) else each for name, each in config.items()}
    told_em = write.values.get(_TOLD_EM)
    if told_em is not None and (em is None or em.kind != "fixed set"):
        em = RunEm(float(told_em), "fixed set", "fixed set, told in the status file")
    return RunSummary(name, write.status, write.values, write.written_at, config, em=em)


def _is_deep(setting: object) -> bool:
    level = [setting]
    for _ in range(_DEEPEST):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return bool(level)


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
