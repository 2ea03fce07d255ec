"""Which settings files there are, and whose they are: the user's own, or the run's.

A run directory is data: downloaded, shared, written by containers. What lies in it is the run's
whoever stands there, and may only set what is declared so (:mod:`control_room.settings.layers`).
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from control_room.error_words import words_for
from control_room.rundir import LOG_KINDS, RunDir
from control_room.security.inside import Inside

# Of a run's file: where its parser's time and depth stay bounded whatever stands there.
_MOST_BYTES = 64 * 1024
_MOST_DOTS = 100  # in a line: a key's parts cost the square of their number
# Whoever writes there has their code run already: that directory's file is no stranger's.
_HOME_OF_THE_CODE = Path(__file__).resolve().parents[2]


class UnreadableSettings(ValueError):
    """A settings file cannot be read. The message says why."""


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """A file and its table."""

    path: Path
    table: Mapping[str, Any]


def user_config_dir() -> Path | None:
    """``$XDG_CONFIG_HOME/control-room``, else ``~/.config/control-room``; None: there is no home.

    A relative ``$XDG_CONFIG_HOME`` counts for nothing, as its specification says.
    """
    told = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    try:
        return (told if told.is_absolute() else Path.home() / ".config") / "control-room"
    except RuntimeError:
        return None


def own_files(
    name: str,
    config: Path | str | None,
    working_dir: Path,
    run_dir_of: Callable[[Sequence[SettingsFile]], Path | None],
) -> tuple[list[SettingsFile], list[Path]]:
    """The user's own files of this name, the strongest first, and those that are none.

    ``config`` is the only one where it is given; else there is that of the working directory, and
    that of the user's configuration directory. One that lies in the run directory is not the
    user's; ``run_dir_of`` tells it from the files, None where that is left to the working
    directory. Raises :class:`UnreadableSettings`.
    """
    if config is not None:
        file = working_dir / Path(config).expanduser()
        if not file.exists():
            raise UnreadableSettings(f"{file}, which --config names, is missing")
        return [_read_own(file)], []  # which may be a pipe: it is asked for by its name
    home = user_config_dir()
    places = [working_dir / name, *([] if home is None else [home / name])]
    run_dir = run_dir_of([])
    strangers = [
        place
        for place in places
        if os.path.lexists(place)
        and (lies_in_a_run(place) or (run_dir is not None and lies_in(place, run_dir)))
    ]
    while True:
        own = [_read_own(place, any_kind=False) for place in places if place not in strangers]
        run_dir = run_dir_of(own) or working_dir
        # One of them may be what names the run directory, and then lie in it.
        more = [file.path for file in own if file.table and lies_in(file.path, run_dir)]
        if not more:
            return own, strangers
        strangers += more


def _read_own(path: Path, *, any_kind: bool = True) -> SettingsFile:
    """No table where there is no file."""
    try:
        if not any_kind and path.exists() and not path.is_file():
            raise OSError("it is no regular file")
        return SettingsFile(path, tomllib.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return SettingsFile(path, {})
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableSettings(
            f"{path} cannot be read: {_said(error)}. Mend it, or move it away to use the defaults."
        ) from None


def read_of_run(path: Path) -> SettingsFile:
    """A run's file; no table where there is none.

    Raises :class:`UnreadableSettings` with the reason alone, also for what is no regular file, is
    reached through a link that leaves its directory, or is larger than settings are.
    """
    try:
        with Inside(path.parent).open(path) as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES // 1024} KiB")
        if any(line.count(b".") > _MOST_DOTS for line in content.splitlines()):
            raise ValueError(f"a line has more than {_MOST_DOTS} dots")
        return SettingsFile(path, tomllib.loads(content.decode("utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        return SettingsFile(path, {})
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableSettings(_said(error)) from None


def is_run(directory: Path) -> bool:
    """Whether there is a status or a log as trainers write them."""
    try:
        return _has_what_runs_have(directory)
    except OSError:  # not even to be looked at
        return True


def _has_what_runs_have(directory: Path) -> bool:
    run = RunDir(directory)
    places = (run.status_file, run.inference_logs, *map(run.logs, LOG_KINDS))
    return any(place.exists() for place in places)


def lies_in(file: Path, run: Path) -> bool:
    """Whether a settings file, or what it is a link to, lies in the run directory.

    The directory that holds the program itself is excepted, where it is a run directory, too: as
    that of a fresh clone is until one is named.
    """
    return any(place.is_relative_to(_real(run)) for place in _places(file))


def lies_in_a_run(file: Path) -> bool:
    """Whether it lies in the directory of any run, however deep, with that exception.

    What lies below the user's home is in no run for what the home itself holds.
    """
    ends = {_HOME_OF_THE_CODE, _home()}
    for place in _places(file):
        if is_run(place):
            return True
        for above in () if place in ends else place.parents:
            if above in ends:
                break
            with suppress(OSError):
                if _has_what_runs_have(above):
                    return True
    return False


def _home() -> Path | None:
    try:
        return _real(Path.home())
    except RuntimeError:  # there is none
        return None


def _places(file: Path) -> set[Path]:
    return {_real(file.parent), _real(file).parent} - {_HOME_OF_THE_CODE}


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))  # Path.resolve() raises where links go in a circle


def _said(error: Exception) -> str:
    """Quoting nothing of the file."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if type(error) is ValueError:
        return str(error)  # from here
    where = re.search(r"\(at (line \d+, column \d+|end of document)\)", str(error))
    return words_for(error) + (f" at {where[1]}" if where else "")
