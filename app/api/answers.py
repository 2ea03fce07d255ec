"""Answers that are dataclasses: JSON with their fields and properties, and the schema of it.

What a question of the history answers is stated once, in its dataclass; the model that the API
describes and writes follows from it.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin, get_type_hints

from fastapi import Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model

from app.api.history import NOT_READY
from app.api.turns import IN_TURN
from app.api.wire import packed_json

Responses: TypeAlias = dict[int | str, dict[str, Any]]


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


# JSON has no NaN and no infinity, so any number that is no count may be null.
Number = Annotated[float | None, BeforeValidator(_finite)]


@dataclass(frozen=True, slots=True)
class Interval:
    """Both ends of a 95 % interval."""

    low: float
    high: float


@cache
def model_of(answer: type) -> type[BaseModel]:
    """A model with the name, the docstring, the fields and the properties of a dataclass.

    Dataclasses inside become models too, a pair of floats an :class:`Interval`, and pairs of a
    name and a count an object.
    """
    hints = get_type_hints(answer)
    members: dict[str, Any] = {
        field.name: (_annotation(hints[field.name]), ...)
        for field in fields(answer)
        if not field.name.endswith("seq")  # a place in the index, which may be built anew
    }
    for name, value in vars(answer).items():
        if isinstance(value, property) and not name.startswith("_"):
            kind = get_type_hints(value.fget)["return"]
            members[name] = (_annotation(kind), Field(description=value.__doc__))
    return create_model(
        answer.__name__,
        __config__=ConfigDict(from_attributes=True, protected_namespaces=()),
        __doc__=answer.__doc__,
        **members,
    )


def described(answer: type, responses: Responses | None = None) -> dict[str, Any]:
    """What a route that asks the history says of itself; ``answer`` is the dataclass it gives."""
    return {
        "response_class": Response,
        "responses": {200: {"model": model_of(answer)}, **NOT_READY, **(responses or {})},
        "dependencies": IN_TURN,
    }


def answered(request: Request, answer: object) -> Response:
    """The dataclass as JSON, in the shape of :func:`model_of`."""
    dataclass_type: type = type(answer)
    view = model_of(dataclass_type).model_validate(answer)
    return packed_json(request, view.model_dump_json().encode())


def _annotation(kind: Any) -> Any:
    """The type in a model of what has this type in a dataclass."""
    if kind is float:
        return Number
    if hasattr(kind, "__dataclass_fields__"):
        return model_of(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return Union[tuple(map(_annotation, arguments))]  # noqa: UP007  # of types known here alone
    if origin is tuple and arguments == (float, float):
        return Annotated[model_of(Interval), BeforeValidator(_interval)]
    if origin is tuple and arguments == (tuple[str, int], ...):
        return Annotated[dict[str, int], BeforeValidator(dict)]
    if origin in (list, tuple, Sequence):
        return list[_annotation(arguments[0])]  # type: ignore[misc]  # known when it runs
    if origin in (dict, Mapping):
        return dict[str, _annotation(arguments[1])]  # type: ignore[misc]  # known when it runs
    return kind


def _interval(value: object) -> object:
    return Interval(*value) if isinstance(value, tuple) else value
