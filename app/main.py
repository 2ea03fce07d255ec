"""The script that Streamlit runs for every viewer: navigation, and nothing else."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "pages"
STYLE = ROOT / "app" / "cards" / "style.css"
ICON = ROOT / "app" / "icon.svg"  # a named icon would be fetched from the network

# The live page is the front page; every other file in pages/ follows by name.
FRONT = "live"
TITLES = {"sql": "SQL"}
ICONS = {
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


def main() -> None:
    """Set up the frame and run the chosen page."""
    st.set_page_config(page_title="Control Room", page_icon=str(ICON), layout="wide")
    st.html(STYLE)
    files = sorted(PAGES.glob("[!_]*.py"), key=lambda path: (path.stem != FRONT, path.stem))
    st.navigation([page(path) for path in files], position="top").run()


main()
