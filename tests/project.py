"""What the project has: settings, endpoints, pages, commands, metrics. Asked of itself."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from app.api import create_api
from app.api.prometheus import ViewCollector
from app.settings import ENV_PREFIX, Settings
from app.watch.monitor import Monitor
from control_room.previews.config import Config
from tests.support import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.M)
VARIABLES = re.findall(r"^([A-Z_]+) \?=", MAKEFILE, re.M)
PAGES = sorted(path.stem for path in (ROOT / "pages").glob("[!_]*.py"))
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "optional-dependencies"
]
# Beside what OpenAPI describes: pages of the documentation, and Streamlit's own.
_OTHER_ENDPOINTS: dict[str, set[str]] = {
    "/api/docs": set(),
    "/api/openapi.json": set(),
    "/_stcore/health": set(),
}


@cache
def tracked() -> tuple[str, ...]:
    """Every file of the project, relative to its root: those that git has or would take."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple(name for name in done.stdout.splitlines() if (ROOT / name).exists())


@cache
def words_of_code() -> frozenset[str]:
    """Every word that the code itself writes; tests and documents do not count."""
    kinds = (".py", ".toml", ".service", ".json", ".yml", ".yaml", "Makefile", ".sh")
    files = [f for f in tracked() if f.endswith(kinds) and not f.startswith("tests/")]
    text = "\n".join((ROOT / name).read_text(encoding="utf-8") for name in files)
    return frozenset(re.findall(r"\w+", text))


@cache
def endpoints() -> dict[str, set[str]]:
    """Each address of the API with its query parameters."""
    description = create_api(Monitor(Settings())).openapi()
    return _OTHER_ENDPOINTS | {
        path: {each["name"] for each in methods["get"].get("parameters", ())}
        for path, methods in description["paths"].items()
    }


def settings_names(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Dotted names of all settings below a model, sections and lists of tables included."""
    for name, field in model.model_fields.items():
        yield above + name
        for inner in _models_in(field.annotation):
            yield from settings_names(inner, f"{above}{name}.")


def app_settings() -> set[str]:
    return set(settings_names(Settings))


def runner_settings() -> set[str]:
    return set(settings_names(Config))


def environment() -> set[str]:
    return {ENV_PREFIX + name.replace(".", "__").upper() for name in app_settings()} | {
        ENV_PREFIX + "CONFIG"
    }


@cache
def usage(module: str, subcommand: str = "") -> str:
    """What ``--help`` prints. Fails where there is no such command."""
    command = [sys.executable, "-m", module, *([subcommand] if subcommand else []), "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"python -m {module} {subcommand}: {done.stderr}"
    return done.stdout


@cache
def commands() -> dict[str, tuple[str, ...]]:
    """What people start, with the subcommands that they give."""
    listed = re.findall(r"^ +([a-z]+) .*", usage("control_room"), re.M)
    return {
        "app": ("", "check"),
        "control_room": tuple(listed),
        "control_room.previews": ("",),
    }


def flags(module: str, subcommand: str = "") -> set[str]:
    return set(re.findall(r"(?<!\w)--[a-z][a-z-]+", usage(module, subcommand)))


@cache
def all_flags() -> frozenset[str]:
    """The flags of every command that people start."""
    return frozenset(
        flag for module, subs in commands().items() for sub in subs for flag in flags(module, sub)
    )


def prometheus_metrics() -> set[str]:
    """The names that ``/metrics`` may have, also of what is not known yet."""
    return {family.name for family in ViewCollector(Monitor(Settings())).describe()}


def wrong_in_command(line: str) -> str | None:
    """What a command of a document names that there is not; None: nothing, or not our command."""
    words = shlex.split(line, comments=True)
    while words and re.fullmatch(r"[A-Z][A-Z0-9_]*=.*", words[0]):
        variable = words.pop(0).partition("=")[0]
        if variable.startswith(ENV_PREFIX) and variable not in environment():
            return variable
    match words:
        case ["make", *arguments]:
            return _wrong_in_make(arguments)
        case ["python" | ".venv/bin/python" | "python3", "-m", module, *arguments]:
            return _wrong_in_module(module, arguments)
        case ["control-room", *arguments]:
            return _wrong_in_module("control_room", arguments)
        case ["pip", "install", package, *_] if package.startswith("."):
            asked = re.findall(r"\[(.*)\]", package)
            return next((e for each in asked for e in each.split(",") if e not in EXTRAS), None)
        case ["curl", *arguments]:
            return next((w for w in map(wrong_in_address, arguments) if w), None)
    return None


def wrong_in_address(address: str) -> str | None:
    """An endpoint or a parameter that there is not; None: all there, or no address of ours."""
    match = re.search(r"(?:127\.0\.0\.1|localhost):8501(/[^?]*)(?:\?(.*))?$", address)
    if match is None:
        match = re.match(r"(/(?:api|metrics|health|status)\b[^?]*)(?:\?(.*))?$", address)
    if match is None:
        return None
    path, query = match.groups()
    patterns = {re.sub(r"\{\w+\}", "[^/]+", known): known for known in endpoints()}
    known = next((patterns[each] for each in patterns if re.fullmatch(each, path)), None)
    if known is None:
        return path
    asked = {part.partition("=")[0] for part in (query or "").split("&") if part}
    return next(iter(sorted(asked - endpoints()[known])), None)


def exists(place: str) -> bool:
    """Whether a path, or a pattern of paths, from the root leads to a file of the project."""
    if "*" in place:
        return any(path.is_file() for path in ROOT.glob(place))
    return place.rstrip("/") in tracked() or any(
        name.startswith(place.rstrip("/") + "/") for name in tracked()
    )


def packages() -> set[str]:
    """Every folder of Python modules that the product is made of."""
    tops = ("control_room/", "collectors/", "app/", "pages/")
    return {
        str(Path(name).parent)
        for name in tracked()
        if name.startswith(tops) and name.endswith(".py")
    }


def _wrong_in_make(arguments: list[str]) -> str | None:
    for argument in arguments:
        name = argument.partition("=")[0]
        if "=" in argument and name not in VARIABLES:
            return name
        if "=" not in argument and name not in TARGETS:
            return f"make {name}"
    return None


def _wrong_in_module(module: str, arguments: list[str]) -> str | None:
    if module in ("pip", "venv", "pytest", "build", "twine"):
        return None
    place = module.replace(".", "/")
    if not (exists(place + ".py") or exists(place + "/__main__.py")):
        return f"python -m {module}"
    subcommand = arguments[0] if arguments and not arguments[0].startswith("-") else ""
    if module not in commands():
        return None
    if subcommand and subcommand not in commands()[module]:
        return f"python -m {module} {subcommand}"
    given = [argument for argument in arguments if argument.startswith("--")]
    return next((f for f in given if f not in flags(module, subcommand) | {"--help"}), None)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _models_in(inner)
