"""A run's daily logs as records, with what could not be read told for a person."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from control_room.logs.inference_log import INFERENCE_GLOB, parse_inference_line
from control_room.logs.rejects import Rejects
from control_room.logs.step_limit import StepCheck
from control_room.logs.tail import LogTail, Reject
from control_room.recording.records import AnyRecord, PreviewRecord, parse_line
from control_room.rundir import LogKind, RunDir

Record = TypeVar("Record")


class RecordTail(Generic[Record]):
    """Follows the logs of a directory from their ``last_lines`` on, each line read by ``parse``.

    It remembers what could not be read.
    """

    def __init__(
        self,
        run: RunDir,
        directory: Path,
        globs: tuple[str, ...],
        parse: Callable[[bytes], Record],
        last_lines: int,
    ) -> None:
        self._directory = directory
        self._parse = parse
        self._tail = LogTail(directory, globs, inside=run.inside, last_lines=last_lines)
        self._steps = StepCheck(run)
        self._reject_count = 0
        self._newest_reject: Reject | None = None
        self._problems: tuple[str, ...] = ()
        self.more = False  # whether the last read left something that can be read at once

    def read(self) -> tuple[list[Record], bool]:
        """The new records, and whether a file was replaced by another."""
        batch = self._tail.read()
        records, rejects = [], Rejects(batch.rejects)
        for line in batch.lines:
            try:
                record = self._parse(line.data)
                self._steps.check(getattr(record, "step", None))
                records.append(record)
            except ValueError as error:
                rejects.add(Reject(line.file, line.number, str(error)))
        self._reject_count += rejects.lines
        self._newest_reject = rejects.newest or self._newest_reject
        self._problems = batch.problems
        self.more = batch.more
        return records, bool(batch.restarted)

    def problems(self) -> list[str]:
        """For a person; names the files."""
        problems = list(self._problems)
        newest = self._newest_reject
        if newest is not None:
            count = self._reject_count
            lines = (
                "1 line cannot be read and is"
                if count == 1
                else f"{count} lines cannot be read and are"
            )
            problems.append(
                f"{self._directory}: {lines} left out; the newest: "
                f"{newest.file.name}, line {newest.line_number}: {newest.reason}"
            )
        return problems


def log_tail(
    run: RunDir, kind: LogKind, record_class: type[AnyRecord], last_lines: int
) -> RecordTail[AnyRecord]:
    """One kind of the run's own logs, followed."""
    parse = partial(parse_line, record_class)
    return RecordTail(run, run.logs(kind), run.log_globs(kind), parse, last_lines)


def inference_tail(run: RunDir, last_lines: int) -> RecordTail[PreviewRecord]:
    """The answers that the daemon trainer logs, followed."""
    return RecordTail(run, run.inference_logs, (INFERENCE_GLOB,), parse_inference_line, last_lines)
