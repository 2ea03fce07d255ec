"""Evals, compare, stability, heads and runs as Streamlit runs them, without a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.settings import load_settings
from app.ui.current import runs, serving
from app.watch.monitor import Monitor
from app.watch.run_history import HistoryNotReady
from control_room import RunDir
from tests.analysed import record_run
from tests.pages.opened import html, open_page
from tests.support import wait_until

PAGES = ("evals", "compare", "stability", "heads", "runs")


def charts(page: AppTest) -> list[dict[str, object]]:
    return [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]


def ready(monitor: Monitor) -> bool:
    try:
        monitor.history.cursor()
    except HistoryNotReady:
        return False
    return True


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitor]:
    """Two runs, of which the first learns and is watched."""
    runs = tmp_path_factory.mktemp("runs")
    record_run(runs / "first")
    record_run(runs / "second", seed=1, learns=False)
    index = {
        "keep_newest": 2,
        "checkpoints": [
            {"name": "a", "step": 1, "metrics": {"em": 0.5, "ce": 2.0}, "protected": True},
            {"name": "b", "step": 2, "metrics": {"em": 0.4, "ce": 1.0}},
            {"name": "c", "step": 3, "keep_until": "2030-01-01T00:00:00+00:00"},
        ],
    }
    run = RunDir(runs / "first")
    run.checkpoints.mkdir()
    run.retention_index_file.write_text(json.dumps(index))
    settings = load_settings({"run_dir": str(run.path), "runs": [str(runs / "*")]})
    monitor = Monitor(settings)
    monitor.start()
    with serving(monitor):
        wait_until(lambda: ready(monitor), 30, "the history")
        wait_until(lambda: monitor.sources["snapshots"].reading is not None, 10, "the index")
        yield monitor
    monitor.stop()


@pytest.mark.parametrize("name", [page for page in PAGES if page != "runs"])
def test_before_anything_is_logged_each_page_says_so(watching: Monitor, name: str) -> None:
    assert "Nothing has been logged" in open_page(name).info[0].value


def test_the_runs_page_needs_no_log(watching: Monitor) -> None:
    page = open_page("runs")
    assert "There is one run" in html(page)
    assert "no status file" in html(page)


class TestEvals:
    def test_every_figure_is_there(self, analysed: Monitor) -> None:
        page = open_page("evals")
        for told in ("Exact match", "Cross-entropy", "Brier score", "Overfitting", "By domain"):
            assert told in html(page)
        assert len(charts(page)) == 6
        assert "Newest: 60.0 %" in html(page)
        assert "Overfitting from step 100" in html(page)

    def test_the_brier_score_is_that_of_these_confidences(self, analysed: Monitor) -> None:
        # 21 right at 0.9 and 27 wrong at 0.3
        brier = (21 * 0.01 + 27 * 0.09) / 48
        assert f"{brier:.3f}" in html(open_page("evals"))

    def test_what_is_kept_says_when_it_goes(self, analysed: Monitor) -> None:
        (table,) = open_page("evals").dataframe
        told = dict(zip(table.value["Name"], table.value["Will go"], strict=True))
        assert told["a"] == "kept: protected"
        assert told["b"] == "with the next checkpoint"
        assert told["c"].startswith("after 20")
        best = dict(zip(table.value["Name"], table.value["Best by"], strict=True))
        assert (best["a"], best["b"]) == ("EM", "CE")

    def test_notes_stand_on_the_charts_over_steps(self, analysed: Monitor) -> None:
        layout = json.dumps(charts(open_page("evals"))[0])
        assert "lowered lr" in layout

    def test_a_run_without_evaluations_says_what_to_call(self, history: Monitor) -> None:
        page = open_page("evals")
        assert "log_eval" in html(page)
        assert "val_loss" in html(page)
        assert "confidence" in html(page)


class TestCompare:
    def test_the_oldest_and_the_newest_checkpoint_at_first(self, analysed: Monitor) -> None:
        page = open_page("compare")
        assert "8 examples were answered in both" in html(page)
        assert "5 turned right and 0 wrong" in html(page)
        assert "p = 0.0625" in html(page)
        assert page.query_params["b"] == "checkpoint-600"

    def test_the_address_says_what_is_compared(self, analysed: Monitor) -> None:
        page = open_page("compare", by="checkpoint", a="checkpoint-600", b="checkpoint-500")
        assert "0 turned right and 1 wrong" in html(page)

    def test_two_runs(self, analysed: Monitor) -> None:
        page = open_page("compare", by="run", a="first", b="second")
        if "turned right" not in html(page):  # the second's history is being read
            wait_until(lambda: "turned right" in html(page.run()), 30, "both histories")
        assert "0 turned right and 5 wrong" in html(page)

    def test_where_there_are_not_two_it_says_so(self, analysed: Monitor) -> None:
        assert "There are not two regimes" in html(open_page("compare", by="regime"))

    def test_garbage_in_the_address_asks_for_checkpoints(self, analysed: Monitor) -> None:
        assert "turned right" in html(open_page("compare", by="<b>", a="nothing", b=""))


class TestStability:
    def test_every_figure_is_there(self, analysed: Monitor) -> None:
        page = open_page("stability")
        for told in ("Right now", "pass@k", "Form or content?", "Agreement", "cost or gained"):
            assert told in html(page)
        assert "6 <small>of 8" in html(page)
        assert "pass@1 33 %, pass@3 100 %" in html(page)

    def test_examples_are_ranked(self, analysed: Monitor) -> None:
        page = open_page("stability")
        lives, samples = page.dataframe
        assert set(lives.value["Turns"]) == {1}
        assert set(samples.value["Different"]) == {3}
        page.segmented_control(key="stability-ranking").set_value("forgotten").run()
        assert not page.exception

    def test_a_filter_in_the_address_holds(self, analysed: Monitor) -> None:
        assert "3 <small>of 4" in html(open_page("stability", pattern="even"))


class TestHeads:
    def test_the_newest_step_is_shown_and_a_collapsed_head_pointed_out(
        self, analysed: Monitor
    ) -> None:
        page = open_page("heads")
        assert "Attention entropy, step 600" in html(page)
        assert "layer 1, head 1" in html(page)
        assert "collapsed" in html(page)

    def test_another_step_and_metric_can_be_chosen(self, analysed: Monitor) -> None:
        page = open_page("heads")
        page.select_slider(key="heads-step").set_value(200).run()
        page.segmented_control(key="heads-metric").set_value("weight_norm").run()
        assert not page.exception
        assert "Weight norm was not recorded at this step" in html(page)

    def test_a_run_without_heads_says_what_to_call(self, history: Monitor) -> None:
        assert "log_heads" in html(open_page("heads"))


class TestRuns:
    def test_runs_and_what_differs(self, analysed: Monitor) -> None:
        page = open_page("runs")
        assert "2 runs; they differ in seed" in html(page)
        (table,) = page.dataframe
        assert list(table.value["Run"]) == ["first", "second"]
        assert list(table.value["seed"]) == ["0", "1"]
        assert "lr" not in table.value
        assert list(table.value["EM"]) == [0.6, 0.6]
        assert list(table.value["EM of"]) == ["fixed set, step 600"] * 2

    def test_without_an_evaluation_em_is_that_of_previews(self, history: Monitor) -> None:
        (table,) = open_page("runs").dataframe
        assert list(table.value["EM"]) == [0.1]
        assert list(table.value["EM of"]) == ["last 100 previews"]

    def test_all_settings_on_demand(self, analysed: Monitor) -> None:
        page = open_page("runs")
        page.toggle(key="runs-all").set_value(True).run()
        assert "lr" in page.dataframe[0].value

    def test_curves_of_both(self, analysed: Monitor) -> None:
        page = open_page("runs", curve="val_loss")

        def both() -> bool:
            page.run()
            return "second" in json.dumps(charts(page)[0])

        wait_until(both, 30, "both histories")

    def test_a_run_that_cannot_be_read_stops_no_other(
        self, analysed: Monitor, tmp_path: Path
    ) -> None:
        broken = RunDir(analysed.settings.run_dir.parent / "third")
        broken.status_file.parent.mkdir(parents=True)
        broken.status_file.write_text("{")
        try:
            wait_until(lambda: "third" in html(open_page("runs")), 15, "the third run")
            assert "cannot be read" in html(open_page("runs"))
        finally:
            broken.status_file.unlink()
            broken.status_file.parent.rmdir()
            broken.path.rmdir()


def test_what_leads_to_the_api_is_offered_for_its_run_alone(analysed: Monitor) -> None:
    assert "api/preview/history.csv" in html(open_page("previews"))
    name = next(each for each in runs().directories() if each != "first")
    other = html(open_page("previews", run=name))
    assert "api/" not in other
    assert "Start the app for this run to download it." in other
