"""``control-room serve`` and ``check``: flags and settings, then the server or the check."""

from __future__ import annotations

import argparse
import socket
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.settings import (
    CONFIG_VARIABLE,
    ENV_PREFIX,
    FILE_NAME,
    Settings,
    SettingsError,
    load_settings,
    settings_of_runs,
)
from control_room.commands.home import called
from control_room.security.quiet_logs import keep_secrets_out_of_logs


def main(argv: Sequence[str] | None = None) -> int:
    """Parse flags, check the settings, serve until stopped. Returns the exit status."""
    # Intermixed: flags may also stand between the command and the run directory.
    arguments = _parser().parse_intermixed_args(argv)
    keep_secrets_out_of_logs()
    try:
        settings = load_settings(_flags(arguments), config=arguments.config)
        if arguments.command == "check":
            return _check(settings)
        _check_address(settings)
    except SettingsError as error:
        print(f"control room: {error}", file=sys.stderr)
        return 2
    # Imported only now: a wrong setting is answered at once, not after the server is loaded.
    from app.server import serve

    missing = "" if settings.run_dir.exists() else " (which does not exist yet)"
    print(f"Control Room watches {settings.run_dir}{missing}", flush=True)
    print(f"Open http://{settings.host}:{settings.port}  (Ctrl-C stops it)", flush=True)
    serve(settings)
    return 0


def _check(settings: Settings) -> int:
    """Print what trying each source brought; 1 when one of them is to be mended."""
    from app.check import SIGNS, check

    worst = 0
    for finding in check(settings, time.time()):
        print(finding, flush=True)
        worst |= finding.verdict == "wrong"
    nothing = f"{SIGNS['note']} nothing there, or not taken"
    print(f"\n{SIGNS['ok']} works   {nothing}   {SIGNS['wrong']} to be mended")
    return worst


def _parser() -> argparse.ArgumentParser:
    names = "\n".join(
        f"{'*' if of_run else ' '} {name} = {value}" for name, value, of_run in settings_of_runs()
    )
    parser = argparse.ArgumentParser(
        prog=called("", "app"),
        description="Watch a fine-tuning run in the browser.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=(
            f"Every setting may also stand in your own {FILE_NAME} (that of --config or\n"
            f"{CONFIG_VARIABLE}, else that of the working directory over that of\n"
            f"~/.config/control-room) or in the environment ({ENV_PREFIX}PORT,\n"
            f"{ENV_PREFIX}INTERVALS__GPU_S, ...).\n"
            "Flags win over the environment, and the environment over the file. What lies in\n"
            "the run directory is below them all, and sets only what is marked with *.\n\n"
            f"settings and their defaults:\n{names}"
        ),
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=("serve", "check"),
        default="serve",
        help="serve the pages (the default), or try every configured source once and say what "
        "works and what to mend",
    )
    parser.add_argument(
        "directory", nargs="?", metavar="RUN_DIR", help="the run directory, as with --run-dir"
    )
    parser.add_argument("--run-dir", metavar="DIR", help="the run directory to watch")
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        help=f"your own settings, in place of {FILE_NAME} where you stand and in "
        "~/.config/control-room; also one that lies in the run directory",
    )
    parser.add_argument("--host", metavar="ADDRESS", help="the address to serve on")
    parser.add_argument("--port", metavar="PORT", help="the port to serve on")
    parser.add_argument("--log-level", metavar="LEVEL", help="debug, info, warning or error")
    parser.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="any other setting, e.g. --set intervals.gpu_s=5",
    )
    return parser


def _flags(arguments: argparse.Namespace) -> dict[str, Any]:
    flags: dict[str, Any] = {
        name: value
        for name in ("run_dir", "host", "port", "log_level")
        if (value := getattr(arguments, name)) is not None
    }
    positional = arguments.directory
    if positional is not None and flags.setdefault("run_dir", positional) != positional:
        raise SettingsError("RUN_DIR and --run-dir name two directories: give one of them")
    for assignment in arguments.set:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise SettingsError("--set: expected NAME=VALUE")
        table = flags
        *tables, last = name.split(".")
        for part in tables:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                raise SettingsError(f"--set {name}: {part} has no settings of its own")
        table[last] = _toml_value(value)
    return flags


def _toml_value(text: str) -> object:
    """``5``, ``true`` and ``[0, 50]`` as in the file; anything else is the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _check_address(settings: Settings) -> None:
    """Raise :class:`SettingsError` when nothing can be served there, before anything is loaded."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise SettingsError(
                f"port = {settings.port} on {settings.host} cannot be used: {error.strerror}. "
                f"Choose another with --port or {ENV_PREFIX}PORT."
            ) from None
