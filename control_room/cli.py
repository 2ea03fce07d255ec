"""``control-room``: every command of the command line, declared once.

A command's own module has its arguments; only that of the command that runs is imported.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from types import MappingProxyType
from typing import Final

from control_room.commands.ending import ended
from control_room.commands.home import start

Run = Callable[[Sequence[str], str], int]


@dataclass(frozen=True, slots=True)
class Command:
    """What it takes, what it does in a line, and what runs it: with its arguments and its name."""

    takes: str
    summary: str
    run: Run


def main(argv: Sequence[str] | None = None, *, prog: str = "control-room") -> int:
    """Run the command that the arguments name. Returns the exit status."""
    return ended(partial(_run, sys.argv[1:] if argv is None else argv, prog))


def _run(arguments: Sequence[str], prog: str) -> int:
    if not arguments:
        print(f"{prog}: name a command; {prog} --help lists them.", file=sys.stderr)
        return 2
    name, *rest = arguments
    if name in ("-h", "--help"):
        print(_help(prog))
        return 0
    command = COMMANDS.get("version" if name == "--version" else name)
    if command is None:
        nearest = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"Did you mean {nearest[0]}?" if nearest else f"{prog} --help lists them."
        print(f"{prog}: there is no command {name}. {hint}", file=sys.stderr)
        return 2
    return command.run(rest, f"{prog} {name}")


def _help(prog: str) -> str:
    lines = [f"usage: {prog} COMMAND ...", "", "Record a fine-tuning run, and watch it.", ""]
    for name, command in COMMANDS.items():
        lines.append(f"  {f'{name} {command.takes}':<22} {command.summary}")
    return "\n".join([*lines, "", f"{prog} COMMAND --help tells what it takes."])


def _main_of(module: str) -> Run:
    """The ``main`` of a module, which is imported only now."""

    def run(arguments: Sequence[str], prog: str) -> int:
        status: int = import_module(module).main(arguments, prog=prog)
        return status

    return run


def _process_of(module: str, *first: str) -> Run:
    """A process of the app's or the demo's, in the place of this one."""
    return lambda arguments, _: start(module, [*first, *arguments])


def _version(arguments: Sequence[str], prog: str) -> int:
    from control_room import __version__

    print(f"control-room {__version__}")
    return 0


COMMANDS: Final[Mapping[str, Command]] = MappingProxyType(
    {
        "serve": Command(
            "[RUN_DIR]", "watch a run in the browser, until Ctrl-C", _process_of("app", "serve")
        ),
        "demo": Command(
            "", "train a small model here and watch it learn", _process_of("examples.demo")
        ),
        "check": Command(
            "[RUN_DIR]",
            "try every configured source once, and say what to mend",
            _process_of("app", "check"),
        ),
        "import": Command(
            "FILE ...",
            "take another system's previews and metrics into a run's logs",
            _main_of("control_room.commands.import_files"),
        ),
        "score": Command(
            "FILE",
            "score a preview log anew, without asking the model again",
            _main_of("control_room.commands.score"),
        ),
        "retain": Command(
            "",
            "compress old days of a run's logs, and delete the oldest",
            _main_of("control_room.commands.retain"),
        ),
        "previews": Command(
            "",
            "ask the model behind each checkpoint, and log its answers",
            _main_of("control_room.previews.__main__"),
        ),
        "version": Command("", "print the version", _version),
    }
)
