"""The app in a real browser, started from a directory that is not the repository's."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.support import ROOT, free_port, process, wait_until

pytestmark = pytest.mark.browser

BACKGROUND = "rgb(247, 248, 248)"  # of [theme.light] in .streamlit/config.toml
# A launcher of somebody's own: neither its directory nor the working directory has our settings.
LAUNCHER = """
from app.server import create_app, server_config
from app.settings import load_settings

def made():
    return create_app(load_settings())

if __name__ == "__main__":
    made().run(config=server_config(load_settings()))
"""
STARTS = {
    "control-room serve": ["control_room", "serve", "--port", "{port}"],
    "python -m app": ["app", "--port", "{port}"],
    "uvicorn": ["uvicorn", "app.server:app", "--port", "{port}"],
    "a factory for uvicorn": ["uvicorn", "--factory", "launcher:made", "--port", "{port}"],
    "a launcher": ["launcher"],
    "streamlit run": ["streamlit", "run", str(ROOT / "app" / "server.py"), "--server.port={port}"],
}


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture(params=STARTS)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of an app that was started so, in an empty directory."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "launcher.py").write_text(LAUNCHER)
    port = free_port()
    environment = {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(tmp_path / "mine")]),
        "CONTROL_ROOM_RUN_DIR": str(tmp_path / "run"),
        "CONTROL_ROOM_PORT": str(port),
    }
    start = [argument.format(port=port) for argument in STARTS[request.param]]
    with process(start, log=tmp_path / "app.log", env=environment, cwd=elsewhere) as server:

        def served() -> bool:
            assert server.poll() is None, (tmp_path / "app.log").read_text()
            return answers(f"http://127.0.0.1:{port}")

        wait_until(served, 60, "an answer")
        yield f"http://127.0.0.1:{port}"


def test_it_keeps_its_theme_and_shows_no_deploy_button(browser: Browser, address: str) -> None:
    with browser.new_context(color_scheme="light") as context:
        page = context.new_page()
        page.goto(address)
        expect(page.get_by_text("Waiting for a trainer")).to_be_visible(timeout=60_000)
        expect(page.get_by_test_id("stAppDeployButton")).to_have_count(0)
        expect(page.get_by_test_id("stApp")).to_have_css("background-color", BACKGROUND)
