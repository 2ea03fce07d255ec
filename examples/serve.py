"""``python -m examples.serve``: the demo's checkpoints as models behind an API like OpenAI's.

It stands for the inference server on a second machine: the preview runner asks it.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
import zipfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
_MAX_TOKENS = 72
_KEPT_MODELS = 3


def create_app(run_dir: Path) -> Any:
    """The server as an ASGI application over a run's checkpoints."""
    # Only now, as NumPy reads the environment when it is loaded.
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    from control_room import RunDir

    checkpoints = RunDir(run_dir).checkpoints
    model = ServedModel(checkpoints)

    async def models(_: Request) -> Response:
        names = sorted(path.stem for path in checkpoints.glob("checkpoint-*.npz"))
        return JSONResponse({"object": "list", "data": [{"id": name} for name in names]})

    async def chat(request: Request) -> Response:
        try:
            body = await request.json()
            question = str(body["messages"][-1]["content"])
            name, limit = str(body["model"]), int(body.get("max_tokens", _MAX_TOKENS))
            temperature = float(body.get("temperature", 0.0))
        except (ValueError, KeyError, IndexError, TypeError):
            return JSONResponse({"error": "expected model and messages"}, 400)
        try:
            answer = await run_in_threadpool(model.answer, name, question, limit, temperature)
            return JSONResponse(answer)
        except UnknownModel as error:
            return JSONResponse({"error": str(error)}, 404)

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/v1/models", models),
            Route("/v1/chat/completions", chat, methods=["POST"]),
        ]
    )


class UnknownModel(LookupError):
    """There is no such checkpoint (any more)."""


class ServedModel:
    """Answers one question at a time with the weights of the checkpoint that is named."""

    def __init__(self, checkpoints: Path) -> None:
        from examples.model import ModelConfig
        from examples.tokens import Tokenizer

        self._checkpoints = checkpoints
        self._tokenizer = Tokenizer()
        self._config = ModelConfig(vocab_size=len(self._tokenizer))
        self._lock = threading.Lock()
        self._weights = lru_cache(_KEPT_MODELS)(self._load)

    def answer(
        self, name: str, question: str, max_tokens: int, temperature: float = 0.0
    ) -> dict[str, Any]:
        """A chat completion. Raises :class:`UnknownModel`."""
        from examples.model import generate, make_batch

        tokens = self._tokenizer
        prompt = tokens.encode(question)
        with self._lock:
            batch = make_batch(
                [prompt], [], pad_id=tokens.pad_id, answer_id=tokens.answer_id, end_id=tokens.end_id
            )
            (found,) = generate(
                self._weights(name),
                self._config,
                batch,
                end_id=tokens.end_id,
                max_tokens=min(max_tokens, _MAX_TOKENS),
                temperature=temperature,
            )
        content = [{"logprob": round(value, 4)} for value in found.log_probs]
        return {
            "object": "chat.completion",
            "created": int(time.time()),
            "model": name,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": tokens.decode(found.ids)},
                    "finish_reason": "length" if found.hit_token_limit else "stop",
                    "logprobs": {"content": content},
                }
            ],
            "usage": {
                "prompt_tokens": len(prompt),
                "completion_tokens": len(found.ids),
                "total_tokens": len(prompt) + len(found.ids),
            },
        }

    def _load(self, name: str) -> Any:
        from examples.checkpoints import load_params
        from examples.model import init_params

        params = init_params(self._config, 0)
        if "/" in name or not name.startswith("checkpoint-"):
            raise UnknownModel(f"there is no model {name!r}")
        try:
            load_params(self._checkpoints / f"{name}.npz", params)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise UnknownModel(f"{name} cannot be loaded: {error}") from None
        return params


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(prog="python -m examples.serve", description=__doc__)
    parser.add_argument("--run-dir", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args(arguments)
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.nice(10)
    import uvicorn

    uvicorn.run(create_app(options.run_dir), host=HOST, port=options.port, log_level="warning")


if __name__ == "__main__":
    main()
