"""A page as Streamlit runs it, without a browser, and a run for it to show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from streamlit.testing.v1 import AppTest

from app.settings import load_settings
from app.ui.current import serving
from app.watch.monitor import Monitor
from app.watch.run_history import HistoryNotReady
from tests.support import ROOT, wait_until


def open_page(name: str, **query: str) -> AppTest:
    """The page in ``pages/NAME.py``, drawn once with this in its address."""
    page = AppTest.from_file(ROOT / "pages" / f"{name}.py", default_timeout=120)
    for key, value in query.items():
        page.query_params[key] = value
    page.run()
    assert not page.exception
    return page


def html(page: AppTest) -> str:
    """All of the page's own HTML."""
    return " ".join(str(element.proto.body) for element in page.get("html"))


def warnings(page: AppTest) -> list[str]:
    """The texts of the page's warnings, as a person reads them."""
    return [re.sub(r"\\([^a-zA-Z0-9\s])", r"\1", each.value) for each in page.warning]


@contextmanager
def watching_run(path: Path) -> Iterator[Monitor]:
    """A Monitor that pages see, once it has read the run's status and its history."""
    started = Monitor(load_settings({"run_dir": str(path)}))
    started.start()

    def has_read() -> bool:
        try:
            started.history.cursor()
        except HistoryNotReady:
            return False
        return started.views.live.status is not None

    with serving(started):
        wait_until(has_read, what="the run")
        yield started
    started.stop()
