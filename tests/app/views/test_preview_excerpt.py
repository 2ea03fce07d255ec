"""The newest preview, cut to what is asked for every few seconds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cards import preview as card
from app.settings import load_settings
from app.views.build import Samples, assemble
from app.views.models import LatestPreview, Preview
from app.views.preview_excerpt import OTHER_BYTES, TEXT_BYTES, fitting, latest_preview, shown_groups
from collectors.files.previews import PreviewWatch
from collectors.sampler import Sample
from control_room import Recorder, RunDir
from control_room.logs.patterns import PatternRules

TS = datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


def a_preview(**values: Any) -> Preview:
    fields: dict[str, Any] = {"ts": TS, "step": 5, "prompt": "p", "golden": "g"}
    return Preview.model_validate({**fields, "model_answer": "a", **values})


def size(preview: LatestPreview) -> int:
    return len(preview.model_dump_json().encode())


def test_a_short_preview_is_left_as_it_is() -> None:
    whole = a_preview(prompt="é" * 100, contract_status={"emoji_prefix": True})
    latest = latest_preview(whole)
    assert (latest.cut, latest.whole) == ({}, None)
    kept = latest.model_dump(include=set(Preview.model_fields))
    assert kept == whole.model_dump()


def test_every_long_text_is_cut_and_its_length_told() -> None:
    latest = latest_preview(a_preview(prompt="x" * 9_000, golden="🤔" * 9_000, regime="r" * 9_000))
    assert latest.cut == dict.fromkeys(("prompt", "golden", "regime"), 9_000)
    assert latest.prompt == "x" * TEXT_BYTES
    assert latest.golden == "🤔" * (TEXT_BYTES // 4)
    assert latest.regime == "r" * OTHER_BYTES
    assert latest.model_answer == "a"


def test_whatever_was_logged_it_is_small() -> None:
    text_fields = [
        name for name, field in Preview.model_fields.items() if "str" in str(field.annotation)
    ]
    hostile = dict.fromkeys(text_fields, "\x01\U0001f914\\" * 20_000)
    del hostile["contract_status"]
    checks = {str(number) + "\x01" * 1_000: True for number in range(1_000)}
    latest = latest_preview(a_preview(**hostile, contract_status=checks))
    assert size(latest) < 16_000
    assert latest.cut["contract_status"] == 1_000


def test_the_address_asks_for_its_moment_step_and_example() -> None:
    latest = latest_preview(a_preview(prompt="x" * 9_000, example_id="a b&c", checkpoint_id=None))
    assert latest.whole is not None
    address = urlsplit(latest.whole)
    assert address.path == "/api/preview/history"
    assert parse_qs(address.query) == {
        "since": ["2026-01-31T12:00:00.123456+00:00"],
        "until": ["2026-01-31T12:00:00.123456+00:00"],
        "min_step": ["5"],
        "max_step": ["5"],
        "example_id": ["a b&c"],
        "limit": ["1"],
    }


@given(TEXTS, st.integers(min_value=0, max_value=120))
def test_the_longest_beginning_that_fits(text: str, most_bytes: int) -> None:
    def cost(part: str) -> int:
        return len(a_preview(prompt=part).model_dump_json().encode()) - len(
            a_preview(prompt="").model_dump_json().encode()
        )

    part = fitting(text, most_bytes)
    assert text.startswith(part)
    assert cost(part) <= most_bytes
    if len(part) < len(text):
        assert cost(text[: len(part) + 1]) > most_bytes


def test_the_card_says_what_is_cut_and_where_it_is_whole() -> None:
    latest = latest_preview(a_preview(prompt="x" * 9_000, golden="y" * 9_000))
    html = card.detail_html(latest)
    assert "prompt (9,000 in all), golden (9,000 in all)" in html
    assert "Previews page" in html
    assert 'href="/api/preview/history?since=' in html
    assert "Cut" not in card.detail_html(latest_preview(a_preview()))


def test_answers_that_are_the_same_as_far_as_they_are_shown_are_not_called_the_same() -> None:
    answers = {"golden": "y" * 9_000 + "1", "model_answer": "y" * 9_000 + "2"}
    latest = latest_preview(a_preview(**answers))
    assert latest.golden == latest.model_answer
    html = card.detail_html(latest)
    assert "The answers are the same" not in html
    assert "Only the beginnings are compared" in html or "too long" in html


@pytest.mark.parametrize("length", [1, 12, 40, 3_000])
@pytest.mark.parametrize("letter", ["x", "🤔", '"'])
def test_the_whole_view_stays_within_20_kb_whatever_the_groups_are_called(
    tmp_path: Path, length: int, letter: str
) -> None:
    run = RunDir(tmp_path / "run")
    with Recorder(run) as recorder:
        for step in range(120):
            name = f"{step:03d}" + letter * length
            recorder.log_preview(
                step=step,
                example_id=name,
                prompt="p" * 20_000,
                golden="🤔" * 20_000,
                model_answer='"' * 20_000,
                exact_match=step % 3 == 0,
                pattern=name,
                regime=name,
                source_pool=name,
                golden_tokens=step * 7,
            )
    reading = PreviewWatch(run, PatternRules()).read()
    samples = Samples(previews=Sample(reading=reading, read_at=0.0))
    settings = load_settings({"run_dir": str(run.path)})
    view = assemble(samples, settings, now=0.0, version=1).preview
    assert len(view.model_dump_json().encode()) < 20_000
    for groups in (view.regime_stats, view.source_stats, view.domain_stats):
        assert sum(rate.count for rate in groups.values()) == 100
        assert sum((rate.em or 0) * rate.count for rate in groups.values()) == pytest.approx(33)
    assert sum(map(sum, view.pattern_heatmap.counts)) == 100


def test_twenty_patterns_are_all_told() -> None:
    names = {f"pattern {number}": number + 1 for number in range(20)}
    assert shown_groups(names, 95) == {name: name for name in names}


def test_the_card_of_a_run_that_the_api_lacks_has_no_link_into_another() -> None:
    latest = latest_preview(a_preview(prompt="x" * 30_000))
    assert 'href="/api/' in card.detail_html(latest)
    elsewhere = card.detail_html(latest, in_api=False)
    assert "href=" not in elsewhere and "30,000 in all" in elsewhere
