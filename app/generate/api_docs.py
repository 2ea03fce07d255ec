"""What follows from the API: docs/API.md, and the client's answer types and methods."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from app.api import create_api
from app.api.daemon_clients import DIFFERENCES
from app.api.history import FilterQuery
from app.api.prometheus import ViewCollector
from app.generate.client_code import NOT_ANSWERS, methods_code, reference, types_code
from app.settings import Settings
from app.watch.monitor import Monitor

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs" / "API.md"
TYPES = ROOT / "control_room" / "api_types.py"
METHODS = ROOT / "control_room" / "api_methods.py"

_FILTER = frozenset(field.alias or name for name, field in FilterQuery.model_fields.items())


def generated() -> dict[Path, str]:
    """The content of each of the files."""
    description = create_api(Monitor(Settings())).openapi()
    return {
        DOCS: "\n".join(_document(description)) + "\n",
        TYPES: "\n".join(types_code(description)) + "\n",
        METHODS: "\n".join(methods_code(description)) + "\n",
    }


def _document(description: Mapping[str, Any]) -> Iterator[str]:
    yield "# API"
    yield ""
    yield "Written by `python -m app.generate` from the OpenAPI document, which the app"
    yield "serves at `/api/openapi.json` and, to be tried out, at `/api/docs`."
    yield ""
    yield description["info"]["description"].strip()
    yield ""
    yield "A parameter that is unknown, repeated, of the wrong type or out of range is answered by"
    yield "422, which names it. A 503 says what is missing and when to come again."
    yield ""
    yield "In a browser, pages of other sites may read the answers where the setting"
    yield '`api.allowed_origins` names them, as in `allowed_origins = ["http://old-pages.lan:8080"]`'
    yield "under `[api]` in control_room.toml."
    schemas = description["components"]["schemas"]
    yield from _filter(description)
    for path, methods in sorted(description["paths"].items()):
        yield from _operation(path, methods["get"])
    yield from _prometheus()
    yield from _differences()
    yield ""
    yield "## Answers"
    for name, schema in sorted(schemas.items()):
        if name not in NOT_ANSWERS:
            yield from _schema(name, schema)


def _prometheus() -> Iterator[str]:
    yield ""
    yield "## Prometheus metrics"
    yield ""
    yield "What `/metrics` may tell; what is not known is left out."
    yield ""
    yield "| metric | meaning |"
    yield "|---|---|"
    for family in ViewCollector(Monitor(Settings())).describe():
        yield f"| `{family.name}` | {family.documentation} |"


def _filter(description: Mapping[str, Any]) -> Iterator[str]:
    """Once, as many addresses take it."""
    yield ""
    yield "## Filter of previews"
    yield ""
    yield " ".join(str(FilterQuery.__doc__).split())
    heatmap = description["paths"]["/api/analytics/heatmap"]["get"]
    yield from _parameters(each for each in heatmap["parameters"] if each["name"] in _FILTER)


def _differences() -> Iterator[str]:
    yield ""
    yield "## The daemon trainer's pages"
    yield ""
    yield "Their addresses, parameters and fields are all there; those marked deprecated are for"
    yield "them alone ([what that is](DATA.md#the-daemon-trainer)). What differs from what they"
    yield "expect, and why:"
    yield ""
    yield "| where | expected | here | why |"
    yield "|---|---|---|---|"
    for each in DIFFERENCES:
        yield f"| {each.where} | {each.expected} | {each.here} | {each.why} |"


def _operation(path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield f"## `GET {path}`"
    yield ""
    yield str(operation.get("description", operation.get("summary", ""))).strip()
    parameters = operation.get("parameters", [])
    if {each["name"] for each in parameters} >= _FILTER:
        yield ""
        yield "It takes the [filter of previews](#filter-of-previews)."
        parameters = [each for each in parameters if each["name"] not in _FILTER]
    yield from _parameters(parameters)
    yield ""
    for status, response in operation["responses"].items():
        yield f"- {status}: {_answer(response)}"


def _parameters(parameters: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    rows = list(parameters)
    if not rows:
        return
    yield ""
    yield "| parameter | type | default | |"
    yield "|---|---|---|---|"
    for parameter in rows:
        schema = parameter["schema"]
        default = schema.get("default")
        yield (
            f"| `{parameter['name']}` | {_kind(schema)}{_bounds(schema)} "
            f"| {'' if default is None else f'`{default}`'} "
            f"| {'deprecated. ' if parameter.get('deprecated') else ''}"
            f"{parameter.get('description', '')} |"
        )


def _answer(response: Mapping[str, Any]) -> str:
    content = response.get("content", {})
    kinds = [
        f"[{ref}](#{ref.lower()})" if (ref := reference(media.get("schema", {}))) else f"`{kind}`"
        for kind, media in content.items()
    ]
    return " ".join([", ".join(kinds), response.get("description", "")]).strip()


def _schema(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield f"### {name}"
    yield ""
    if schema.get("description"):
        yield str(schema["description"]).strip()
        yield ""
    yield "| field | type | |"
    yield "|---|---|---|"
    for field, of in schema.get("properties", {}).items():
        about = ("deprecated. " if of.get("deprecated") else "") + of.get("description", "")
        yield f"| `{field}` | {_kind(of)} | {about} |"


def _kind(schema: Mapping[str, Any]) -> str:
    """A schema's type in words."""
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if ref := reference(schema):
        return f"[{ref}](#{ref.lower()})"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        items = schema.get("items") or {"type": "value"}
        return f"list of {_kind(items)}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"name → {_kind(schema['additionalProperties'])}"
    return str(schema.get("format") or schema.get("type") or "value")


def _bounds(schema: Mapping[str, Any]) -> str:
    for each in (schema, *schema.get("anyOf", ())):
        if "minimum" in each:
            top = each.get("maximum")
            return f" from {each['minimum']}" + (f" to {top}" if top and top < 2**53 else "")
    return ""
