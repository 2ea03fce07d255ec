"""The script that Streamlit runs for every viewer: navigation, and nothing else."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from app.text.markdown import plain
from app.ui.current import RUN, runs
from app.ui.page_files import PageFile, page_files
from app.ui.waiting import history_errors_told

ROOT = Path(__file__).resolve().parents[2]
STYLE = ROOT / "app" / "cards" / "style.css"
ICON = ROOT / "app" / "icon.svg"  # a named icon would be fetched from the network

_CHOICE, _WRITTEN = "run-choice", "run-written"  # in the session


def page(file: PageFile, *, front: bool) -> st.Page:
    """The page in one file, addressed after it."""
    return st.Page(
        file.path,
        title=file.page.title,
        icon=file.page.icon,
        url_path=file.path.stem,
        default=front,
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
    files, problems = page_files(runs().main.settings.pages_dir)
    for text in problems:
        st.warning(plain(text))
    chosen = st.navigation([page(file, front=file is files[0]) for file in files], position="top")
    with history_errors_told():
        chosen.run()


main()
