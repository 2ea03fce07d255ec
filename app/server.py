"""The server: one process and port for pages and API, with the Monitor started and stopped by it.

``create_app`` makes it from settings; ``uvicorn app.server:app`` and ``python -m streamlit run
app/server.py`` find one made from environment and settings file. Outside the repository's root they
need it in ``PYTHONPATH``.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.routing import Route

from app.api import PATHS, create_api
from app.current import serving
from app.monitor import Monitor
from app.nodelay import answer_at_once
from app.settings import Settings, load_settings
from app.sources import hush_libraries
from control_room.quiet_logs import keep_secrets_out_of_logs

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "app" / "main.py"

# Streamlit's collection after every run is off (.streamlit/config.toml); this replaces it.
COLLECT_EVERY_S = 60.0


def create_app(settings: Settings) -> st.App:
    """The ASGI app that serves pages and API for these settings."""
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(levelname)s %(name)s: %(message)s"
    )
    keep_secrets_out_of_logs()
    hush_libraries()
    monitor = Monitor(settings)

    @asynccontextmanager
    async def lifespan(app: st.App) -> AsyncIterator[None]:
        monitor.start()
        answer_at_once(settings.port)
        collector = asyncio.create_task(_collect_garbage())
        with serving(monitor):
            yield
        collector.cancel()
        # Joining threads blocks; the event loop still has connections to close.
        await asyncio.to_thread(monitor.stop)

    api = create_api(monitor)
    # The API sees whole paths: its documentation tells addresses as they are.
    routes = [Route(path, endpoint=api, methods=None) for path in PATHS]
    app = st.App(SCRIPT, lifespan=lifespan, routes=routes)
    return app


def server_config(settings: Settings) -> dict[str, Any]:
    """Streamlit's options that follow from the settings.

    The rest is in .streamlit/config.toml, to which app/.streamlit leads: beside the script,
    Streamlit finds it from any working directory.
    """
    return {
        "server.address": settings.host,
        "server.port": settings.port,
        "logger.level": settings.log_level,
    }


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
