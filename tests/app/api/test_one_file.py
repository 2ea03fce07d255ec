"""An endpoint costs one file; its route, description and client method follow from it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from tests.support import ROOT

ENDPOINT = '''
"""How tall the run is."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.api.answers import answered, described
from app.api.history import Whole
from app.watch.monitor import Monitor


@dataclass(frozen=True)
class Height:
    """So tall."""

    height_m: float
    of: str


def routes(router: APIRouter, monitor: Monitor) -> None:
    """Add ``/api/made-up/height``."""

    @router.get("/api/made-up/height", **described(Height), tags=["made up"])
    def height(
        request: Request, floors: Annotated[int, Query(ge=1, le=9), Whole] = 3
    ) -> Response:
        """How tall is it? In metres."""
        return answered(request, Height(2.5 * floors, str(monitor.settings.run_dir.name)))
'''

ASK = """
import inspect
from fastapi.testclient import TestClient
from app.api import create_api
from app.settings import load_settings
from app.watch.monitor import Monitor
from control_room import api_types
from control_room.client import Client

served = TestClient(create_api(Monitor(load_settings({"run_dir": "runs/tall"}))))
assert served.get("/api/made-up/height?floors=4").json() == {"height_m": 10.0, "of": "tall"}
assert served.get("/api/made-up/height?floors=10").status_code == 422
assert served.get("/api/made-up/height?roofs=1").status_code == 422
described = served.get("/api/openapi.json").json()["paths"]["/api/made-up/height"]["get"]
assert described["description"] == "How tall is it? In metres."
assert api_types.Height.__annotations__.keys() == {"height_m", "of"}


class Asking(Client):
    def _ask_history(self, path, /, **query):
        return served.get(path, params=query).json()


assert Asking().height(floors=2) == {"height_m": 5.0, "of": "tall"}
assert inspect.signature(Client.height).return_annotation == "Height"
"""


def test_one_file_more_is_one_endpoint_more(tmp_path: Path) -> None:
    for room in ("control_room", "collectors", "app", "pages", "docs"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "app" / "api" / "made_up.py").write_text(ENDPOINT)
    python(tmp_path, "-m", "app.generate")
    python(tmp_path, "-c", ASK)
    assert "## `GET /api/made-up/height`" in (tmp_path / "docs" / "API.md").read_text()


def python(directory: Path, *arguments: str) -> None:
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=directory, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
