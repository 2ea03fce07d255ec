"""Texts that another machine tells: without what a terminal or a page would obey, and short."""

from __future__ import annotations

import re

from control_room.security.redaction import redacted

MOST = 200  # characters of a name

# Control characters but tab and newline, and what turns or hides the text around it.
_ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)
_ARGUMENT = re.compile(r"\s-")
INSTEAD = "\ufffd"


def harmless(text: str) -> str:
    """``text`` with a sign in place of each character that acts instead of being seen."""
    return _ACTING.sub(INSTEAD, text)


def told_text(text: str, most: int = MOST) -> str:
    """One line of ``text`` that is harmless, of at most ``most`` characters."""
    line = " ".join(harmless(text[: 4 * most]).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def process_name(text: str) -> str:
    """What a process calls itself, without its arguments: keys stand among them."""
    first = _ARGUMENT.split(text.rsplit("/", 1)[-1] if " " not in text else text, maxsplit=1)[0]
    return told_text(redacted(first.rsplit("/", 1)[-1][: 4 * MOST]))
