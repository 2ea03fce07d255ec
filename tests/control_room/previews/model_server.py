"""A real HTTP server with OpenAI's API whose answers a test decides, broken ones included.

Run as ``python -m tests.control_room.previews.model_server PORT DELAY_MS SLOTS`` it answers every
question with "4" after the delay, as many at a time as it has slots, and counts in ``/asked``.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

Answering = Callable[[dict[str, Any]], Awaitable[Response] | Response]


def completion(text: str, *, model: str = "", finish: str = "stop", **more: Any) -> JSONResponse:
    """A good answer of either API."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "text": text,
        "finish_reason": finish,
        **more,
    }
    usage = {"prompt_tokens": 5, "completion_tokens": len(text.split()), "total_tokens": 9}
    return JSONResponse({"id": "1", "model": model, "choices": [choice], "usage": usage})


def good(body: dict[str, Any]) -> Response:
    """Says "4" to everything."""
    return completion("4", model=body["model"])


@dataclass
class ModelServer:
    """Serves on a free port of loopback for the length of the block."""

    answer: Answering = good
    slots: int | None = None
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    active_model: str | None = None
    loads: bool = True  # whether set_active does what it says
    models: set[str] | None = None  # paths that the daemon trainer's server can load; None: not it
    pool: set[str] = field(default_factory=set)  # what it has loaded
    registered: set[str] = field(default_factory=set)
    port: int = 0
    keep: bool = True  # bodies and headers

    def __enter__(self) -> ModelServer:
        config = uvicorn.Config(
            self.app(),
            host="127.0.0.1",
            port=self.port,
            log_level="error",
            access_log=False,
            lifespan="off",
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            threading.Event().wait(0.01)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def app(self) -> Starlette:
        """The server as an ASGI application."""
        slots = asyncio.Semaphore(self.slots or 10_000)

        async def complete(request: Request) -> Response:
            body = await request.json()
            if self.keep:
                self.bodies.append(body)
                self.headers.append(dict(request.headers))
            self.asked[json.dumps(body.get("messages", body.get("prompt")))] += 1
            if self.models is not None and body["model"] not in self.pool:
                return _refused(400, f"Model '{body['model']}' not loaded. Available: []. Use ...")
            async with slots:
                answer = self.answer(body)
                return answer if isinstance(answer, Response) else await answer

        async def load(request: Request) -> Response:
            if self.loads:
                self.active_model = (await request.json()).get("id", "reloaded")
            return JSONResponse({"status": "ok"})

        async def reload(request: Request) -> Response:
            path = (await request.json()).get("model_path")
            if not isinstance(path, str):
                return _refused(422, "Field required: model_path")
            if path not in (self.models or ()):
                return _refused(404, f"Model path not found: {path}")
            self.pool.add(PurePosixPath(path).name)
            return JSONResponse({"status": "reloaded", "model_id": PurePosixPath(path).name})

        async def register(request: Request) -> Response:
            name = (await request.json())["id"]
            if name in self.registered:
                return _refused(400, f"Model {name} already registered")
            self.registered.add(name)
            return JSONResponse({"status": "registered", "id": name})

        async def pool_load(request: Request) -> Response:
            name = request.query_params["model_id"]
            path = request.query_params.get("path", f"/models/{name}")
            if name not in self.registered or path not in (self.models or ()):
                return _refused(400, f"Failed to load model: {name}")
            self.pool.add(name)
            return JSONResponse({"status": "loaded", "model_id": name})

        async def health(_: Request) -> Response:
            return JSONResponse({"status": "ok", "active_model": self.active_model})

        async def count(_: Request) -> Response:
            return JSONResponse(self.asked)

        return Starlette(
            routes=[
                Route("/v1/chat/completions", complete, methods=["POST"]),
                Route("/v1/completions", complete, methods=["POST"]),
                Route("/models/set_active", load, methods=["POST"]),
                Route("/models/reload", reload, methods=["POST"]),
                Route("/models/register", register, methods=["POST"]),
                Route("/models/pool/load", pool_load, methods=["POST"]),
                Route("/health", health),
                Route("/asked", count),
            ]
        )


def _refused(status: int, detail: str) -> Response:
    return JSONResponse({"detail": detail}, status)


def main() -> None:
    """Serve until killed."""
    port, delay_ms, slots = (int(argument) for argument in sys.argv[1:4])

    async def slowly(body: dict[str, Any]) -> Response:
        await asyncio.sleep(delay_ms / 1000)
        return completion("4", model=body["model"])

    server = ModelServer(answer=slowly, slots=slots, keep=False)
    uvicorn.run(server.app(), host="127.0.0.1", port=port, log_level="error", access_log=False)


if __name__ == "__main__":
    main()
