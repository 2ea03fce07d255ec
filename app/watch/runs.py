"""The runs that can be looked at: the one that is served, and those that the settings name."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from glob import escape, glob
from pathlib import Path

from app.watch.monitor import Monitor
from app.watch.run_table import RunTable
from control_room.recording.encoding import is_text
from control_room.recording.safe_repr import printable

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 5.0
_IDLE_S = 900.0  # a run that nobody has looked at for so long is let go
_MARKS = ("status", "logs")  # a directory with one of these is a run


class Runs:
    """Finds run directories, and starts a Monitor for one when somebody wants to see it.

    ``main`` is the run that the server was started for; its machines serve for all of them.
    ``table`` tells how far each run is, without a Monitor of its own.
    """

    def __init__(self, main: Monitor, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.main = main
        self.table = RunTable(self.directories, main.settings.run.follow_links)
        self._clock = clock
        self._lock = threading.Lock()
        self._others: dict[str, tuple[Monitor, float]] = {}  # and when it was last asked for
        self._found: dict[str, Path] = {}
        self._looked_at = float("-inf")

    def directories(self) -> Mapping[str, Path]:
        """Every run's directory by its name, the main one first; looked up every few seconds."""
        with self._lock:
            now = self._clock()
            if now - self._looked_at >= _LOOK_EVERY_S:
                self._looked_at = now
                self._found = _named(self.main.settings.run_dir, self.main.settings.runs)
                self._let_go(now)
            return self._found

    def monitor(self, name: str | None) -> Monitor:
        """The Monitor of the run with this name; the main one for None or a name there is not.

        A run whose directory goes away is shown as it was until nobody looks at it any more.
        """
        path = self.directories().get(name or "")
        if name is None or path == self.main.settings.run_dir:
            return self.main
        with self._lock:
            started, _ = self._others.get(name, (None, 0.0))
            if started is None:
                if path is None:
                    return self.main
                settings = self.main.settings.model_copy(update={"run_dir": path})
                started = Monitor(settings, machines_of=self.main)
                started.start()
            self._others[name] = (started, self._clock())
            return started

    def close(self) -> None:
        """Stop what was started here; the main Monitor is its owner's."""
        self.table.close()
        with self._lock:
            for started, _ in self._others.values():
                started.stop()
            self._others.clear()

    def _let_go(self, now: float) -> None:
        for name, (started, asked_at) in list(self._others.items()):
            if now - asked_at > _IDLE_S:
                log.info("run %s: nobody looks at it any more", name)
                started.stop()
                del self._others[name]


def _named(main: Path, patterns: tuple[str, ...]) -> dict[str, Path]:
    """Directories by name; those that share one are told apart by where they lie."""
    # os.path never raises, whatever is in the way: a link to itself, a directory that is shut.
    matches = {
        Path(os.path.realpath(each))
        for pattern in patterns
        for each in _found(str(Path(pattern).expanduser()))
    }
    others = sorted(
        each
        for each in matches - {main}
        if any(os.path.isdir(each / mark) for mark in _MARKS) and _can_be_told(each)  # noqa: PTH112
    )
    found: dict[str, Path] = {}
    shared = Counter(printable(each.name) for each in (main, *others))
    for each in (main, *others):
        name = printable(each.name)
        if shared[name] > 1:
            name = printable(f"{each.parent.name}/{each.name}")
        found[printable(str(each)) if name in found else name] = each
    return found


@cache  # said once
def _can_be_told(directory: Path) -> bool:
    """Whether its name is text, as all that goes to a browser has to be."""
    if is_text(directory):
        return True
    log.warning("%s is not shown: its name is no UTF-8", printable(str(directory)))
    return False


def _found(pattern: str) -> Iterator[str]:
    """What is called so, as :func:`glob.glob` finds it; ``**`` leads through no link.

    Two links in a run that lead back to it are more ways through it than can ever be gone.
    """
    before, several, after = f"{pattern}/".partition("/**/")
    if not several:
        yield from glob(pattern)  # noqa: PTH207  # absolute patterns
        return
    for top in glob(before or "/"):  # noqa: PTH207
        yield from _found(os.path.join(escape(top), after).rstrip("/"))  # noqa: PTH118
        for place, names, _ in os.walk(top):
            names[:] = (name for name in names if not name.startswith("."))
            for name in names:
                within = os.path.join(escape(place), escape(name), after)  # noqa: PTH118
                yield from _found(within.rstrip("/"))
