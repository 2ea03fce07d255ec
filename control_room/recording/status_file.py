"""The status file: what a run is doing now, replaced as a whole so that no reader sees half."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import get_args

from control_room.atomic import replace_file
from control_room.recording.closed_words import Phase, RunStatus
from control_room.recording.encoding import to_json, to_utf8
from control_room.recording.fields import BadField
from control_room.recording.safe_repr import as_text, shown
from control_room.security.redaction import is_secret_name, redacted
from control_room.security.secret import HIDDEN

RUN_STATES: tuple[RunStatus, ...] = get_args(RunStatus)
PHASES: tuple[Phase, ...] = get_args(Phase)


class StatusFile:
    """Fields that add up over updates, and the file that shows them."""

    def __init__(self, path: Path, *, fsync: bool) -> None:
        self.path = path
        self._fsync = fsync
        self._fields: dict[str, str] = {}  # name -> JSON
        self._version = 0

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def get(self, name: str) -> str | None:
        """The field's value as JSON text."""
        return self._fields.get(name)

    def set(self, encoded: Mapping[str, str]) -> None:
        """Take the fields, each as its JSON text; see :func:`encoded_field`."""
        self._fields |= encoded
        self._version += 1

    def remove(self, names: Iterable[str]) -> None:
        """Forget fields that no longer hold."""
        for name in names:
            self._fields.pop(name, None)

    def write(self, more: Mapping[str, object]) -> None:
        """Replace the file by the fields and ``more``. Raises ``OSError`` when it cannot."""
        added = {name: to_json(value) for name, value in more.items()}
        written = None
        while written != self._version:  # a signal handler may set fields in between
            written = self._version
            fields = self._fields | added
            text = ",\n".join(f"  {to_json(name)}: {value}" for name, value in fields.items())
            self._replace(to_utf8(f"{{\n{text}\n}}\n"))

    def _replace(self, content: bytes) -> None:
        try:
            replace_file(self.path, content, fsync=self._fsync)
        except FileNotFoundError:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self.path, content, fsync=self._fsync)


def encoded_field(name: str, value: object) -> str:
    """The value as JSON text. Raises ``BadField`` when the field cannot have it."""
    if name == "status":
        _check_word(name, value, RUN_STATES)
    elif name == "phase" and value is not None:
        _check_word(name, value, PHASES)
    try:
        return to_json(value)
    except Exception as error:  # noqa: BLE001  # whatever a value's own methods raise
        reason = as_text(error)
        raise BadField(f"{name}: cannot be written as JSON: {reason}", name) from None


def plain_config(config: Mapping[str, object]) -> dict[str, object]:
    """Numbers, truth values, None and texts as they are, all else as its text.

    Of texts that are secrets (``hub_token``), or hold one, only that they are there. Raises
    ``BadField`` for what is no mapping.
    """
    try:
        return {as_text(name): _plain_value(as_text(name), value) for name, value in config.items()}
    except Exception:  # noqa: BLE001  # a list, None, an object that is none of all this
        told = redacted(shown(config))
        raise BadField(f"config: expected a mapping, got {told}", "config") from None


def _plain_value(name: str, value: object) -> object:
    if value is None or issubclass(type(value), int | float):
        return value
    text = str.__str__(value) if issubclass(type(value), str) else as_text(value)
    return HIDDEN if text and is_secret_name(name) else redacted(text)


def _check_word(name: str, value: object, words: Sequence[str]) -> None:
    if type(value) is not str or value not in words:
        raise BadField(f"{name}: expected one of {', '.join(words)}, got {shown(value)}", name)
