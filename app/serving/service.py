"""Tells the service manager (systemd) how the app is: sd_notify, with the standard library.

READY=1 once requests are taken, WATCHDOG=1 while the app itself does not hang, STOPPING=1 at the
end. Where no service manager asks for it (``NOTIFY_SOCKET``), nothing is done. Nothing here waits.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.05  # whether the socket listens
_STATUS_EVERY_S = 10.0  # where there is no watchdog


@dataclass(frozen=True, slots=True)
class Condition:
    """Why the app is not well, nothing when it is; and whether a new start may help."""

    reasons: Sequence[str]
    is_stuck: bool


@dataclass(frozen=True, slots=True)
class ServiceManager:
    """Where it listens, and how often it wants to hear of us."""

    address: str | bytes
    watchdog_s: float | None = None

    def tell(self, *lines: str) -> bool:
        """Send one message; False when nobody took it."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(lines).encode(), self.address)
        except OSError as error:
            log.debug("the service manager did not take %s: %s", lines[0], error)
            return False
        return True


def service_manager(environ: Mapping[str, str] = os.environ) -> ServiceManager | None:
    """The one that started this process, as its environment tells; None when there is none."""
    told = environ.get("NOTIFY_SOCKET", "")
    if told[:1] not in ("/", "@"):
        return None
    # An abstract name begins with a zero byte, which no environment can hold.
    address: str | bytes = b"\0" + os.fsencode(told[1:]) if told.startswith("@") else told
    return ServiceManager(address, _watchdog_s(environ))


@asynccontextmanager
async def told_of(look: Callable[[], Condition]) -> AsyncIterator[None]:
    """Keep the service manager told of what ``look`` finds, for the length of the block.

    The watchdog is fed from the event loop, so that one that is blocked is found out as well.
    """
    manager = service_manager()
    if manager is None:
        yield
        return
    telling = asyncio.create_task(_keep_told(manager, look))
    try:
        yield
    finally:
        telling.cancel()
        manager.tell("STOPPING=1", "STATUS=Stopping")


async def _keep_told(manager: ServiceManager, look: Callable[[], Condition]) -> None:
    while not _listening():
        await asyncio.sleep(_LOOK_EVERY_S)
    manager.tell("READY=1")
    while True:
        found = look()
        failing = f"STATUS=Failing: {'; '.join(found.reasons)}"
        status = failing if found.reasons else "STATUS=Watching"
        fed = [] if manager.watchdog_s is None or found.is_stuck else ["WATCHDOG=1"]
        manager.tell(*fed, status)
        # Twice in its time, as systemd asks for.
        await asyncio.sleep((manager.watchdog_s or 2 * _STATUS_EVERY_S) / 2)


def _listening() -> bool:
    try:
        own = psutil.Process().net_connections(kind="tcp")
    except (psutil.Error, OSError) as error:
        log.debug("the listening socket cannot be looked up: %s", error)
        return True
    return any(connection.status == psutil.CONN_LISTEN for connection in own)


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """Seconds between two signs of life; None when none are wanted of this process."""
    told, whose = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if whose not in ("", str(os.getpid())) or not told.isdecimal() or int(told) == 0:
        return None
    return int(told) / 1e6
