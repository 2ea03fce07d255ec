"""Pages of the user's own in the app's frame, and the one that docs/PAGES.md shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.check import check
from app.settings import Settings, load_settings
from app.ui.current import serving
from app.watch.monitor import Monitor
from control_room import Recorder
from tests.pages.opened import html, warnings
from tests.support import ROOT, wait_until

GUIDE = ROOT / "docs" / "PAGES.md"


def documented_page(directory: Path) -> Path:
    """The page of the guide, in the file that the guide names."""
    text = GUIDE.read_text()
    named = re.search(r"`my-pages/(\w+\.py)`:\n\n```python\n(.*?)```", text, re.DOTALL)
    assert named is not None
    directory.mkdir()
    path = directory / named[1]
    path.write_text(named[2])
    return path


def opened(path: Path) -> AppTest:
    """The page, drawn once."""
    page = AppTest.from_file(path, default_timeout=120)
    page.run()
    assert not page.exception
    return page


def test_the_documented_page_answers_over_a_history(history: Monitor, tmp_path: Path) -> None:
    rows = opened(documented_page(tmp_path / "my-pages")).dataframe[0].value
    assert rows.to_dict("list") == {
        "regime": ["plain_sft", "regime3"],
        "answers": [104, 26],
        "mean_tokens": [65.0, 62.5],
    }


def test_the_documented_page_waits_for_a_history(watching: Monitor, tmp_path: Path) -> None:
    page = opened(documented_page(tmp_path / "my-pages"))
    assert "Nothing has been logged in this run yet" in page.info[0].value


def test_the_documented_page_says_so_where_there_is_nothing_for_it(
    watching: Monitor, tmp_path: Path
) -> None:
    with Recorder(watching.settings.run_dir) as recorder:
        recorder.log_metrics(step=1, loss=1.0)
    path = documented_page(tmp_path / "my-pages")
    wait_until(lambda: "No preview has told its length" in html(opened(path)), what="the history")


def framed(settings: Settings) -> AppTest:
    """The frame with the front page in it."""
    frame = AppTest.from_file(ROOT / "app" / "ui" / "main.py", default_timeout=120)
    with serving(Monitor(settings)):
        frame.run()
    return frame


def test_what_is_wrong_with_a_page_is_said_and_the_front_page_is_drawn(tmp_path: Path) -> None:
    documented_page(tmp_path / "pages").with_name("notes.txt").touch()
    settings = load_settings(
        {"run_dir": str(tmp_path / "run"), "pages_dir": str(tmp_path / "pages")}
    )
    frame = framed(settings)
    assert not frame.exception
    assert [text.partition(" is left out")[0] for text in warnings(frame)] == [
        str(tmp_path / "pages" / "notes.txt")
    ]
    assert "Waiting for a trainer" in html(frame)


def test_the_check_names_them(tmp_path: Path) -> None:
    documented_page(tmp_path / "pages").with_name("notes.txt").touch()
    settings = load_settings(
        {"run_dir": str(tmp_path / "run"), "pages_dir": str(tmp_path / "pages")}
    )
    said = [each for each in check(settings, 0.0) if each.source == "pages"]
    assert [each.verdict for each in said] == ["wrong", "ok"]
    assert "answer_lengths.py" in said[1].text


class TestPagesDir:
    def test_is_taken_from_the_file_that_sets_it(self, tmp_path: Path) -> None:
        (tmp_path / "control_room.toml").write_text('run_dir = "run"\npages_dir = "my-pages"\n')
        assert load_settings(working_dir=tmp_path).pages_dir == tmp_path / "my-pages"

    def test_is_code_and_not_taken_from_a_run(self, tmp_path: Path) -> None:
        run = tmp_path / "run"
        documented_page(tmp_path / "my-pages")
        run.mkdir()
        (run / "control_room.toml").write_text('pages_dir = "../my-pages"\n')
        settings = load_settings({"run_dir": str(run)}, working_dir=tmp_path)
        assert settings.pages_dir is None
        (problem,) = settings.left_out
        assert problem.startswith("pages_dir in ")

    def test_comes_from_the_environment_too(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CONTROL_ROOM_PAGES_DIR", "mine")
        assert load_settings(working_dir=tmp_path).pages_dir == tmp_path / "mine"
