"""The status file: what a run is doing now, replaced as a whole so that no reader sees half."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from control_room.encoding import to_json, to_utf8

RUN_STATES = ("idle", "training", "paused", "completed", "crashed")
PHASES = ("training", "saving", "evaluating", "previewing")


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

    def set(self, fields: Mapping[str, object]) -> None:
        """Take all of the fields, or none: ``ValueError`` names one that JSON cannot hold."""
        encoded = {name: _encoded(name, value) for name, value in fields.items()}
        self._fields |= encoded
        self._version += 1

    def remove(self, names: Iterable[str]) -> None:
        """Forget fields that no longer hold."""
        for name in names:
            self._fields.pop(name, None)

    def write(self, more: Mapping[str, object]) -> None:
        """Replace the file by the fields and ``more``. Raises ``OSError`` when it cannot."""
        added = {name: _encoded(name, value) for name, value in more.items()}
        written = None
        while written != self._version:  # a signal handler may set fields in between
            written = self._version
            fields = self._fields | added
            text = ",\n".join(f"  {to_json(name)}: {value}" for name, value in fields.items())
            self._replace(to_utf8(f"{{\n{text}\n}}\n"))

    def _replace(self, content: bytes) -> None:
        # In the same directory, as a rename cannot leave the file system; of a name that no other
        # writer has, nor a signal handler that interrupts this one.
        writer = f"{os.uname().nodename}-{os.getpid()}-{id(content):x}"
        new = self.path.with_name(f".{self.path.name}.{writer}.tmp")
        try:
            file = new.open("wb")
        except FileNotFoundError:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = new.open("wb")
        try:
            with file:
                file.write(content)
                if self._fsync:
                    file.flush()
                    os.fsync(file.fileno())
            new.replace(self.path)
        except OSError:
            new.unlink(missing_ok=True)
            raise


def _encoded(name: str, value: object) -> str:
    if name == "status" and value not in RUN_STATES:
        raise ValueError(f"status: expected one of {', '.join(RUN_STATES)}, got {value!r}")
    if name == "phase" and value is not None and value not in PHASES:
        raise ValueError(f"phase: expected one of {', '.join(PHASES)}, got {value!r}")
    try:
        return to_json(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{name}: cannot be written as JSON: {error}") from None
