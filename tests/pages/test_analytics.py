"""The analytics page as Streamlit runs it, without a browser."""

from __future__ import annotations

import json

import pytest

from app.watch.monitor import Monitor
from control_room import RunDir
from tests.pages.opened import html, open_page
from tests.support import wait_until

CHARTS = 7


def test_before_anything_is_logged_it_says_so(watching: Monitor) -> None:
    assert "Nothing has been logged" in open_page("analytics").info[0].value


def test_speed_and_memory_of_the_status_are_drawn_where_there_is_no_log(
    watching: Monitor,
) -> None:
    run = RunDir(watching.settings.run_dir)
    run.status_file.parent.mkdir(parents=True)
    samples = [{"step": n, "tokens_per_sec": 2300.0 + n, "vram_gb": 20.1} for n in range(9)]
    status = {"status": "training", "current_step": 9, "throughput_vram_samples": samples}
    run.status_file.write_text(json.dumps(status))
    wait_until(lambda: watching.views.live.tokens_per_sec == 2308.0, 10, "the samples")
    assert len(open_page("analytics").get("plotly_chart")) == 1


def test_every_chart_is_drawn_with_a_description_and_a_download(history: Monitor) -> None:
    page = open_page("analytics")
    charts = page.get("plotly_chart")
    assert len(charts) == CHARTS
    assert len(page.get("download_button")) == CHARTS
    assert "10.0%" in html(page)
    assert "[6-16]" in html(page)


def test_the_filter_in_the_address_holds_for_the_figures(history: Monitor) -> None:
    assert "13 scored previews" in html(open_page("analytics", exact_match="true"))
    assert "100.0%" in html(open_page("analytics", exact_match="true"))


@pytest.mark.parametrize("query", [{"regime": "no such"}, {"min_step": "1000000"}])
def test_where_nothing_matches_every_chart_says_so(history: Monitor, query: dict[str, str]) -> None:
    page = open_page("analytics", **query)
    assert len(page.get("plotly_chart")) == 1  # throughput, which no filter concerns
    assert html(page).count("Nothing to show") == CHARTS - 1
    assert "No scored preview matches" in html(page)


def test_garbage_in_the_address_is_named(history: Monitor) -> None:
    page = open_page("analytics", banana="1", min_step="x")
    assert len(page.warning) == 2
