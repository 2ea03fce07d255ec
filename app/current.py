"""The Monitor of this process, for the scripts that Streamlit runs.

Streamlit runs a page by its path and hands it nothing, so the server leaves the Monitor here when
it starts and takes it away when it stops. Nothing else in the project is kept this way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from app.monitor import Monitor

_slot: Final[list[Monitor]] = []


class NotServing(RuntimeError):
    """A page was run outside the server."""


@contextmanager
def serving(monitor: Monitor) -> Iterator[None]:
    """Make ``monitor`` the one that pages see, for the length of the block."""
    _slot.append(monitor)
    try:
        yield
    finally:
        _slot.remove(monitor)


def monitor() -> Monitor:
    """The Monitor that this process serves. Raises :class:`NotServing` when there is none."""
    if not _slot:
        raise NotServing("No Monitor is running. Start the app with `python -m app`.")
    return _slot[-1]
