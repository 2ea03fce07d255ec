"""The script that Streamlit runs for every viewer: navigation, and nothing else."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.text.markdown import plain
from app.ui.current import RUN, runs
from app.ui.waiting import history_errors_told

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "pages"
STYLE = ROOT / "app" / "cards" / "style.css"
ICON = ROOT / "app" / "icon.svg"  # a named icon would be fetched from the network

# The live page is the front page; the others follow in this order, and after them whatever else
# is in pages/, by name.
FRONT = "live"
ORDER = (
    *(FRONT, "previews", "analytics", "evals", "compare", "stability", "heads", "runs"),
    *("system", "sql"),
)
_CHOICE, _WRITTEN = "run-choice", "run-written"  # in the session
TITLES = {"sql": "SQL"}
ICONS = {
    "evals": ":material/checklist:",
    "compare": ":material/compare_arrows:",
    "stability": ":material/ssid_chart:",
    "heads": ":material/grid_on:",
    "runs": ":material/stacks:",
    "live": ":material/monitor_heart:",
    "previews": ":material/table_rows:",
    "analytics": ":material/analytics:",
    "sql": ":material/database:",
    "system": ":material/memory:",
}


def page(path: Path) -> st.Page:
    """The page in one file: named and addressed after it."""
    name = path.stem
    return st.Page(
        path,
        title=TITLES.get(name, name.replace("_", " ").capitalize()),
        icon=ICONS.get(name, ":material/article:"),
        url_path=name,
        default=name == FRONT,
    )


def choose_run() -> None:
    """A selector where there are several runs; the choice stands in the address of every page."""
    names = list(runs().directories())
    if len(names) < 2:
        return
    asked, state = st.query_params.get(RUN), st.session_state
    if asked is not None and asked not in names:
        st.warning(plain(f"There is no run {asked} (any more)."))
    # The widget knows the choice, through all pages of a session; an address that somebody else
    # wrote than this function is a new choice.
    if asked in names and asked != state.get(_WRITTEN):
        state[_CHOICE] = asked
    elif state.get(_CHOICE) not in names:
        state[_CHOICE] = names[0]
    chosen = st.selectbox(
        "Run",
        names,
        format_func="Run: {}".format,
        label_visibility="collapsed",
        key=_CHOICE,
        width=320,
    )
    state[_WRITTEN] = chosen
    if chosen != names[0]:
        st.query_params[RUN] = chosen
    else:
        st.query_params.pop(RUN, None)


def main() -> None:
    """Set up the frame and run the chosen page."""
    st.set_page_config(page_title="Control Room", page_icon=str(ICON), layout="wide")
    st.html(STYLE)
    choose_run()
    files = sorted(PAGES.glob("[!_]*.py"), key=lambda path: (_place(path.stem), path.stem))
    chosen = st.navigation([page(path) for path in files], position="top")
    with history_errors_told():
        chosen.run()


def _place(name: str) -> int:
    return ORDER.index(name) if name in ORDER else len(ORDER)


main()
