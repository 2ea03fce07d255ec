"""The part of the client that follows from the API's description: answer types and methods."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterator, Mapping
from typing import Any

NOT_ANSWERS = frozenset({"HTTPValidationError", "ValidationError"})
LINE_LENGTH = 100

_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_JSON = "application/json"


def reference(schema: Mapping[str, Any]) -> str:
    """The name of the answer that a schema refers to; empty where it refers to none."""
    return str(schema.get("$ref", "")).rpartition("/")[2]


def types_code(description: Mapping[str, Any]) -> Iterator[str]:
    """The lines of control_room/api_types.py: a typed dictionary for each answer."""
    yield '"""What the API answers, field by field. Written by ``python -m app.generate``."""'
    yield ""
    yield "from __future__ import annotations"
    yield ""
    yield "from typing import Any, Literal, TypedDict"
    for name, schema in sorted(description["components"]["schemas"].items()):
        if name in NOT_ANSWERS or "properties" not in schema:
            continue
        yield ""
        yield ""
        yield f"class {name}(TypedDict):"
        yield from _docstring(schema.get("description", name), 4)
        yield ""
        for field, of in schema["properties"].items():
            yield from _fitting(f"    {field}: ", annotation(of), "")


def methods_code(description: Mapping[str, Any]) -> Iterator[str]:
    """The lines of control_room/api_methods.py: a method for each address that answers JSON.

    It has the name of the route, and the parameters that are not deprecated, by name.
    """
    operations = {
        _method_name(methods["get"]): (path, methods["get"])
        for path, methods in description["paths"].items()
        if _answer(methods["get"])
    }
    written = [line for name in sorted(operations) for line in _method(name, *operations[name])]
    yield '"""A method for each address of the API. Written by ``python -m app.generate``."""'
    yield ""
    yield "from __future__ import annotations"
    yield ""
    yield "from typing import TYPE_CHECKING, Any, Literal"
    yield "from urllib.parse import quote"
    yield ""
    yield "if TYPE_CHECKING:"
    yield "    from datetime import datetime"
    yield ""
    yield "    from control_room.api_types import ("
    for answer in sorted({_answer(operation) for _, operation in operations.values()}):
        yield f"        {answer},"
    yield "    )"
    yield ""
    yield ""
    yield "class ApiMethods:"
    yield '    """What :class:`control_room.client.Client` can ask for; docs/API.md says more."""'
    yield ""
    yield "    def _get(self, path: str, /, **query: Any) -> Any:"
    yield "        raise NotImplementedError"
    yield ""
    yield "    def _ask_history(self, path: str, /, **query: Any) -> Any:"
    yield "        raise NotImplementedError"
    yield from written


def annotation(schema: Mapping[str, Any]) -> str:
    """The Python type of what a schema describes."""
    if "anyOf" in schema:
        return " | ".join(dict.fromkeys(annotation(each) for each in schema["anyOf"]))
    if name := reference(schema):
        return name
    if "const" in schema or "enum" in schema:
        values = schema.get("enum") or [schema["const"]]
        return f"Literal[{', '.join(map(json.dumps, values))}]"
    match schema.get("type"):
        case "array" if "prefixItems" in schema or not schema.get("items"):
            return "list[Any]"
        case "array":
            return f"list[{annotation(schema['items'])}]"
        case "object":
            values = schema.get("additionalProperties")
            return f"dict[str, {annotation(values) if isinstance(values, dict) else 'Any'}]"
        case kind:
            return _PLAIN.get(str(kind), "Any")


def _method_name(operation: Mapping[str, Any]) -> str:
    """The route's: the summary is made from it."""
    return str(operation["summary"]).lower().replace(" ", "_")


def _answer(operation: Mapping[str, Any]) -> str:
    content = operation["responses"]["200"].get("content", {})
    return reference(content.get(_JSON, {}).get("schema", {}))


def _method(name: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    parameters = [each for each in operation.get("parameters", ()) if not each.get("deprecated")]
    in_path = [each["name"] for each in parameters if each["in"] == "path"]
    in_query = [each for each in parameters if each["in"] == "query"]
    yield ""
    yield f"    def {name}("
    yield "        self,"
    for each in in_path:
        yield f"        {each}: str,"
    if in_query:
        yield "        *,"
    for each in sorted(in_query, key=lambda each: not each.get("required")):
        yield from _parameter(each)
    yield f"    ) -> {_answer(operation)}:"
    yield from _docstring(operation["description"], 8)
    ask = "_ask_history" if _waits_for_history(operation) else "_get"
    yield f"        answer: {_answer(operation)} = self.{ask}("
    yield f"            {_address(path)},"
    for each in in_query:
        yield f"            {each['name']}={each['name']},"
    yield "        )"
    yield "        return answer"


def _parameter(parameter: Mapping[str, Any]) -> Iterator[str]:
    schema = parameter["schema"]
    kind = annotation(schema)
    if any(each.get("format") == "date-time" for each in (schema, *schema.get("anyOf", ()))):
        kind = f"datetime | {kind}"
    default = "" if parameter.get("required") else f" = {_literal(schema.get('default'))}"
    yield from _fitting(f"        {_identifier(parameter['name'])}: ", kind, f"{default},")


def _literal(value: object) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _identifier(name: str) -> str:
    """Raises ``ValueError`` where a parameter cannot be an argument of a Python function."""
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"the client has no way to pass a parameter called {name!r}")
    return name


def _waits_for_history(operation: Mapping[str, Any]) -> bool:
    """While it is read the answer is 503 in words; a 503 with an answer of its own is another."""
    unavailable = operation["responses"].get("503")
    return unavailable is not None and "content" not in unavailable


def _address(path: str) -> str:
    quoted = re.sub(r"\{(\w+)\}", r"{quote(\1, safe='')}", path)
    return f'"{path}"' if quoted == path else f'f"{quoted}"'


def _docstring(text: str, indent: int) -> Iterator[str]:
    """Its first sentence: the rest is in docs/API.md."""
    first = re.split(r"(?<=[.?!])\s", " ".join(text.split()), maxsplit=1)[0]
    line = f'{" " * indent}"""{first if first[-1] in ".?!" else first + "."}"""'
    yield line


def _fitting(before: str, kind: str, after: str) -> Iterator[str]:
    """On one line, or a long ``Literal`` as the formatter writes it."""
    line = f"{before}{kind}{after}"
    if len(line) <= LINE_LENGTH or not kind.startswith("Literal["):
        yield line
        return
    inner, _, rest = kind.removeprefix("Literal[").partition("]")
    indent = " " * (len(before) - len(before.lstrip()))
    yield f"{before}Literal["
    for value in inner.split(", "):
        yield f"{indent}    {value},"
    yield f"{indent}]{rest}{after}"
