"""One kind of a run's daily logs as records, with what could not be read told for a person."""

from __future__ import annotations

from typing import Generic

from control_room.logs.rejects import Rejects
from control_room.logs.step_limit import StepCheck
from control_room.logs.tail import LogTail, Reject
from control_room.recording.records import AnyRecord, parse_line
from control_room.rundir import LogKind, RunDir


class RecordTail(Generic[AnyRecord]):
    """Follows one kind of log from its ``last_lines`` on; remembers what could not be read."""

    def __init__(
        self, run: RunDir, kind: LogKind, record_class: type[AnyRecord], last_lines: int
    ) -> None:
        self._directory = run.logs(kind)
        self._record_class = record_class
        self._tail = LogTail(
            self._directory, run.log_globs(kind), inside=run.inside, last_lines=last_lines
        )
        self._steps = StepCheck(run)
        self._reject_count = 0
        self._newest_reject: Reject | None = None
        self._problems: tuple[str, ...] = ()

    def read(self) -> tuple[list[AnyRecord], bool]:
        """The new records, and whether a file was replaced by another."""
        batch = self._tail.read()
        records, rejects = [], Rejects(batch.rejects)
        for line in batch.lines:
            try:
                record = parse_line(self._record_class, line.data)
                self._steps.check(getattr(record, "step", None))
                records.append(record)
            except ValueError as error:
                rejects.add(Reject(line.file, line.number, str(error)))
        self._reject_count += rejects.lines
        self._newest_reject = rejects.newest or self._newest_reject
        self._problems = batch.problems
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
