"""Values as texts and as JSON of bounded size, whatever their own methods do.

What a trainer passes by mistake may be anything: an array that has gone with its device, a list
that holds itself, an object whose ``repr`` raises. Nothing here raises an ``Exception`` for it.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice

from control_room.recording.encoding import plain

_SHORT = 60  # characters of a value that is shown within a sentence
_MOST_TEXT = 10_000  # characters of one text that is kept
_MOST_CHARACTERS = 50_000  # of all that is kept of one record
_MOST_ITEMS = 2_000  # of one list or mapping
_DEEPEST = 8
_NUMBER_CHARACTERS = 8
_PLAIN_INT_BITS = 64  # what any reader of JSON can hold
_CUT = "..."

_short = reprlib.Repr()  # looks into lists and mappings no deeper than it shows
_short.maxstring = _short.maxother = _short.maxlong = _SHORT


def type_name(value: object) -> str:
    """The name of the value's class."""
    try:
        return str(type(value).__name__)
    except Exception:  # noqa: BLE001  # a metaclass may do anything
        return "object"


def shown(value: object) -> str:
    """``repr``, at most 60 characters of it; the class in its place where there is none."""
    try:
        text = str.__str__(_short.repr(value))
    except Exception:  # noqa: BLE001  # a value's own methods may raise anything
        return f"<{type_name(value)}>"[:_SHORT]
    return text if len(text) <= _SHORT else text[: _SHORT - len(_CUT)] + _CUT


def printable(name: str) -> str:
    r"""``name`` with what cannot be shown or sent (``\n``, stray bytes) as escape sequences."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in name
    )


def as_text(value: object) -> str:
    """``str``; the class in its place where there is none."""
    try:
        return str.__str__(str(value))
    except Exception:  # noqa: BLE001  # as above
        return f"<{type_name(value)}>"


def as_json(fields: Mapping[str, object]) -> dict[str, object]:
    """Fields as far as JSON can hold them: numbers and texts as they are, objects as their repr.

    Long texts, long lists and what is nested deeply are cut, and say so.
    """
    keeping = _Keeping()
    return {
        keeping.text(name): keeping.value(value)
        for name, value in fields.items()
        if keeping.has_room()
    }


class _Keeping:
    """Takes values until there is no more room."""

    def __init__(self) -> None:
        self._left = _MOST_CHARACTERS

    def has_room(self) -> bool:
        return self._left > 0

    def text(self, text: str) -> str:
        most = max(0, min(_MOST_TEXT, self._left))
        self._left -= min(len(text), most) + 4  # quotes and comma
        if len(text) <= most:
            return text
        return f"{text[:most]}{_CUT} ({len(text):,} characters)"

    def value(self, value: object, depth: int = 0) -> object:
        if not self.has_room():
            return _CUT
        # Of exactly these types: a subclass may do anything.
        if type(value) is str:
            return self.text(value)
        self._left -= _NUMBER_CHARACTERS
        if value is None or type(value) is bool or type(value) is float:
            return value
        if type(value) is int and value.bit_length() <= _PLAIN_INT_BITS:
            return value
        if depth < _DEEPEST:
            with suppress(Exception):  # or another thread may change it meanwhile
                return self._inside(value, depth + 1)
        return self.text(shown(value))

    def _inside(self, value: object, depth: int) -> object:
        """What a container holds, or a scalar of NumPy and the like stands for."""
        if type(value) is dict:
            kept: dict[str, object] = {}
            for key, inner in islice(value.items(), _MOST_ITEMS):
                kept[self.text(key if type(key) is str else shown(key))] = self.value(inner, depth)
                if not self.has_room():
                    break
            return kept if len(kept) == len(value) else {**kept, _CUT: _CUT}
        if type(value) is list or type(value) is tuple:
            items = []
            for inner in islice(value, _MOST_ITEMS):
                items.append(self.value(inner, depth))
                if not self.has_room():
                    break
            return items if len(items) == len(value) else [*items, _CUT]
        return self.value(plain(value), depth)
