"""A filter in the page's address: there and back, and garbage is ignored with a note."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.views.preview_filter import describe, from_query, to_query
from control_room.history.filters import PreviewFilter
from control_room.history.queries import PreviewPage

texts = st.none() | st.text(min_size=1, max_size=20)


@given(
    st.builds(
        PreviewFilter,
        regime=texts,
        pattern=texts,
        exact_match=st.none() | st.booleans(),
        min_step=st.none() | st.integers(0, 2**63 - 1),
        since=st.none() | st.datetimes(timezones=st.just(UTC)),
        text=texts,
    )
)
def test_an_address_gives_the_filter_it_was_made_from(wanted: PreviewFilter) -> None:
    assert from_query(to_query(wanted)) == (wanted, [])


def test_what_is_no_filter_is_ignored_and_said_so() -> None:
    wanted, ignored = from_query({"regime": "regime3", "exact_match": "banana", "foo": "1"})
    assert wanted == PreviewFilter(regime="regime3")
    assert ignored == [
        "exact_match=banana in the address is ignored: it is true or false.",
        "foo=1 in the address is ignored: no such filter.",
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("min_step", "-1"),
        ("min_step", "1e3"),
        ("max_step", "9" * 30),
        ("below_length", "٣"),
        ("since", "yesterday"),
        ("until", "2026-13-01"),
        ("length_known", "1"),
        ("regime\n", "x"),
    ],
)
def test_garbage_is_ignored_with_a_note(name: str, text: str) -> None:
    wanted, ignored = from_query({name: text, "pattern": "p"})
    assert wanted == PreviewFilter(pattern="p")
    assert len(ignored) == 1


def test_a_day_alone_means_all_of_it() -> None:
    wanted, _ = from_query({"since": "2026-01-30", "until": "2026-01-30"})
    assert wanted.since is not None and wanted.until is not None
    assert wanted.until - wanted.since == timedelta(days=1, microseconds=-1)


@pytest.mark.parametrize(
    ("name", "text", "year"),
    [
        ("since", "0001-01-01T00:00:01+01:00", 1),
        ("until", "9999-12-31T23:59:59-01:00", 9999),
        ("until", "9999-12-31", 9999),
    ],
)
def test_the_ends_of_the_calendar_are_times_too(name: str, text: str, year: int) -> None:
    wanted, ignored = from_query({name: text})
    assert ignored == []
    assert getattr(wanted, name).year == year


def test_counts_tell_matching_from_all_and_what_is_shown() -> None:
    assert describe(PreviewPage((), 1200, 1200), 0) == "1,200 previews, newest first"
    assert describe(PreviewPage((), 3, 1200), 0) == "3 of 1,200 previews, newest first"
