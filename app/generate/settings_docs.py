"""The table of docs/SETTINGS.md, from the settings."""

from __future__ import annotations

import re
from pathlib import Path

from app.settings import settings_of_runs

PAGE = Path(__file__).resolve().parents[2] / "docs" / "SETTINGS.md"
_TABLE = re.compile(r"(?<=<!-- table -->\n).*(?=<!-- end of table -->)", re.DOTALL)


def with_table(page: str) -> str:
    """The page with the table that is true now."""
    lines = ["| setting | default | a run may set it |", "|---|---|---|"]
    for name, default, of_run in settings_of_runs():
        lines.append(f"| `{name}` | {_written(default)} | {'yes' if of_run else 'no'} |")
    return _TABLE.sub(lambda _: "\n".join(lines) + "\n", page)


def _written(default: object) -> str:
    """As in the file; nothing where there is no default."""
    match default:
        case None | ():
            return ""
        case bool():
            return f"`{str(default).lower()}`"
        case tuple():
            return f"`{list(default)}`"
        case str() | Path():
            return f'`"{default}"`'
    return f"`{default}`"
