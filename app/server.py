"""The server: one process and port for pages and API, with the Monitor started and stopped by it.

``serve`` runs it from settings; ``create_app`` makes one for any other server. ``uvicorn
app.server:app`` and ``python -m streamlit run app/server.py`` find one made from environment and
settings files (``CONTROL_ROOM_CONFIG`` names one). Outside the repository's root they need it in
``PYTHONPATH``.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.routing import Route

from app.api import PATHS, create_api
from app.serving.content_policy import content_policy
from app.serving.guard import Guard
from app.serving.hosts import hosts_of
from app.serving.nodelay import answer_at_once
from app.serving.oom import go_before_the_trainer
from app.serving.service import Condition, told_of
from app.serving.streamlit_config import own_options, use_own_options
from app.settings import Settings, load_settings
from app.ui.current import serving
from app.ui.page_files import page_files
from app.watch.app_health import app_health, is_stuck
from app.watch.monitor import Monitor
from app.watch.runs import Runs
from app.watch.sources import hush_libraries
from control_room.security.quiet_logs import keep_secrets_out_of_logs

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "app" / "ui" / "main.py"
STREAMLIT_PAGE = Path(st.__file__).parent / "static" / "index.html"

# Streamlit's collection after every run is off (.streamlit/config.toml); this replaces it.
COLLECT_EVERY_S = 60.0

log = logging.getLogger(__name__)


def serve(settings: Settings) -> None:
    """Serve pages and API for these settings until stopped."""
    # Streamlit takes settings and environment from where one stands, which may be a run.
    os.chdir(ROOT)
    _app_of(settings).run(config=server_config(settings))


def create_app(settings: Settings) -> st.App:
    """The ASGI app that serves pages and API for these settings, with Streamlit set up for it."""
    use_own_options(ROOT)
    return _app_of(settings)


def _app_of(settings: Settings) -> st.App:
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s"
    )
    keep_secrets_out_of_logs()
    hush_libraries()
    for left_out in (*settings.left_out, *page_files(settings.pages_dir)[1]):
        log.warning(left_out)
    monitor = Monitor(settings)
    runs = Runs(monitor)

    @asynccontextmanager
    async def lifespan(app: st.App) -> AsyncIterator[None]:
        go_before_the_trainer()
        monitor.start()
        answer_at_once(settings.port)
        collector = asyncio.create_task(_collect_garbage())
        with serving(monitor, runs):
            async with told_of(partial(_condition, monitor)):
                yield
        collector.cancel()
        # Joining threads blocks; the event loop still has connections to close.
        await asyncio.to_thread(monitor.stop)

    api = create_api(monitor, runs)
    # The API sees whole paths: its documentation tells addresses as they are.
    routes = [Route(path, endpoint=api, methods=None) for path in PATHS]
    guard = Middleware(
        Guard,
        hosts=hosts_of(settings),
        policy=content_policy(STREAMLIT_PAGE.read_bytes()),
        is_api=lambda path: any(route.path_regex.match(path) for route in routes),
        allowed_origins=settings.api.allowed_origins,
        max_viewers=settings.access.max_viewers,
    )
    # `streamlit run` reads this file for such an assignment: without it, it would serve this file
    # as a page of its own, with neither the guard nor the API.
    app = st.App(SCRIPT, lifespan=lifespan, routes=routes, middleware=[guard])
    return app


def server_config(settings: Settings) -> dict[str, Any]:
    """Streamlit's options: the app's own, and those that follow from the settings."""
    return {
        **own_options(),
        "server.address": settings.host,
        "server.port": settings.port,
        "logger.level": settings.log_level,
    }


def _condition(monitor: Monitor) -> Condition:
    health = app_health(monitor)
    return Condition(health.reasons, is_stuck(health))


async def _collect_garbage() -> None:
    gc.collect()
    gc.freeze()
    while True:
        await asyncio.sleep(COLLECT_EVERY_S)
        gc.collect()


def __getattr__(name: str) -> st.App:
    """``app``, made when a server asks for it: importing this module starts nothing."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    app = create_app(load_settings())
    globals()["app"] = app
    return app
