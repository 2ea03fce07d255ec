"""Settings in layers: which of them a run directory may set, and what becomes of the rest.

A setting says so itself, by ``Annotated[..., RUN_MAY_SET]`` in a pydantic model. Loading, the
documentation and what is said of the others follow from that.
"""

from __future__ import annotations

import os
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from control_room.settings.files import SettingsFile, UnreadableSettings, read_of_run

T = TypeVar("T")
Model = Any  # a class of pydantic's, which only those need who have settings
Location = tuple[int | str, ...]

_MOST_TOLD = 10
_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class RunMaySet:
    """Marks a setting that changes only what is shown: a run directory may set it."""


RUN_MAY_SET: Final = RunMaySet()


@dataclass(frozen=True, slots=True)
class FromRun:
    """What a run's own file sets: ``allowed`` settings, and the names of others."""

    allowed: Mapping[str, Any]
    acting: tuple[str, ...] = ()  # settings that are the user's alone
    unknown: tuple[str, ...] = ()


def run_may_set(model: Model, within: str = "") -> Iterator[tuple[str, bool]]:
    """Every setting's dotted name, and whether a run may set it."""
    for name, field in model.model_fields.items():
        section = _section(field)
        if RUN_MAY_SET in field.metadata and section is not None:
            yield from ((f"{within}{name}.{inner}", True) for inner in section.model_fields)
        elif section is not None:
            yield from run_may_set(section, f"{within}{name}.")
        else:
            yield f"{within}{name}", RUN_MAY_SET in field.metadata


def from_run(model: Model, told: Mapping[str, Any], within: str = "") -> FromRun:
    """Of what a run's file tells, that which it may set."""
    allowed: dict[str, Any] = {}
    acting: list[str] = []
    unknown: list[str] = []
    for key, value in told.items():
        field = model.model_fields.get(key)
        if field is None:
            unknown.append(within + key)
        elif RUN_MAY_SET in field.metadata:
            allowed[key] = value
        elif (section := _section(field)) is not None and isinstance(value, Mapping):
            inner = from_run(section, value, f"{within}{key}.")
            acting += inner.acting
            unknown += inner.unknown
            if inner.allowed:
                allowed[key] = inner.allowed
        else:
            acting.append(within + key)
    return FromRun(allowed, tuple(acting), tuple(unknown))


def with_run(
    build: Callable[[Mapping[str, Any]], T], of_run: Mapping[str, Any], own: Mapping[str, Any]
) -> tuple[T, list[tuple[str, str]]]:
    """What ``build`` makes of the user's ``own`` settings over the run's.

    Also the names of those of the run that it does not take, each with the reason. Raises
    pydantic's ``ValidationError`` when the user's own alone are wrong.
    """
    from pydantic import ValidationError

    left_out: list[tuple[str, str]] = []
    while True:
        try:
            return build(merged(of_run, own)), left_out
        except ValidationError as error:
            if not of_run:
                raise
            errors = error.errors(include_url=False, include_input=False)
            wrong = [(tuple(each["loc"]), _why(each)) for each in errors]
        kept, out = _without(of_run, wrong)
        if not out:  # what is wrong is none of the run's
            return build(merged(of_run, own)), left_out
        of_run = kept
        left_out += out


def merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Later layers win; tables are merged key by key."""
    found: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            before = found.get(key)
            if isinstance(before, Mapping) and isinstance(value, Mapping):
                found[key] = merged(before, value)
            else:
                found[key] = value
    return found


def anchored(model: Model, told: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """The settings with their relative paths taken from ``base``, and ``~`` as the home."""
    found = dict(told)
    for name, value in told.items():
        field = model.model_fields.get(name)
        if field is None:
            continue
        inner = _model_in(field.annotation)
        if inner is not None and isinstance(value, Mapping):
            found[name] = anchored(inner, value, base)
        elif inner is not None and isinstance(value, list | tuple):
            found[name] = [
                anchored(inner, each, base) if isinstance(each, Mapping) else each for each in value
            ]
        elif Path in _parts(field.annotation) and isinstance(value, str | Path):
            found[name] = absolute(value, base)
    return found


def absolute(path: str | Path, base: Path) -> str:
    """``path`` from ``base``, and ``~`` as the home."""
    try:
        return str(base / Path(path).expanduser())
    except RuntimeError:  # nobody's home is known by that name
        return str(base / path)


def run_settings(
    model: Model, file: Path, strangers: Sequence[Path], own: Iterable[SettingsFile]
) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """What the run's own ``file`` sets, and for a person what is not taken of it, and why.

    Nothing is taken of ``strangers``, which lie in this run or another. A file that is the user's
    own all the same is no matter of the run's.
    """
    of_user = {os.path.realpath(each.path) for each in own}
    taken: Mapping[str, Any] = {}
    told: tuple[str, ...] = ()
    for path in dict.fromkeys([file, *strangers]):
        if os.path.realpath(path) in of_user:
            continue
        try:
            found = from_run(model, read_of_run(path).table)
        except UnreadableSettings as error:
            told += (f"{path} cannot be read and is left out: {shown(str(error), 300)}.",)
            continue
        lines = [_NOT_TAKEN.format(shown(name), path, path.name) for name in found.acting]
        lines += [f"{shown(name)} in {path}: no such setting." for name in found.unknown]
        if path == file:
            taken = found.allowed
        else:
            lines += [_NOT_TAKEN.format(shown(name), path, path.name) for name in found.allowed]
        told += _few(lines, path)
    return taken, told


_NOT_TAKEN = (
    "{} in {} is not taken: what lies in a run directory sets only what is shown of that run. If "
    "you want it, put it into your own {}: in a working directory that is no run's, in "
    "~/.config/control-room, or named with --config."
)


def told_wrong(file: Path, wrong: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """For a person: which of a run's settings :func:`with_run` has left out, and why."""
    lines = [f"{shown(name)} in {file} is left out: {shown(why, 300)}." for name, why in wrong]
    return _few(lines, file)


def _few(lines: Sequence[str], file: Path) -> tuple[str, ...]:
    more = len(lines) - _MOST_TOLD
    if more <= 0:
        return tuple(lines)
    return (*lines[:_MOST_TOLD], f"{more} more settings in {file} are not taken.")


def shown(text: str, most: int = _LONGEST_NAME) -> str:
    """A text of a run's, short and without what would change the text around it."""
    cut = text if len(text) <= most else text[: most - 1] + "…"
    return "".join(each if each.isprintable() else "�" for each in cut)


def _without(
    of_run: Mapping[str, Any], wrong: Sequence[tuple[Location, str]]
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Without the settings, or list entries, that errors are of; those of a section: all of it."""
    left_out = []
    found: Any = _copied(of_run)
    places = {_place_in(of_run, location): why for location, why in reversed(wrong)}
    # The last of a list first: the others keep their numbers.
    for place, why in sorted(places.items(), key=lambda item: _order(item[0]), reverse=True):
        if not place:
            continue
        inside = found
        for part in place[:-1]:
            inside = inside[part]
        del inside[place[-1]]
        left_out.append((".".join(map(str, place)), why))
    return found, left_out[::-1]


def _place_in(of_run: Mapping[str, Any], location: Location) -> Location:
    """As much of the location as there is in the run's; of a list, a table in it or all of it."""
    node: Any = of_run
    for depth, part in enumerate(location):
        if isinstance(node, list):
            return location[
                : depth + 1 if all(isinstance(each, Mapping) for each in node) else depth
            ]
        if not isinstance(node, Mapping) or part not in node:
            return location[:depth]
        node = node[part]
    return location


def _why(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "no such setting"
    return str(error["msg"]).removeprefix("Value error, ")


def _order(place: Location) -> tuple[tuple[int, int | str], ...]:
    return tuple((0, part) if isinstance(part, int) else (1, part) for part in place)


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(inner) for key, inner in value.items()}
    return list(value) if isinstance(value, list) else value


def _section(field: Any) -> Model | None:
    """The model of a section; None where the setting is a value, or a list."""
    return field.annotation if hasattr(field.annotation, "model_fields") else None


def _model_in(annotation: Any) -> Model | None:
    return next((each for each in _parts(annotation) if hasattr(each, "model_fields")), None)


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for inner in typing.get_args(annotation):
        yield from _parts(inner)
