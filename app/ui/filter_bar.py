"""The filter widgets above the history, kept in the page's address so that a view can be shared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import streamlit as st

from app.text.markdown import plain
from app.text.visible import cell
from app.ui.current import RUN
from app.views.length_bins import bin_label
from app.views.preview_filter import from_query, to_query
from control_room.history import queries
from control_room.history.filters import FILTERS, Filter, PreviewFilter
from control_room.history.queries import Cursor

_MATCHES = {"Any": "", "Yes": "true", "No": "false"}
_OTHERS = ("page", RUN)  # in the address, and no filter
_LENGTHS = tuple(name for name, each in FILTERS.items() if each.asking.widget == "length")
_FIRST = tuple(each for each in FILTERS.values() if not each.asking.is_more)
# What stands in the second row, and opens it when the address asks for it.
_MORE = tuple(each for each in FILTERS.values() if each.asking.is_more)


def filter_bar(
    cursor: Cursor, page: str, edges: Sequence[int], on_change: Callable[[], None] | None = None
) -> PreviewFilter:
    """Draw the widgets as the address asks, and put into it what they say; return that filter.

    ``page`` keeps the widgets of pages apart; ``edges`` are where the bins of lengths begin.
    """
    bar = _Bar(page, on_change)
    asked, ignored = from_query({k: v for k, v in st.query_params.items() if k not in _OTHERS})
    query = to_query(asked)
    chosen: dict[str, str] = {}
    with st.grid(4, min_column_width=150, gap="xsmall"):
        for each in _FIRST:
            chosen[each.name] = bar.draw(each, cursor, query)
    more = any(each.name in query for each in _MORE)
    with (
        st.expander("More filters", expanded=more, key=f"{page}-more"),
        st.grid(4, min_column_width=150, gap="xsmall"),
    ):
        for each in _MORE:
            if each.name not in _LENGTHS:
                chosen[each.name] = bar.draw(each, cursor, query)
            elif each.name == _LENGTHS[0]:  # one widget for all of them
                chosen |= bar.length(query, edges)
    wanted, mistyped = from_query(chosen)
    for note in (*ignored, *(note.replace("in the address ", "") for note in mistyped)):
        st.warning(plain(note))
    write_address({**to_query(wanted), **_kept("page")})
    return wanted


def write_address(query: Mapping[str, str]) -> None:
    """Have the page's address say this, and which run it is of."""
    st.query_params.from_dict({**query, **_kept(RUN)})


def _kept(name: str) -> dict[str, str]:
    return {name: st.query_params[name]} if name in st.query_params else {}


class _Bar:
    def __init__(self, page: str, on_change: Callable[[], None] | None) -> None:
        self._page = page
        self._on_change = on_change

    def draw(self, each: Filter, cursor: Cursor, query: dict[str, str]) -> str:
        if each.asking.widget == "choice":
            options = queries.choices(cursor, each.name)
            return self.choice(each.name, each.label, query, options)
        if each.asking.widget == "match":
            return self.match(each.name, each.label, query)
        return self.text(each.name, each.label, query, each.asking.placeholder)

    def choice(self, name: str, label: str, query: dict[str, str], options: list[str]) -> str:
        current = query.get(name)
        if current is not None and current not in options:
            options = [current, *options]
        chosen = st.selectbox(
            label,
            options,
            index=None if current is None else options.index(current),
            format_func=cell,
            placeholder="Any",
            key=f"{self._page}-{name}",
            on_change=self._on_change,
        )
        return chosen or ""

    def match(self, name: str, label: str, query: dict[str, str]) -> str:
        values = list(_MATCHES.values())
        chosen = st.selectbox(
            label,
            list(_MATCHES),
            index=values.index(query.get(name, "")),
            key=f"{self._page}-{name}",
            on_change=self._on_change,
        )
        return _MATCHES[chosen]

    def text(self, name: str, label: str, query: dict[str, str], placeholder: str) -> str:
        chosen: str = st.text_input(
            label,
            query.get(name, ""),
            placeholder=placeholder,
            key=f"{self._page}-{name}",
            on_change=self._on_change,
        )
        return chosen.strip()

    def length(self, query: dict[str, str], edges: Sequence[int]) -> dict[str, str]:
        """A bin of lengths, or whatever other range the address asks for."""
        current = {name: query[name] for name in _LENGTHS if name in query}
        bins: dict[str, dict[str, str]] = {"Any": {}}
        bins |= {bin_label(edges, low): length_query(edges, low) for low in edges}
        bins["unknown"] = length_query(edges, None)
        if current not in bins.values():
            bins[f"{current.get('min_length', 0)}-{current.get('below_length', '')}"] = current
        chosen = st.selectbox(
            "Length of golden answer, tokens",
            list(bins),
            index=list(bins.values()).index(current),
            key=f"{self._page}-length",
            on_change=self._on_change,
        )
        return bins[chosen]


def length_query(edges: Sequence[int], low: int | None) -> dict[str, str]:
    """The part of an address that asks for one bin of lengths; ``low`` None: not known."""
    if low is None:
        return {"length_known": "false"}
    place = list(edges).index(low)
    # Whatever is below the first edge belongs to the first bin.
    query = {} if place == 0 else {"min_length": str(low)}
    if place < len(edges) - 1:
        query["below_length"] = str(edges[place + 1])
    return query or {"length_known": "true"}
