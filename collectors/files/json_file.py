"""One JSON object in a file that somebody else keeps replacing: parsed when it changed.

Nothing about the file is trusted: not that it is there, small, complete, JSON, or even a file.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from control_room.recording.encoding import load_json
from control_room.security.inside import Inside, LeadsOut, opened

MAX_BYTES = 8 * 2**20
SETTLE_S = 1.0  # a file that does not parse may be in the middle of a write for this long
_RACY_S = 0.05  # two writes within a tick of the file system's clock look like one

_Signature = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class JsonLook:
    """What one look found. ``data`` is given only when it is new."""

    data: dict[str, object] | None = None
    content: bytes | None = None  # the file's own bytes, that ``data`` was read from
    mtime: float | None = None  # epoch seconds; None when there is no such file
    problem: str | None = None  # names the file, what is wrong with it and what to do


class JsonFile:
    """Watches one file. A problem is told on every look until the file has changed."""

    def __init__(
        self, path: Path, *, inside: Inside | None = None, max_bytes: int = MAX_BYTES
    ) -> None:
        """``inside`` opens it; without it any link is followed."""
        self.path = path
        self._inside = inside
        self._max_bytes = max_bytes
        self._signature: _Signature | None = None
        self._content: bytes | None = None
        self._problem: str | None = None
        self._torn = False

    def look(self, now: float) -> JsonLook:
        """Read the file if it changed since the last look. Never raises for what the file is."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            self._forget()
            return JsonLook()
        except OSError as error:
            self._forget()
            return JsonLook(problem=self._cannot_read(error))
        signature = (found.st_mtime_ns, found.st_size, found.st_ino, found.st_ctime_ns)
        data = None
        if signature != self._signature:
            data = self._read(found)
            racy = 0 <= now - found.st_mtime < _RACY_S
            self._signature = None if racy else signature
        settling = self._torn and 0 <= now - found.st_mtime < SETTLE_S
        return JsonLook(
            data,
            None if data is None else self._content,
            found.st_mtime,
            None if settling else self._problem,
        )

    def _read(self, found: os.stat_result) -> dict[str, object] | None:
        before, self._content = self._content, None
        problem, content = self._why_not(found), b""
        if problem is None:
            try:
                with opened(self.path, self._inside) as file:
                    content = file.read(self._max_bytes + 1)
            except OSError as error:
                problem = self._cannot_read(error)
        if problem is None and len(content) > self._max_bytes:
            problem = self._too_large(len(content))
        if problem is not None:
            self._torn, self._problem = False, problem
            return None
        self._content = content
        if content == before:
            return None
        self._torn, self._problem = False, None
        return self._parse(content)

    def _parse(self, content: bytes) -> dict[str, object] | None:
        if not content.strip():
            self._torn = True
            self._problem = f"{self.path} is empty: the next complete write will be shown."
            return None
        try:
            data = load_json(content)
        except ValueError as error:
            self._torn = True
            self._problem = (
                f"{self.path} is not complete JSON ({error}): it may be half written. The writer "
                "should write a temporary file beside it and rename that."
            )
            return None
        if not isinstance(data, dict):
            self._problem = (
                f"{self.path} holds a JSON {_KIND.get(type(data), 'value')} where an object "
                '("{...}") is expected: check what writes it.'
            )
            return None
        return data

    def _why_not(self, found: os.stat_result) -> str | None:
        if stat.S_ISDIR(found.st_mode):
            return f"{self.path} is a directory: move it away, the file of that name belongs here."
        if not stat.S_ISREG(found.st_mode):
            return f"{self.path} is not a regular file: move it away."
        if found.st_size > self._max_bytes:
            return self._too_large(found.st_size)
        return None

    def _too_large(self, size: int) -> str:
        return (
            f"{self.path} is {size / 2**20:.0f} MiB, more than the {self._max_bytes / 2**20:.0f} "
            "MiB that are read: keep histories out of it."
        )

    def _cannot_read(self, error: OSError) -> str:
        if isinstance(error, LeadsOut):
            return f"{self.path} is not read: {error.strerror}."
        reason = error.strerror or str(error)
        return f"{self.path} cannot be read ({reason}): let the user who runs the app read it."

    def _forget(self) -> None:
        self._signature, self._content, self._problem, self._torn = None, None, None, False


def for_browsers(content: bytes) -> bytes:
    """JSON as its writer left it, with null where it has NaN or an infinity.

    Python writes and reads those; no browser does.
    """
    if b"NaN" not in content and b"Infinity" not in content:
        return content
    return _TEXT_OR_CONSTANT.sub(lambda m: m[0] if m[0].startswith(b'"') else b"null", content)


_TEXT_OR_CONSTANT = re.compile(rb'"(?:[^"\\]|\\.)*"|NaN|-?Infinity', re.DOTALL)
_KIND = {list: "array", str: "string", int: "number", float: "number", bool: "true or false"}
