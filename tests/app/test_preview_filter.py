"""A filter in the page's address: there and back, and garbage is ignored with a note."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.preview_filter import describe, from_query, to_query
from control_room.history.filters import PreviewFilter
from control_room.history.queries import PreviewPage

texts = st.none() | st.text(min_size=1, max_size=20)


@given(
    st.builds(
        PreviewFilter,
        regime=texts,
        pattern=texts,
        exact_match=st.none() | st.booleans(),
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
        "foo=1 in the address is ignored: there is no such filter.",
    ]


def test_counts_tell_matching_from_all_and_what_is_shown() -> None:
    assert describe(PreviewPage((), 1200, 1200), 0) == "1,200 previews, newest first"
    assert describe(PreviewPage((), 3, 1200), 0) == "3 of 1,200 previews, newest first"
