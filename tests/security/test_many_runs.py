"""Runs that are found by a pattern: whoever may make a directory there chooses its name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.settings import SettingsError, load_settings
from app.ui.current import runs, serving
from app.watch.monitor import Monitor
from app.watch.runs import Runs
from tests.support import ROOT

NO_TEXT = b"\xff\xfe"
NAMES = (
    *(b"new\nline", b"<img src=x>", b":red[x] $x$ **b**", b" ", b"-"),
    *("\u202egnp.exe".encode(), b"x" * 250, b"\\xff", b"nul\x7f\x1b[2J"),
)


@pytest.fixture
def main(tmp_path: Path) -> Path:
    main = tmp_path / "runs" / "main"
    (main / "logs").mkdir(parents=True)
    return main


def test_a_run_whose_name_is_no_text_is_refused_in_words(tmp_path: Path) -> None:
    directory = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + NO_TEXT))
    directory.mkdir()
    with pytest.raises(SettingsError, match="no UTF-8"):
        load_settings({"run_dir": str(directory)})


def watching(main: Path, pattern: str) -> Runs:
    return Runs(Monitor(load_settings({"run_dir": str(main), "runs": [pattern]})))


@pytest.fixture
def odd(main: Path) -> Iterator[Monitor]:
    for name in (*NAMES, NO_TEXT):
        os.makedirs(os.path.join(os.fsencode(main.parent), name, b"logs"))  # noqa: PTH103, PTH118
    settings = load_settings({"run_dir": str(main), "runs": [str(main.parent / "*")]})
    monitor = Monitor(settings)
    monitor.start()
    with serving(monitor):
        yield monitor
    monitor.stop()


def test_whatever_its_name_a_run_is_chosen_and_shown(odd: Monitor) -> None:
    names = list(runs().directories())
    assert len(names) == 1 + len(NAMES)
    for each in names:
        assert each.isprintable(), ascii(each)
        each.encode()
    asked: list[str | None] = [None, *names]
    for name in asked:
        page = AppTest.from_file(str(ROOT / "app" / "ui" / "main.py"), default_timeout=60)
        if name is not None:
            page.query_params["run"] = name
        page.run()
        assert not page.exception, (name, page.exception)


@pytest.mark.parametrize("pattern", ["**", "**/*", "*/**", "**/logs/.."])
def test_links_that_lead_back_are_no_way_without_end(main: Path, pattern: str) -> None:
    for name in ("a", "b", "c"):
        (main / name).symlink_to(".")
    deep = main.parent / "of" / "last year" / "run"
    (deep / "status").mkdir(parents=True)
    (deep / "logs").mkdir()
    found = watching(main, str(main.parent / pattern)).directories()
    assert set(found.values()) == {main, deep}


def test_hidden_directories_are_found_by_their_names_alone(main: Path) -> None:
    (main.parent / ".git" / "logs").mkdir(parents=True)
    assert list(watching(main, str(main.parent / "**")).directories()) == ["main"]
    assert set(watching(main, str(main.parent / ".git")).directories()) == {"main", ".git"}


def test_a_link_to_itself_is_no_run(main: Path) -> None:
    (main.parent / "loop").symlink_to("loop")
    (main.parent / "gone").symlink_to("nowhere")
    assert list(watching(main, str(main.parent / "*")).directories()) == ["main"]


def test_no_run_takes_the_name_of_another(main: Path) -> None:
    other = main.parent.parent / "elsewhere" / main.parent.name / main.name
    (other / "logs").mkdir(parents=True)
    found = watching(main, str(other)).directories()
    assert set(found.values()) == {main, other}
    assert next(iter(found.values())) == main
