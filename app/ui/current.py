"""The runs that this process watches, for the scripts that Streamlit runs.

Streamlit runs a page by its path and hands it nothing, so the server leaves the Monitor here when
it starts and takes it away when it stops. Nothing else in the project is kept this way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import streamlit as st

from app.watch.monitor import Monitor
from app.watch.runs import Runs

RUN = "run"  # in the address

_slot: Final[list[Runs]] = []


class NotServing(RuntimeError):
    """A page was run outside the server."""


@contextmanager
def serving(monitor: Monitor, runs: Runs | None = None) -> Iterator[None]:
    """Make ``monitor`` the one that pages see, for the length of the block; ``runs`` are its."""
    served = Runs(monitor) if runs is None else runs
    _slot.append(served)
    try:
        yield
    finally:
        _slot.remove(served)
        served.close()


def runs() -> Runs:
    """The runs that this process serves. Raises :class:`NotServing` when there are none."""
    if not _slot:
        raise NotServing("No Monitor is running. Start the app with `python -m app`.")
    return _slot[-1]


def is_in_api() -> bool:
    """Whether the API has the run that the page is about: it has the main one alone."""
    return monitor() is runs().main


def monitor() -> Monitor:
    """The Monitor of the run that the page's address names, else of the main one.

    Raises :class:`NotServing` when there is none.
    """
    return runs().monitor(st.query_params.get(RUN))
