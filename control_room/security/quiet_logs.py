"""Logs and tracebacks of a process, without secrets, whoever writes them."""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Callable
from types import TracebackType

from control_room.security.redaction import redacted


def keep_secrets_out_of_logs() -> None:
    """From now on no log and no traceback of this process shows a secret, whoever writes it."""
    made = logging.getLogRecordFactory()
    if getattr(made, "redacts", False):
        return
    logging.setLogRecordFactory(_redacting(made))
    sys.excepthook = _tell
    threading.excepthook = _tell_of_thread


def _redacting(made: Callable[..., logging.LogRecord]) -> Callable[..., logging.LogRecord]:
    def record_of(*args: object, **kwargs: object) -> logging.LogRecord:
        record = made(*args, **kwargs)
        _redact(record)
        return record

    record_of.redacts = True  # type: ignore[attr-defined]  # marks it, so that it is set once
    return record_of


def _redact(record: logging.LogRecord) -> None:
    try:
        told = record.getMessage()
    except Exception:  # noqa: BLE001  # whatever an argument's own methods raise
        return  # logging itself says what is wrong with the call
    clean = redacted(told)
    if clean != told:
        # Some formatters want the arguments of their own messages.
        if isinstance(record.args, tuple):
            record.args = tuple(
                redacted(each) if isinstance(each, str) else each for each in record.args
            )
        if record.getMessage() != clean:
            record.msg, record.args = clean, None
    if record.exc_info and record.exc_info[0] is not None:
        # Formatters take the text that is there already.
        record.exc_text = redacted("".join(traceback.format_exception(*record.exc_info)).rstrip())


def _tell(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, where)
        return
    sys.stderr.write(redacted("".join(traceback.format_exception(kind, error, where))))


def _tell_of_thread(told: threading.ExceptHookArgs) -> None:
    if told.exc_value is None or issubclass(told.exc_type, SystemExit):
        return
    name = told.thread.name if told.thread is not None else "?"
    sys.stderr.write(f"Exception in thread {name}:\n")
    _tell(told.exc_type, told.exc_value, told.exc_traceback)
