"""Streamlit's options are the app's own, under those that the environment sets."""

from __future__ import annotations

import pytest
from streamlit import config

from app.server import server_config
from app.serving.streamlit_config import own_options
from app.settings import load_settings


def test_they_are_options_that_streamlit_has() -> None:
    assert own_options().keys() <= config._config_options_template.keys()


def test_theme_and_what_makes_it_fast_are_among_them() -> None:
    options = own_options()
    assert options["theme.light.backgroundColor"] == "#f7f8f8"
    assert options["server.fileWatcherType"] == "none"
    assert options["runner.postScriptGC"] is False


def test_the_environment_goes_before_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMLIT_SERVER_MAX_MESSAGE_SIZE", "70")
    assert "server.maxMessageSize" not in own_options()


def test_the_server_is_handed_all_of_them_and_where_to_listen() -> None:
    options = server_config(load_settings({"port": 8600}))
    assert options.items() >= (own_options() | {"server.port": 8600}).items()
