"""What one field of a record may hold: how a value is checked, and read back from JSON."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn, SupportsFloat

from control_room.recording.encoding import NON_FINITE, parse_timestamp
from control_room.recording.safe_repr import shown, type_name

_LONGEST_NAME = 100
_LARGEST_INT = 2**63 - 1  # what a reader's 64-bit column holds
MAX_STEP = 10**12  # no training takes more; a larger number is a mistake, and no axis can show it
_EXACT_TYPES: Mapping[str, type] = {"int": int, "float": float, "str": str, "bool": bool}
_EXPECTED: Mapping[str, str] = {
    "int": "a whole number from 0",
    "float": "a number",
    "str": "a text",
    "bool": "True or False",
    "datetime": "a datetime or an ISO 8601 text",
    "Mapping[str, bool]": "a mapping of names to True or False",
    "Sequence[float]": "a sequence of numbers",
    "Mapping[str, object]": "a mapping",
}
_ABOUT = "about"  # where a dataclass field keeps what is declared of it


class About(NamedTuple):
    """What a record declares of a field beside its name and type: all else follows from it."""

    meaning: str  # one line of Markdown, for the documentation and the API's description
    unit: str = ""
    label: str = ""  # for people, in tables and filters; without one it is made of the name
    low: float | None = None  # of a number that is not whole; whole ones are never negative
    high: float | None = None
    is_text: bool = False  # a text in full, which may be empty, and is searched; else a name
    null: bool = False  # written as null when it is not known, instead of left out
    column: int | None = None  # its place in the table of previews; None: only where one is read
    heading: str = ""  # in that table, where the label is too long
    imported_as: Mapping[str, str] = MappingProxyType({})  # its name in other systems' files


def described(
    meaning: str,
    *,
    unit: str = "",
    label: str = "",
    low: float | None = None,
    high: float | None = None,
    is_text: bool = False,
    null: bool = False,
    column: int | None = None,
    heading: str = "",
    imported_as: Mapping[str, str] = MappingProxyType({}),
) -> Mapping[str, About]:
    """``metadata`` for a field of a record; see :class:`About`."""
    return {
        _ABOUT: About(meaning, unit, label, low, high, is_text, null, column, heading, imported_as)
    }


class BadField(ValueError):
    """Says what is wrong with a field; ``field`` is its name, None where no single one is."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class FieldRule(NamedTuple):
    """One field's type and range. A value of exactly ``exact`` within the range needs no more."""

    owner: str
    name: str
    kind: str  # the annotation without "| None"
    required: bool
    exact: type | None
    low: Any
    high: Any
    about: About

    @property
    def label(self) -> str:
        """What people call the field."""
        return self.about.label or self.name.replace("_", " ").capitalize()

    def checked(self, value: object) -> Any:
        """The value as the plain type of this field. Raises ``BadField`` naming the field."""
        if value is None:
            self.missing()
        try:
            plain = _CONVERTERS[self.kind](value)
        except Exception:  # noqa: BLE001  # whatever a value's own methods raise, it is no number
            self.refuse(value)
        if self.exact is not None and not self.low <= plain <= self.high and plain == plain:
            self.refuse(value)
        return plain

    def from_json(self, value: object) -> Any:
        """The value that a log line's JSON stands for, unchecked but for ``ts``."""
        if self.kind == "datetime":
            try:
                return parse_timestamp(value) if isinstance(value, str) else self.refuse(value)
            except ValueError:
                self.refuse(value)
        if value == "" and not self.about.is_text:
            return None
        if self.kind == "float" and isinstance(value, str):
            return NON_FINITE.get(value, value)
        if self.kind == "Sequence[float]" and isinstance(value, list):
            return [NON_FINITE.get(v, v) if isinstance(v, str) else v for v in value]
        if self.kind == "Mapping[str, bool]" and isinstance(value, dict):
            return {name: flag for name, flag in value.items() if flag is not None}
        return value

    def refuse(self, value: object) -> NoReturn:
        """Raise ``BadField``: what was expected of the field, and what it was given."""
        raise BadField(
            f"{self.owner}.{self.name}: expected {self._expected()}, "
            f"got {shown(value)} ({type_name(value)})",
            self.name,
        )

    def missing(self) -> NoReturn:
        """Raise ``BadField``: the field must be given."""
        raise BadField(
            f"{self.owner}.{self.name} is missing: expected {self._expected()}", self.name
        )

    def _expected(self) -> str:
        expected = _EXPECTED[self.kind]
        if self.kind == "int" and self.high != _LARGEST_INT:
            return f"{expected} to {self.high:,}"
        if self.kind == "float" and self.high != math.inf:
            return f"{expected} from {self.low:g} to {self.high:g}"
        if self.kind == "float" and self.low != -math.inf:
            return f"{expected} from {self.low:g}"
        if self.kind == "str" and self.low != "":
            return f"{expected} that is not empty (leave it out when not known)"
        return expected


_NOTHING = About("")


def rules_of(record_class: Any) -> dict[str, FieldRule]:
    """The rules of a record class (a dataclass) by field name, from its annotations."""
    rules = {}
    for field in fields(record_class):
        kind = str(field.type).removesuffix(" | None")
        about = field.metadata.get(_ABOUT, _NOTHING)
        low, high = _range(kind, about)
        rules[field.name] = FieldRule(
            owner=record_class.__name__,
            name=field.name,
            kind=kind,
            required=field.default is MISSING,
            exact=_EXACT_TYPES.get(kind),
            low=low,
            high=high,
            about=about,
        )
    return rules


def unknown_field(owner: str, name: str, known: Iterable[str]) -> NoReturn:
    """Raise ``BadField`` for a field that no record of this class has, naming the nearest."""
    nearest = _nearest(name, tuple(known))
    hint = f"did you mean {nearest!r}?" if nearest else f"it has {', '.join(known)}"
    raise BadField(f"{owner} has no field {shown(name)}; {hint}", name)


@lru_cache(maxsize=128)  # a mistake in a loop is met again and again
def _nearest(name: str, known: tuple[str, ...]) -> str | None:
    import difflib  # takes a millisecond to load, which only a mistake should cost

    return next(iter(difflib.get_close_matches(name[:_LONGEST_NAME], known, n=1)), None)


def _range(kind: str, about: About) -> tuple[Any, Any]:
    """The least and the greatest value; for texts in the order of code points."""
    if kind == "int":
        return 0, _LARGEST_INT if about.high is None else about.high
    if kind == "float":
        low = -math.inf if about.low is None else about.low
        return low, math.inf if about.high is None else about.high
    if kind == "str":
        return "" if about.is_text else "\0", "\U0010ffff" * 2
    return False, True


def _int(value: object) -> int:
    if isinstance(value, bool):
        raise TypeError
    return operator.index(value)  # type: ignore[arg-type]  # what is no number raises TypeError


def _float(value: object) -> float:
    if isinstance(value, (bool, str, bytes)) or not isinstance(value, SupportsFloat):
        raise TypeError
    return float(value)


def _bool(value: object) -> bool:
    plain = value if isinstance(value, bool) else getattr(value, "item", lambda: None)()
    if not isinstance(plain, bool):
        raise TypeError
    return plain


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return str(value)


def _datetime(value: object) -> datetime:
    if isinstance(value, str):
        return parse_timestamp(value)
    if not isinstance(value, datetime):
        raise TypeError
    return value if value.utcoffset() is not None else value.astimezone()


def _flags(value: object) -> dict[str, bool]:
    if not isinstance(value, Mapping):
        raise TypeError
    for name, flag in value.items():
        if type(name) is not str or type(flag) is not bool:
            return {_str(name): _bool(flag) for name, flag in value.items()}
    return dict(value)


def _mapping(value: object) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise TypeError
    return dict(value)


def _floats(value: object) -> tuple[float, ...]:
    plain = getattr(value, "tolist", lambda: value)()  # one call for a whole array or tensor
    if isinstance(plain, (str, bytes, Mapping)) or not isinstance(plain, Iterable):
        raise TypeError
    return tuple([item if type(item) is float else _float(item) for item in plain])


_CONVERTERS = {
    "int": _int,
    "float": _float,
    "str": _str,
    "bool": _bool,
    "datetime": _datetime,
    "Mapping[str, bool]": _flags,
    "Sequence[float]": _floats,
    "Mapping[str, object]": _mapping,
}
