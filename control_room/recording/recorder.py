"""What a trainer calls: appends records to the run's logs and replaces its status file.

A disk that fails never fails the training: it is warned about once, counted and tried again. Nor
does a mistake in a record: that one is refused, kept apart, counted and warned about once.
"""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, SupportsIndex, Unpack, cast, overload

from control_room.recording.daily_log import DailyLog
from control_room.recording.fields import BadField
from control_room.recording.flat_heads import flat_heads
from control_room.recording.forks import call_in_forked_children
from control_room.recording.local_moment import LocalMoment
from control_room.recording.patient_log import PatientLog
from control_room.recording.recorder_warning import warn
from control_room.recording.records import (
    EvalRecord,
    HeadRecord,
    MetricPoint,
    NoteRecord,
    PreviewRecord,
    Record,
    RoundRecord,
    ThroughputSample,
    fields_to_json_line,
    to_json_line,
)
from control_room.recording.refusals import Refusal, Refusals, fields_of
from control_room.recording.safe_repr import as_text, shown, type_name
from control_room.recording.status_file import StatusFile, encoded_field, plain_config
from control_room.rundir import LOG_KINDS, LogKind, RunDir
from control_room.security.redaction import redacted

if TYPE_CHECKING:
    from control_room.recording.field_types import (
        EvalFields,
        HeadFields,
        MetricFields,
        PreviewFields,
        RoundFields,
        ThroughputFields,
        UpdateStatus,
    )

_OWN_STATUS_FIELDS = (
    *("run_id", "timestamp", "pid", "hostname", "started_at"),
    *("recorder_errors", "recorder_refused"),
)
_LONGEST_ERROR = 20_000  # characters: a status of megabytes is read by nobody
_FIELDS_OF_AN_END = ("error_message", "error_type", "pause_reason")


def _with_known_fields(method: Callable[..., None]) -> UpdateStatus:
    """The method as it is; editors see the fields that the app knows."""
    return cast("UpdateStatus", method)


class Recorder:
    """Records one run into ``run_dir``. Safe for threads and for forked and spawned processes.

    A record is in its file when the call returns and outlives the process, also a killed one; with
    ``fsync`` it outlives a loss of power. It goes to the file of the day it is written on, whatever
    its ``ts``. Without ``run_id`` the run is named by its directory. While the disk refuses, up to
    ``max_waiting`` records of each kind wait in memory. Links in the run directory are followed,
    with ``stay_inside`` not out of it: for a directory that others may have written.

    As a context manager it looks after the status: "training" on entry, "crashed" when an exception
    leaves the block (it is raised again), "paused" on Ctrl-C, "completed" at a plain end unless the
    trainer has set another status than "training".

    A record with a bad field, an unknown one or one that is missing is refused: it is not logged
    but kept in ``logs/refused`` with the reason, counted in :attr:`refused`, shown by the app, and
    warned of once (``RecorderWarning``) for each kind and field. With ``strict`` such a call raises
    ``ValueError`` naming the field instead: for examples, tests and the first minutes of a
    notebook. Only what Python itself refuses of a call (``note()`` without a text) raises either
    way. No method raises ``OSError``.
    """

    def __init__(
        self,
        run_dir: str | os.PathLike[str] | RunDir,
        *,
        run_id: str | None = None,
        strict: bool = False,
        fsync: bool = False,
        max_waiting: int = 1000,
        stay_inside: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.run_dir = run_dir if isinstance(run_dir, RunDir) else RunDir(Path(run_dir))
        self.run_id = self.run_dir.path.resolve().name or "run" if run_id is None else run_id
        if not isinstance(self.run_id, str) or not self.run_id:
            raise ValueError(f"run_id: expected a text that is not empty, got {run_id!r}")
        self._options = {
            "strict": strict,
            "fsync": fsync,
            "max_waiting": max_waiting,
            "stay_inside": stay_inside,
            "clock": clock,
        }
        self._strict = strict
        self._moment = LocalMoment(clock)
        self._started_at = self._moment.text
        self._lock = threading.RLock()  # re-entrant: a signal handler may record, too
        inside = self.run_dir.inside if stay_inside else None
        self._logs = {
            kind: PatientLog(
                DailyLog(partial(self.run_dir.log_file, kind), fsync=fsync, inside=inside),
                max_waiting=max_waiting,
            )
            for kind in LOG_KINDS
        }
        self._status = StatusFile(self.run_dir.status_file, fsync=fsync)
        self._owns_status = False  # until it has written one: others may record previews only
        self._status_error: OSError | None = None
        self._refusals = Refusals()
        self._trouble_since = ""
        self._told: dict[LogKind, tuple[OSError | None, int]] = dict.fromkeys(LOG_KINDS, (None, 0))
        self._newest_metrics: bytes | None = None
        call_in_forked_children(self._begin_in_child)
        self._check_directory()

    @overload
    def log_preview(self, record: PreviewRecord, /) -> None: ...
    @overload
    def log_preview(self, /, **fields: Unpack[PreviewFields]) -> None: ...
    def log_preview(self, record: PreviewRecord | None = None, /, **fields: Any) -> None:
        """Append a preview, given as the record or as its fields."""
        self._log("preview", PreviewRecord, record, fields)

    @overload
    def log_throughput(self, record: ThroughputSample, /) -> None: ...
    @overload
    def log_throughput(self, /, **fields: Unpack[ThroughputFields]) -> None: ...
    def log_throughput(self, record: ThroughputSample | None = None, /, **fields: Any) -> None:
        """Append a throughput sample, given as the record or as its fields."""
        self._log("throughput", ThroughputSample, record, fields)

    @overload
    def log_metrics(self, record: MetricPoint, /) -> None: ...
    @overload
    def log_metrics(self, /, **fields: Unpack[MetricFields]) -> None: ...
    def log_metrics(self, record: MetricPoint | None = None, /, **fields: Any) -> None:
        """Append a metric point, given as the record or as its fields."""
        line = self._log("metrics", MetricPoint, record, fields)
        if line is not None:
            self._newest_metrics = line

    @overload
    def log_eval(self, record: EvalRecord, /) -> None: ...
    @overload
    def log_eval(self, /, **fields: Unpack[EvalFields]) -> None: ...
    def log_eval(self, record: EvalRecord | None = None, /, **fields: Any) -> None:
        """Append an evaluation, given as the record or as its fields."""
        self._log("eval", EvalRecord, record, fields)

    @overload
    def log_round(self, record: RoundRecord, /) -> None: ...
    @overload
    def log_round(self, /, **fields: Unpack[RoundFields]) -> None: ...
    def log_round(self, record: RoundRecord | None = None, /, **fields: Any) -> None:
        """Append how a round of previews ended, given as the record or as its fields."""
        self._log("round", RoundRecord, record, fields)

    def note(self, text: str, *, step: SupportsIndex | None = None) -> None:
        """Mark this moment of the run ("lowered lr"); every chart over time shows it."""
        self._log("note", NoteRecord, None, {"text": text, "step": step})

    def log_heads(self, **fields: Unpack[HeadFields]) -> None:
        """Append diagnostics of the attention heads: arrays of layers x heads.

        ``attention_entropy`` (nats), ``first_token_attention`` (0-1), ``grad_norm`` and
        ``weight_norm``; nested lists, or arrays and tensors of one shape. What is left out is not
        known. ``step`` must be given, as in any record.
        """
        arrays: dict[str, Any] = {**fields}
        step = arrays.pop("step", None)
        try:
            flat = flat_heads(arrays)
        except BadField as error:
            if self._strict:
                raise
            self._refuse("heads", {"step": step, **arrays}, error)
        else:
            self._log("heads", HeadRecord, None, {"step": step, **flat})

    def log_config(self, config: Mapping[str, object]) -> None:
        """What the run is made with (hyperparameters, names of data): kept in the status.

        What is neither text, number, truth value nor None is kept as its text. Of secrets
        (``hub_token``, ``api_key``, a login in an address) only that they are there is kept.
        """
        try:
            plain = plain_config(config)
        except BadField as error:
            if self._strict:
                raise
            self._refuse("status", {"config": redacted(shown(config))}, error)
        else:
            self.update_status(config=plain)

    @_with_known_fields
    def update_status(self, **fields: Any) -> None:
        """Replace the status file; what earlier updates set stays until it is set again.

        ``status`` is idle, training (the default), paused, completed or crashed; ``phase`` is
        training, saving, evaluating or previewing. The app knows ``current_step``, ``total_steps``,
        ``epoch``, ``loss``, ``learning_rate``, ``model_name``, ``checkpoint_id``,
        ``current_file``, ``batch_step``, ``batch_total_steps`` and more (docs/DATA.md); any other
        name is kept as well, with any value that JSON can hold.

        A field that is refused is left out and the others are written. What it was before is no
        longer said, so that readers show its age; a refused ``status`` alone stays what it was.
        """
        with self._lock:
            self._moment.refresh()
            encoded = self._encoded(fields)
            if "status" not in self._status:
                encoded = {"status": '"training"'} | encoded
            self._status.set(encoded)
            self._status.remove(fields.keys() - encoded.keys() - {"status"})
            if "status" in fields and "status" in encoded:
                self._status.remove(name for name in _FIELDS_OF_AN_END if name not in encoded)
            if "current_step" in encoded:
                self._newest_metrics = None
            self._write_status()

    def mark_paused(self, reason: str | None = None) -> None:
        """Say that the run waits. Step and loss stay."""
        self._mark(status="paused", pause_reason=reason)

    def mark_completed(self) -> None:
        """Say that the run has done all its steps."""
        self._mark(status="completed")

    def mark_crashed(self, error: BaseException | str) -> None:
        """Say that the run has failed, and why. Step and loss stay."""
        name = None if issubclass(type(error), str) else type_name(error)
        told = redacted(as_text(error)[:_LONGEST_ERROR]) or name
        self._mark(status="crashed", error_message=told, error_type=name)

    @property
    def dropped(self) -> dict[LogKind, int]:
        """How many records of each kind were lost because the disk refused them for too long."""
        return {kind: log.dropped for kind, log in self._logs.items()}

    @property
    def refused(self) -> dict[str, int]:
        """How many records of each kind this process was refused, and fields of the "status"."""
        return dict(self._refusals.counts)

    def close(self) -> None:
        """Write what still waits and close the files. Recording again opens them again."""
        with self._lock:
            for log in self._logs.values():
                log.close(self._moment.day)
            self._tell()

    def __enter__(self) -> Self:
        self.update_status(status="training")
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, KeyboardInterrupt):
            self.mark_paused("interrupted")
        elif error is not None and not (isinstance(error, SystemExit) and not error.code):
            self.mark_crashed(error)
        elif self._status.get("status") == '"training"':
            self.mark_completed()
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        # A spawned process gets a recorder of its own, with files of its own.
        return {"run_dir": self.run_dir, "run_id": self.run_id, **self._options}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]  # the pickle of one is a call to make one

    def _log(
        self,
        kind: LogKind,
        record_class: type[Record],
        record: Record | None,
        fields: dict[str, Any],
    ) -> bytes | None:
        """The line that was logged; None when the record was refused."""
        with self._lock:
            moment = self._moment
            if moment.refresh():
                self._look_around()
            try:
                if record is None:
                    line = fields_to_json_line(
                        record_class, fields, run_id=self.run_id, now=moment.text
                    )
                elif isinstance(record, record_class) and not fields:
                    line = to_json_line(record, run_id=self.run_id, now=moment.text)
                else:
                    raise BadField(
                        f"log_{kind}: expected one {record_class.__name__} or its fields by name, "
                        f"got {type_name(record)}{' and fields' if fields else ''}"
                    )
            except Exception as error:
                # Whatever the methods of a value raise: it is this record that is wrong.
                if self._strict:
                    raise
                self._refuse(kind, {**fields_of(record), **fields}, error)
                return None
            self._append(kind, line)
            return line

    def _append(self, kind: LogKind, line: bytes) -> None:
        log = self._logs[kind]
        before = log.error
        log.append(line, self._moment.day)
        if log.error is not before:
            self._tell()

    def _encoded(self, fields: Mapping[str, object]) -> dict[str, str]:
        """Those fields that the status can have, as JSON texts; the others are refused."""
        encoded = {}
        for name, value in fields.items():
            try:
                if name in _OWN_STATUS_FIELDS:
                    raise BadField(f"{name}: the Recorder writes this field; leave it out", name)
                encoded[name] = encoded_field(name, value)
            except BadField as error:
                if self._strict:
                    raise
                self._refuse("status", {name: value}, error)
        return encoded

    def _refuse(self, kind: str, fields: Mapping[str, object], error: Exception) -> None:
        """Count it, keep it as a line of its own, and warn when its like is new."""
        with self._lock:
            self._moment.refresh()
            refusal, now = Refusal.of(kind, error), self._moment.text
            path = self.run_dir.log_file("refused", self._moment.day)
            self._refusals.add(refusal, now)
            line = self._refusals.line(refusal, fields, run_id=self.run_id, now=now, log=path)
            if line is not None:
                self._append("refused", line)
            warning = self._refusals.warning(refusal, path)
            if warning is not None:
                self._warn(warning)
                if self._owns_status:
                    self._write_status()

    def _mark(self, **fields: Any) -> None:
        with self._lock:
            if self._newest_metrics is not None:  # newer than what the status says
                point = json.loads(self._newest_metrics)
                fields["current_step"] = point["step"]
                if "loss" in point:
                    fields["loss"] = point["loss"]
            self.update_status(phase=None, **fields)

    def _write_status(self) -> None:
        more: dict[str, object] = {
            "run_id": self.run_id,
            "timestamp": self._moment.text,
            "pid": os.getpid(),
            "hostname": os.uname().nodename,
            "started_at": self._started_at,
        }
        self._owns_status = True
        if errors := self._errors():
            more["recorder_errors"] = errors
        if refused := self._refusals.told():
            more["recorder_refused"] = refused
        try:
            self._status.write(more)
        except OSError as error:
            if self._status_error is None:
                self._warn(f"{_named(error, self._status.path)} The status shown is an old one.")
            self._status_error = error
        else:
            self._status_error = None

    def _errors(self) -> dict[str, object]:
        """For the status file: what could not be written, and what is lost."""
        failing = [
            _named(log.error, self.run_dir.logs(kind))
            for kind, log in self._logs.items()
            if log.error is not None
        ]
        if not failing and not any(self.dropped.values()):
            return {}
        return {
            "message": " ".join(failing) or "Records were lost; writing works again.",
            "since": self._trouble_since,
            "dropped": self.dropped,
            "waiting": {kind: log.waiting for kind, log in self._logs.items()},
        }

    def _look_around(self) -> None:
        """Once a second: are the files still there, and does the disk take what waits?"""
        for kind, log in self._logs.items():
            if log.reopen_if_replaced(self._moment.day):
                path = self.run_dir.log_file(kind, self._moment.day)
                self._warn(
                    f"{path} was removed or replaced while it was written to. A new file is begun; "
                    "records of the last second may be lost."
                )
            log.retry(self._moment.day)
        self._tell()
        if self._status_error is not None:
            self._write_status()

    def _tell(self) -> None:
        """Warn once of each outage, and of what it has cost when it is over."""
        news = False
        for kind, log in self._logs.items():
            error, dropped = self._told[kind]
            if log.error is error and (error is not None or log.dropped == dropped):
                continue
            news = True
            self._told[kind] = (log.error, log.dropped)
            if log.error is not None:
                self._trouble_since = self._moment.text
                self._warn(
                    f"{_named(log.error, self.run_dir.logs(kind))} Training goes on; {kind} "
                    "records wait in memory until the disk takes them; the oldest go first."
                )
            elif log.dropped > dropped:
                self._warn(
                    f"{log.dropped - dropped} {kind} records were lost: no room, or no disk."
                )
        if news and self._owns_status:
            self._write_status()

    def _check_directory(self) -> None:
        path = self.run_dir.path
        try:
            path.mkdir(parents=True, exist_ok=True)
            if not os.access(path, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "no permission to write", str(path))
        except OSError as error:
            self._warn(f"{_named(error, path)} Nothing is recorded until that is mended.")

    def _warn(self, message: str) -> None:
        warn(message, at=self._moment.text)

    def _begin_in_child(self) -> None:
        """The parent's lock may be held for ever, and what waits is the parent's to write."""
        self._lock = threading.RLock()
        for log in self._logs.values():
            log.forget()
        self._refusals.forget()
        self._owns_status = False


def _named(error: OSError, path: Path) -> str:
    return f"{error.filename or path}: {error.strerror or error}."
