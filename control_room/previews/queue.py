"""The queue of rounds: Huey's, on SQLite in the run's cache or on Redis, of JSON alone.

Both may be written by others. Huey's own messages are pickled, and would run what they hold.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from pathlib import Path
from typing import Any

from huey import Huey, PriorityRedisHuey
from huey.registry import Message
from huey.serializer import Serializer
from huey.storage import SqliteStorage

from control_room.security.sqlite_schema import has_only

log = logging.getLogger(__name__)

_LONGEST = 10_000  # characters of a message


class NotAMessage(ValueError):
    """What stands in the queue is no round of this program's."""


class JsonSerializer(Serializer):  # type: ignore[misc]  # Huey has no types
    """A round's arguments, or when one was taken, as JSON."""

    def _serialize(self, data: Any) -> bytes:
        if isinstance(data, Message):
            told: object = {
                "id": data.id,
                "name": data.name,
                "priority": data.priority,
                "args": list(data.args),
            }
        else:
            told = float(data)
        return json.dumps(told).encode()

    def _deserialize(self, data: Any) -> Any:
        if not isinstance(data, bytes | bytearray | memoryview) or len(data) > _LONGEST:
            raise NotAMessage("no text of a round's")
        try:
            told = json.loads(bytes(data))
        except (ValueError, RecursionError):
            raise NotAMessage("no JSON") from None
        if isinstance(told, float):
            return told
        match told:
            case {
                "id": str(ident),
                "name": str(name),
                "priority": int() | None as priority,
                "args": [str(), str(), str(), int()] as args,
            }:
                return Message(ident, name, priority=priority, args=tuple(args), kwargs={})
        raise NotAMessage("no round")


class _NeverRevoked:
    """Rounds are not revoked: what stands in the queue about that is not looked at."""

    def is_revoked(self, task: Any, timestamp: Any = None, peek: bool = True) -> bool:
        return False


class _SqliteQueue(_NeverRevoked, Huey):  # type: ignore[misc]  # as above
    storage_class = SqliteStorage


class _RedisQueue(_NeverRevoked, PriorityRedisHuey):  # type: ignore[misc]  # as above
    pass


def sqlite_queue(name: str, file: Path) -> Huey:
    """The queue in ``file``; one that is no queue of Huey's is begun anew."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        kept = has_only(file, SqliteStorage.ddl)
    except sqlite3.OperationalError:
        kept = True  # in use: whoever has it made it
    if not kept:
        log.warning("%s is no queue of rounds, and is begun anew", file)
        for suffix in ("", "-wal", "-shm"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
    return _SqliteQueue(name, serializer=JsonSerializer(), filename=str(file), results=False)


def redis_queue(name: str, url: str) -> Huey:
    """The queue on a Redis, that several machines share."""
    return _RedisQueue(name, serializer=JsonSerializer(), url=url, results=False)
