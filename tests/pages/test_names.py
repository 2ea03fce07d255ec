"""Names of a run with & and < in them: shown on every page as they are, and nowhere as markup."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any, cast

import pytest
from streamlit.testing.v1 import AppTest

from app.settings import load_settings
from app.ui.current import runs, serving
from app.watch.monitor import Monitor
from app.watch.run_history import HistoryNotReady
from control_room import Recorder
from tests.pages.opened import html, open_page
from tests.support import wait_until

NAME = "R&D <i>x</i>"
AS_HTML = "R&amp;D &lt;i&gt;x&lt;/i&gt;"
RUNS = ("R&D <i>x", "R&D two")
SHOWN_BY: dict[str, dict[str, str]] = {
    "live": {},
    "previews": {},
    "analytics": {},
    "evals": {},
    "compare": {},
    "compare by dataset": {"by": "dataset"},
    "compare by run": {"by": "run"},
    "stability": {},
    "runs": {},
    "system": {},
    "sql": {},
}


def record(path: Path, offset: int) -> None:
    with Recorder(path) as recorder:
        recorder.log_config({NAME: f"{NAME} {offset}", "lr": 10.0**-offset})
        for step in range(1, 5):
            for example in range(12):
                right = example < 3 * step + offset
                fields: dict[str, Any] = {
                    "step": step,
                    "checkpoint_id": f"{NAME} {step}",
                    "example_id": f"{NAME} {example}",
                    "dataset_id": f"{NAME} {example % 2}",
                    "regime": NAME,
                    "pattern": NAME,
                    "source_pool": NAME,
                    "prompt": NAME,
                    "golden": NAME,
                    "golden_tokens": 10,
                }
                recorder.log_preview(
                    **fields,
                    model_answer=NAME if right else "<i>x",
                    exact_match=right,
                    failure_mode=None if right else cast("Any", NAME),
                    contract_status={NAME: right},
                    confidence=0.9,
                )
                for sample in range(2):
                    recorder.log_preview(
                        **{**fields, "source_pool": "samples"},
                        model_answer=NAME,
                        exact_match=False,
                        sample_index=sample,
                    )
            recorder.log_metrics(step=step, loss=1.0, val_loss=1.0, current_file=NAME)
            recorder.log_eval(step=step, kind="fixed", em=0.5, ce=1.0, ece=0.1, count=9)
            recorder.log_eval(step=step, kind="fixed", domain=NAME, em=0.5, count=9)
        recorder.note(NAME, step=2)
        recorder.update_status(
            current_step=4, total_steps=9, loss=1.0, model_name=NAME, current_file=NAME
        )
    (log,) = (path / "logs" / "preview").glob("*.jsonl")
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps({"ts": "2026-01-01T00:00:00", "step": NAME}) + "\n")


def ready(monitor: Monitor) -> bool:
    try:
        monitor.history.cursor()
    except HistoryNotReady:
        return False
    return monitor.views.preview.latest_preview is not None


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, AppTest]]:
    """Every page, drawn over a run with such names beside another one."""
    directory = tmp_path_factory.mktemp("names")
    for offset, name in enumerate(RUNS):
        record(directory / name, offset)
    settings = load_settings({"run_dir": str(directory / RUNS[0]), "runs": [f"{directory}/*"]})
    monitor = Monitor(settings)
    monitor.start()
    with serving(monitor):
        wait_until(lambda: ready(monitor), 30, "the history")
        wait_until(lambda: ready(runs().monitor(RUNS[1])), 30, "the other run's")
        yield {page: open_page(page.split()[0], **query) for page, query in SHOWN_BY.items()}
    monitor.stop()


def strings(value: Any, passed_over: tuple[str, ...] = ()) -> Iterator[str]:
    """All texts in a tree of JSON."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, each in value.items():
            if key not in passed_over:
                yield from strings(each, passed_over)
    elif isinstance(value, list):
        for each in value:
            yield from strings(each, passed_over)


@pytest.mark.parametrize("name", SHOWN_BY)
def test_a_pages_own_html_escapes_them_once(pages: dict[str, AppTest], name: str) -> None:
    shown = html(pages[name])
    assert "&amp;amp;" not in shown and "&amp;lt;" not in shown
    assert "<i>x" not in re.sub(r'(title|aria-label|alt)="[^"]*"', "", shown)
    read = unescape(re.sub(r"<[^>]+>", "", shown))
    assert "&amp;" not in read and "&lt;" not in read


@pytest.mark.parametrize("name", SHOWN_BY)
def test_charts_which_take_html_get_them_escaped_once(pages: dict[str, AppTest], name: str) -> None:
    for chart in pages[name].get("plotly_chart"):
        # Of these two Plotly makes no HTML.
        for text in strings(json.loads(chart.proto.spec), ("customdata", "dimensions")):
            assert "R&D" not in text and "<i>" not in text, text
            assert "&amp;amp;" not in text and "&amp;lt;" not in text, text


@pytest.mark.parametrize("name", SHOWN_BY)
def test_what_streamlit_shows_as_text_is_not_escaped(pages: dict[str, AppTest], name: str) -> None:
    page = pages[name]
    texts = [
        str(text)
        for kind in ("caption", "markdown", "warning", "info", "error", "selectbox", "multiselect")
        for element in page.get(kind)
        for text in (getattr(element, "value", ""), *getattr(element, "options", ()))
    ]
    texts += [str(text) for table in page.dataframe for text in table.value.to_numpy().flat]
    texts += [element.proto.alt for element in page.get("plotly_chart")]
    assert [text for text in texts if "&amp;" in text or "&lt;" in text] == []


def test_the_names_are_there_to_be_read(pages: dict[str, AppTest]) -> None:
    read = {name: unescape(re.sub(r"</?(small|b|span)[^>]*>", "", html(page)))
            for name, page in pages.items()}  # fmt: skip
    assert f"A · {NAME} 1" in read["compare"]
    assert f"A · {NAME} 0" in read["compare by dataset"]
    assert f"A · {RUNS[0]}" in read["compare by run"]
    assert NAME in read["live"] and NAME in read["analytics"] and NAME in read["runs"]
