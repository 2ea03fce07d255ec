"""A cursor that tells somebody of every error it meets, whoever asks with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from control_room.extra import load_extra

if TYPE_CHECKING:
    import duckdb

Failed = Callable[[Exception], None]


def guarded(cursor: duckdb.DuckDBPyConnection, failed: Failed) -> duckdb.DuckDBPyConnection:
    """``cursor``, whose errors go to ``failed`` first, and are raised unless that raises its own.

    So do those of the relations that it makes, which are read later.
    """
    return cast("duckdb.DuckDBPyConnection", _Guarded(cursor, failed))


def is_closed(error: Exception) -> bool:
    """Whether the connection was closed under the one who asks."""
    return isinstance(error, load_extra("duckdb").ConnectionException)


class _Guarded:
    """Hands everything on to ``target``, a connection or a relation."""

    def __init__(self, target: Any, failed: Failed) -> None:
        self._target = target
        self._failed = failed

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found
        duckdb = load_extra("duckdb")

        def call(*arguments: Any, **named: Any) -> Any:
            try:
                result = found(*arguments, **named)
            except duckdb.Error as error:
                self._failed(error)
                raise
            if result is self._target:
                return self
            if isinstance(result, duckdb.DuckDBPyConnection | duckdb.DuckDBPyRelation):
                return _Guarded(result, self._failed)
            return result

        return call
