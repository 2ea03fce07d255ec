"""The FastAPI application: its routes, its documentation, and what it asks of every request."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Final, TypeAlias

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline

from app.api.docs_page import DOCS_STATIC, docs_page
from app.api.old_status import old_status_routes
from app.api.turns import new_turns
from app.watch.monitor import Monitor
from app.watch.run_history import HistoryFailed, HistoryNotReady
from app.watch.runs import Runs

AddRoutes: TypeAlias = Callable[[APIRouter, Monitor], None]

# Everything else on the port belongs to the pages.
PATHS: Final = ("/api", "/api/{path:path}", "/health", "/metrics", "/status/{path:path}")

_ABOUT = """\
What the pages show, for scripts and dashboards. Times carry their zone, `_gb` is GiB, and what is
not known, or is no finite number, is `null`. Of several runs the API has the one that the app was
started for; `/api/runs` lists all of them, and `/api/compare` takes any two. Fields marked
deprecated are kept for the daemon trainer's pages.
"""


def create_api(monitor: Monitor, runs: Runs | None = None) -> FastAPI:
    """The API over a Monitor; it answers on :data:`PATHS`.

    ``runs`` are those that the pages share; their owner closes them.
    """
    # The usual documentation page loads its scripts from elsewhere; this one brings them along.
    api = FastAPIOffline(
        title="Control Room",
        version="1",
        description=_ABOUT,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        static_url=DOCS_STATIC,
    )
    api.state.runs = Runs(monitor) if runs is None else runs
    api.state.turns = new_turns()
    docs_page(api)
    api.add_exception_handler(HistoryNotReady, _history_error(503))
    api.add_exception_handler(HistoryFailed, _history_error(500))
    check = _Parameters(api)
    router = APIRouter(dependencies=[Depends(check)])
    for add_routes in _found_routes():
        add_routes(router, monitor)
    api.include_router(router)
    unchecked = APIRouter()
    old_status_routes(unchecked, monitor)
    api.include_router(unchecked)
    if origins := monitor.settings.api.allowed_origins:
        _let_read(api, origins)
    return api


def _found_routes() -> Iterator[AddRoutes]:
    """``routes(router, monitor)`` of each module beside this one, in the order of their names."""
    for found in iter_modules([str(Path(__file__).parent)]):
        module = import_module(f"{__package__}.{found.name}")
        if add_routes := getattr(module, "routes", None):
            yield add_routes


def _history_error(status: int) -> Callable[[Request, Exception], JSONResponse]:
    def answer(request: Request, error: Exception) -> JSONResponse:
        headers = {"Retry-After": "1"} if status == 503 else None
        return JSONResponse({"detail": str(error)}, status, headers=headers)

    return answer


def _let_read(api: FastAPI, origins: Collection[str]) -> None:
    """Let pages of these origins read the answers; what they send needs no permission."""
    api.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET"],
        allow_headers=["Cache-Control", "If-None-Match", "Pragma"],
        expose_headers=["ETag"],
        # Browsers ask for this when the page comes from a public address and the app is at home.
        allow_private_network=True,
    )


def _refused(kind: str, name: str, message: str) -> RequestValidationError:
    """In the shape of every other 422."""
    error = {"type": kind, "loc": ("query", name), "msg": message, "input": name}
    return RequestValidationError([error])


class _Parameters:
    """Refuses query parameters that a route does not have, and those given twice."""

    def __init__(self, api: FastAPI) -> None:
        self._api = api
        self._known = cache(self._read_known)

    async def __call__(self, request: Request) -> None:
        """Raises 422 naming the parameter."""
        given = [name for name, _ in request.query_params.multi_items()]
        if not given:
            return
        known = self._known().get(request.scope["route"].path, frozenset())
        for name in given:
            if name not in known:
                has = f"it has {', '.join(sorted(known))}" if known else "it has none"
                raise _refused("extra_forbidden", name, f"There is no parameter {name!r}; {has}.")
            if given.count(name) > 1:
                raise _refused("repeated", name, f"The parameter {name!r} is given more than once.")

    def _read_known(self) -> Mapping[str, frozenset[str]]:
        return {
            path: frozenset(
                parameter["name"]
                for parameter in methods.get("get", {}).get("parameters", ())
                if parameter["in"] == "query"
            )
            for path, methods in self._api.openapi()["paths"].items()
        }
