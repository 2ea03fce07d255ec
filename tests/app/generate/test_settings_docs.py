"""The documentation's tables are those of the settings."""

from __future__ import annotations

import re
from pathlib import Path

from app.generate.settings_docs import PAGE
from app.settings import settings_of_runs
from control_room.previews.config import Config
from control_room.settings.layers import run_may_set


def test_what_acts_is_no_runs_to_set() -> None:
    of_runs = {name for name, _, of_run in settings_of_runs() if of_run}
    assert {name.partition(".")[0] for name in of_runs} == {
        *("liveness", "thresholds", "heatmap", "history")
    }
    assert {name for name in of_runs if name.startswith("history.")} == {
        *("history.rows_per_page", "history.patterns")
    }


def test_the_runners_page_names_what_a_run_may_set() -> None:
    page = (PAGE.parent / "PREVIEWS.md").read_text(encoding="utf-8")
    (told,) = re.findall(r"its own `previews.toml` sets (.*?), which", page)
    may = [name for name, of_run in run_may_set(Config) if of_run]
    assert re.findall(r"`(\w+)`", told) == may


def test_every_setting_is_there_once() -> None:
    names = [name for name, _, _ in settings_of_runs()]
    page = Path(PAGE).read_text(encoding="utf-8")
    assert len(set(names)) == len(names)
    assert all(page.count(f"| `{name}` |") == 1 for name in names)
