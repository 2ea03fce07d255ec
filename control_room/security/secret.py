"""Values that are used and never shown: keys, passwords, the login in an address."""

from __future__ import annotations

import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

HIDDEN = "***"  # what stands in a secret's place
MAX_KEY_BYTES = 4096
SHORTEST_KNOWN = 6  # what is shorter stands in ordinary words, and would tear holes into a text

_MOST_KNOWN = 256
_KINDS = (
    (stat.S_ISDIR, "is a directory"),
    (stat.S_ISFIFO, "is a pipe"),
    (stat.S_ISSOCK, "is a socket"),
)


class BadSecret(ValueError):
    """A secret that cannot be used. The message says where it stands and what is wrong with it."""


class Secret:
    """A text that neither ``str`` nor ``repr`` shows, and that is neither copied into a file.

    Every one that is made is known to :func:`~control_room.security.redaction.redacted` from then
    on: what a library writes into a log is not told which secrets it was handed.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        _known.add(value)

    def reveal(self) -> str:
        """The text itself, for the one place that uses it."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({HIDDEN!r})"

    def __str__(self) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a secret is not written into files")


class _Known:
    """The secrets that were read last, for as long as the process lives."""

    def __init__(self) -> None:
        self._values: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, value: str) -> None:
        if len(value) < SHORTEST_KNOWN:
            return
        with self._lock:
            self._values[value] = None
            self._values.move_to_end(value)
            if len(self._values) > _MOST_KNOWN:
                self._values.popitem(last=False)

    def longest_first(self) -> Sequence[str]:
        with self._lock:
            return sorted(self._values, key=len, reverse=True)


# A log is written by whoever has something to say, so what must not stand in it is kept in one
# place of the process.
_known: Final = _Known()


def keep_secret(values: Iterable[str]) -> None:
    """Have these texts, parts or other spellings of a secret, known as well."""
    for value in values:
        _known.add(value)


def known_secrets() -> Sequence[str]:
    """The texts of the secrets of this process, the longest first."""
    return _known.longest_first()


def key_from(file: Path | None, variable: str | None) -> Secret | None:
    """The key in ``file``, else in the environment; None where neither is named or is set.

    Raises :class:`BadSecret`.
    """
    if file is not None:
        return read_key(file)
    value = None if variable is None else os.environ.get(variable)
    if value is None:
        return None
    return _checked(value, "the environment variable that api_key_env names")


def read_key(file: Path) -> Secret:
    """The key in a file of one line. Raises :class:`BadSecret`, which never shows what is in it."""
    try:
        file = file.expanduser()
        content = read_regular(file, MAX_KEY_BYTES)
    except RuntimeError:
        raise BadSecret(f"{file} cannot be read: there is no home directory") from None
    except OSError as error:
        raise BadSecret(f"{file} cannot be read: {why_unreadable(error)}") from None
    try:
        return _checked(content.decode("utf-8"), str(file))
    except UnicodeDecodeError:
        raise BadSecret(f"{file} holds no text: a key is one line") from None


def read_regular(file: Path, max_bytes: int) -> bytes:
    """What is in a file that is one. Raises ``OSError`` for pipes and what is larger, at once."""
    # A pipe would be waited for, for good.
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as opened:  # noqa: PTH123  # it is open already
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            kind = next((words for is_kind, words in _KINDS if is_kind(mode)), "is no regular file")
            raise OSError(None, kind, str(file))
        content = opened.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(None, f"is larger than {max_bytes // 1024} KiB", str(file))
    return content


def why_unreadable(error: OSError) -> str:
    """The system's word for it, without the path."""
    words = error.strerror or type(error).__name__
    return words[0].lower() + words[1:]


def _checked(value: str, where: str) -> Secret:
    value = value.strip()
    if not value:
        raise BadSecret(f"{where} is empty: a key is one line")
    if value.startswith("-----BEGIN"):
        raise BadSecret(f"{where} holds a certificate or a private key: an API key is one line")
    if "\n" in value or "\r" in value:
        raise BadSecret(f"{where} has {len(value.splitlines())} lines: a key is one line")
    if len(value) > MAX_KEY_BYTES:
        raise BadSecret(f"{where} is longer than {MAX_KEY_BYTES} characters: no key is")
    if not (value.isascii() and value.isprintable()):
        raise BadSecret(f"{where} has characters that no key has: only printable ASCII is sent")
    return Secret(value)
