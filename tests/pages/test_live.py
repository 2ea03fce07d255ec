"""The live page as Streamlit runs it, without a browser."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.settings import load_settings
from app.ui.current import NotServing, monitor, serving
from app.watch.monitor import Monitor
from control_room import Recorder, RunDir
from control_room.recording.recorder_warning import RecorderWarning
from tests.pages.opened import warnings
from tests.support import ROOT, wait_until


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return tmp_path / "my-run"


@pytest.fixture
def watching(run_dir: Path) -> Iterator[Monitor]:
    started = Monitor(load_settings({"run_dir": str(run_dir)}))
    started.start()
    with serving(started):
        yield started
    started.stop()


def shown(page: AppTest) -> str:
    assert not page.exception
    return " ".join(str(element.proto.body) for element in page.get("html"))


def test_without_a_run_every_card_says_what_to_do(watching: Monitor) -> None:
    assert watching.wait_for(2, timeout_s=60)
    page = AppTest.from_file(ROOT / "app" / "ui" / "main.py", default_timeout=120).run()
    text = shown(page)
    assert "Waiting for a trainer" in text
    assert "No training step has been recorded" in text
    assert "No data file is in work" in text
    assert text.count("No preview has been logged") == 2


def test_a_run_is_drawn_on_every_card(watching: Monitor, run_dir: Path) -> None:
    with Recorder(run_dir) as recorder:
        recorder.update_status(
            status="training", current_step=41, total_steps=100, loss=0.25, current_file="a.jsonl"
        )
        recorder.log_preview(
            step=41, prompt="the prompt", golden="g", model_answer="a", exact_match=False
        )
        wait_until(lambda: watching.views.preview.latest_preview is not None, 10)
        wait_until(lambda: watching.views.live.current_step == 41, 10)
        page = AppTest.from_file(ROOT / "app" / "ui" / "main.py", default_timeout=120).run()
    text = shown(page)
    assert "Step 41 / 100" in text
    assert "0.2500" in text
    assert "a.jsonl" in text
    assert "the prompt" in text
    assert "No exact match" in text


def test_what_the_recorder_refused_is_told_with_its_count_reason_and_place(
    watching: Monitor, run_dir: Path
) -> None:
    recorder = Recorder(run_dir)
    recorder.update_status(current_step=41)
    with pytest.warns(RecorderWarning):
        for step in range(3):
            recorder.log_metrics(step=step, loss="<i>low</i>")  # type: ignore[call-overload]  # meant
    recorder.update_status(current_step=42)
    wait_until(lambda: any("3 records" in text for text in watching.views.live.problems), 10)
    page = AppTest.from_file(ROOT / "app" / "ui" / "main.py", default_timeout=120).run()
    text = shown(page)
    assert "3 records were refused (3 metrics)" in text
    assert "MetricPoint.loss: expected a number" in text and "&lt;i&gt;low" in text
    assert str(run_dir / "logs" / "refused") in text


def test_what_the_daemon_trainer_tells_is_drawn(watching: Monitor, run_dir: Path) -> None:
    status = {
        "status": "training",
        "timestamp": datetime.now(UTC).isoformat(),
        "current_step": 41,
        "current_file": "a.jsonl",
        "eta_current_file": "2h 15m",
        "eta_overall": "12h 30m",
        "preview_jobs_pending": 3,
        "active_alerts": [{"severity": "critical", "message": "val-train gap 0.900"}],
    }
    RunDir(run_dir).status_file.parent.mkdir(parents=True)
    RunDir(run_dir).status_file.write_text(json.dumps(status))
    wait_until(lambda: bool(watching.views.live.alerts), 10)
    text = shown(AppTest.from_file(ROOT / "app" / "ui" / "main.py", default_timeout=120).run())
    assert "The trainer warns (critical): val-train gap 0.900" in text
    assert "12h 30m" in text
    assert "Preview" in text
    control = RunDir(run_dir).control_state_file
    control.parent.mkdir()
    control.write_text('{"status": "paused", "reason": "Need to check logs"}')
    wait_until(lambda: watching.views.live.status == "paused", 10)
    text = shown(AppTest.from_file(ROOT / "app" / "ui" / "main.py", default_timeout=120).run())
    assert "Paused: Need to check logs" in text


def test_a_preview_that_is_cut_says_so(watching: Monitor, run_dir: Path) -> None:
    with Recorder(run_dir) as recorder:
        recorder.log_preview(step=1, prompt="p" * 50_000, golden="g", model_answer="a")
    wait_until(lambda: watching.views.preview.latest_preview is not None, 10)
    text = shown(AppTest.from_file(ROOT / "app" / "ui" / "main.py", default_timeout=120).run())
    assert "prompt (50,000 in all)" in text
    assert "p" * 5_000 not in text


def test_a_held_preview_is_not_replaced_by_newer_ones(watching: Monitor, run_dir: Path) -> None:
    with Recorder(run_dir) as recorder:

        def log(answer: str) -> None:
            recorder.log_preview(
                step=1, prompt="p", golden="g", model_answer=answer, exact_match=False
            )
            wait_until(
                lambda: (
                    (latest := watching.views.preview.latest_preview) is not None
                    and latest.model_answer == answer
                ),
                10,
            )

        log("first answer")
        page = AppTest.from_file(ROOT / "app" / "ui" / "main.py", default_timeout=120).run()
        page.toggle(key="preview-hold").set_value(True).run()
        log("second answer")
        page.run()
        assert "first" in shown(page)
        assert "second" not in shown(page)
        page.toggle(key="preview-hold").set_value(False).run()
        assert "second" in shown(page)


def test_a_page_outside_the_server_says_how_to_start_it() -> None:
    with pytest.raises(NotServing, match="python -m app"):
        monitor()


def test_when_the_views_are_no_longer_built_the_page_says_so(watching: Monitor) -> None:
    assert watching.wait_for(1, timeout_s=60)
    old = watching.views.live.model_copy(
        update={"timestamp": datetime.now(UTC) - timedelta(minutes=3)}
    )
    watching.stop()
    watching._views = watching.views.model_copy(update={"live": old})
    page = AppTest.from_file(ROOT / "app" / "ui" / "main.py", default_timeout=120).run()
    assert "The app stopped updating: this is from 3m ago" in shown(page)


def runner_at_work(run_dir: Path) -> None:
    RunDir(run_dir).runner_state_file.parent.mkdir(parents=True, exist_ok=True)
    told = {"updated_at": time.time(), "pending": {"preview": 1}, "skipped": 0, "failed": 0}
    RunDir(run_dir).runner_state_file.write_text(json.dumps(told))


def test_a_runner_is_shown_and_asks_for_nothing_by_default(
    watching: Monitor, run_dir: Path
) -> None:
    runner_at_work(run_dir)
    wait_until(lambda: watching.views.preview.runner is not None, 10)
    page = AppTest.from_file(ROOT / "app" / "ui" / "main.py", default_timeout=120).run()
    assert "waiting for a checkpoint" in shown(page)
    assert "runner-request" not in [button.key for button in page.button]


def test_a_runners_file_that_cannot_be_read_is_named(watching: Monitor, run_dir: Path) -> None:
    file = RunDir(run_dir).runner_state_file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('["not an object"]')
    wait_until(lambda: watching.views.preview.runner is not None, 10)
    page = AppTest.from_file(ROOT / "app" / "ui" / "main.py", default_timeout=120).run()
    assert f"{file} holds a JSON array" in shown(page)
    told = json.loads(watching.views.preview.model_dump_json())
    assert str(file) in told["runner"]["problems"][0]


def test_a_round_can_be_asked_for_where_the_settings_allow_it(run_dir: Path) -> None:
    settings = load_settings({"run_dir": str(run_dir), "previews": {"allow_requests": True}})
    started = Monitor(settings)
    started.start()
    try:
        with serving(started):
            runner_at_work(run_dir)
            wait_until(lambda: started.views.preview.runner is not None, 10)
            page = AppTest.from_file(ROOT / "app" / "ui" / "main.py", default_timeout=120).run()
            page.button(key="runner-request").click().run()
            assert not page.exception
    finally:
        started.stop()
    assert RunDir(run_dir).round_request_file.exists()


def test_a_note_can_be_added_and_is_shown(watching: Monitor, run_dir: Path) -> None:
    page = AppTest.from_file(ROOT / "app" / "ui" / "main.py", default_timeout=120).run()
    page.text_input(key="note-text").set_value("lowered lr")
    page.button(key="note-add").click().run()
    assert not page.exception
    wait_until(lambda: bool(watching.views.live.notes), 10)
    assert watching.views.live.notes[0].text == "lowered lr"
    assert "lowered lr" in shown(page.run())


def test_an_empty_note_is_none(watching: Monitor, run_dir: Path) -> None:
    page = AppTest.from_file(ROOT / "app" / "ui" / "main.py", default_timeout=120).run()
    page.button(key="note-add").click().run()
    assert not page.exception
    assert not RunDir(run_dir).logs("note").exists()


def test_a_note_that_cannot_be_written_says_why(watching: Monitor, run_dir: Path) -> None:
    page = AppTest.from_file(ROOT / "app" / "ui" / "main.py", default_timeout=120).run()
    notes = RunDir(run_dir).logs("note")
    notes.parent.mkdir(parents=True, exist_ok=True)
    notes.write_text("in the way")
    page.text_input(key="note-text").set_value("lost")
    page.button(key="note-add").click().run()
    assert "cannot be written" in page.error[0].value


def test_where_writing_is_not_allowed_there_is_no_line_for_it(run_dir: Path) -> None:
    settings = load_settings({"run_dir": str(run_dir), "notes": {"allow_writing": False}})
    started = Monitor(settings)
    with serving(started):
        page = AppTest.from_file(ROOT / "app" / "ui" / "main.py", default_timeout=120).run()
    assert not page.exception
    assert not page.text_input


class TestTheRunSelector:
    @pytest.fixture
    def two(self, tmp_path: Path) -> Iterator[Monitor]:
        for name in ("a", "b"):
            with Recorder(tmp_path / name) as recorder:
                recorder.update_status(model_name=f"model {name}")
        started = Monitor(
            load_settings({"run_dir": str(tmp_path / "a"), "runs": [str(tmp_path / "*")]})
        )
        started.start()
        with serving(started):
            wait_until(lambda: started.views.live.current_model_name == "model a", 10)
            yield started
        started.stop()

    def open(self, run: str | None = None) -> AppTest:
        page = AppTest.from_file(ROOT / "app" / "ui" / "main.py", default_timeout=120)
        if run is not None:
            page.query_params["run"] = run
        return page.run()

    def test_a_choice_made_at_once_holds_and_stands_in_the_address(self, two: Monitor) -> None:
        page = self.open()
        page.selectbox(key="run-choice").set_value("b").run()
        assert page.selectbox(key="run-choice").value == "b"
        assert page.query_params["run"] == "b"
        wait_until(lambda: "model b" in shown(page.run()), 10, "the other run")
        page.selectbox(key="run-choice").set_value("a").run()
        assert "run" not in page.query_params
        assert "model a" in shown(page)

    def test_an_address_chooses(self, two: Monitor) -> None:
        page = self.open("b")
        assert page.selectbox(key="run-choice").value == "b"
        page.query_params["run"] = "a"
        assert page.run().selectbox(key="run-choice").value == "a"

    def test_an_address_without_a_run_keeps_the_choice(self, two: Monitor) -> None:
        page = self.open("b")
        page.query_params.pop("run")  # as when another page is opened
        page.run()
        assert page.selectbox(key="run-choice").value == "b"
        assert page.query_params["run"] == "b"

    def test_a_run_there_is_not_is_named(self, two: Monitor) -> None:
        page = self.open("c")
        assert "There is no run c" in warnings(page)[0]
        assert page.selectbox(key="run-choice").value == "a"

    def test_what_an_address_asks_for_is_no_markdown(self, two: Monitor) -> None:
        """An image that it names would be fetched from elsewhere."""
        page = self.open("![x](http://example.org/x.png)")
        assert r"\!\[x\]\(" in page.warning[0].value
        assert "There is no run ![x](http://example.org/x.png)" in warnings(page)[0]

    def test_one_run_needs_no_selector(self, watching: Monitor) -> None:
        assert not self.open().selectbox
