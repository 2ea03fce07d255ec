"""Turns for those who ask what takes long.

An answer may be megabytes, made of many times as much; as many at once as there are threads would
take gigabytes, and the time of the status views and the pages.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from fastapi import Depends, Request

MOST_AT_ONCE: Final = 2


def new_turns() -> asyncio.Semaphore:
    """For ``state.turns`` of an API: so many of its routes answer at a time."""
    return asyncio.Semaphore(MOST_AT_ONCE)


async def _turn(request: Request) -> AsyncIterator[None]:
    turns: asyncio.Semaphore = request.app.state.turns
    async with turns:
        yield


# Of a route: who asks waits, without a thread, until it is their turn. Whoever reads their answer
# slowly holds up nobody: it is all made by then.
IN_TURN: Final = [Depends(_turn, scope="function")]
