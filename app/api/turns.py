"""Turns for those who ask what takes long.

An answer may be megabytes, made of many times as much; as many at once as there are threads would
take gigabytes, and the time of the status views and the pages.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final
from weakref import WeakKeyDictionary

from fastapi import Depends

MOST_AT_ONCE: Final = 2

# A semaphore belongs to an event loop: one each, should there be several servers in a process.
_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


async def _turn() -> AsyncIterator[None]:
    turns = _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(MOST_AT_ONCE))
    async with turns:
        yield


# Of a route: who asks waits, without a thread, until it is their turn. Whoever reads their answer
# slowly holds up nobody: it is all made by then.
IN_TURN: Final = [Depends(_turn, scope="function")]
