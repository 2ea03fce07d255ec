"""Answers that are streamed, of which nobody takes a part for the whole."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator, Iterator, Mapping

from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Send

log = logging.getLogger(__name__)

# A client that takes nothing for so long is gone; until then it holds a snapshot of the history.
TAKEN_WITHIN_S = 60.0
_SENT_BYTES = 2**18  # at once, so that a client that reads slowly has little waiting for it


class BrokenOff(RuntimeError):
    """An answer that ends before its end: the server then closes the connection in the middle."""


class Download(StreamingResponse):
    """Chunks made in threads, sent as they are taken.

    One that fails breaks the connection off: without its last chunk no client takes the answer for
    whole. The log says why.
    """

    def __init__(
        self,
        chunks: Iterator[bytes],
        *,
        what: str,
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(chunks, media_type=media_type, headers=headers)
        self._chunks = chunks
        self._what = what

    async def stream_response(self, send: Send) -> None:
        """Send it all, or raise :class:`BrokenOff`."""
        try:
            await self._send_all(send)
        except asyncio.CancelledError:
            log.info("%s was given up by the client.", self._what)
            raise
        except TimeoutError:
            log.warning(
                "%s broke off: the client took nothing for %g s.", self._what, TAKEN_WITHIN_S
            )
            raise BrokenOff(self._what) from None
        except Exception as error:
            # Whatever it is, it must not end as if all had been sent.
            log.error("%s broke off: %s", self._what, error)
            raise BrokenOff(self._what) from error
        finally:
            if isinstance(self._chunks, Generator):
                # In a thread, as it ends what it began in the database.
                await run_in_threadpool(self._chunks.close)

    async def _send_all(self, send: Send) -> None:
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        async for chunk in self.body_iterator:
            data = memoryview(chunk.encode() if isinstance(chunk, str) else chunk)
            for place in range(0, len(data), _SENT_BYTES):
                piece = bytes(data[place : place + _SENT_BYTES])
                message = {"type": "http.response.body", "body": piece, "more_body": True}
                await asyncio.wait_for(send(message), TAKEN_WITHIN_S)
        await send({"type": "http.response.body", "body": b"", "more_body": False})
