"""Which process the kernel ends when the machine has no memory left."""

from __future__ import annotations

import logging
from pathlib import Path

log = logging.getLogger(__name__)

# Above what a trainer has (0), and below what the processes that answer questions in SQL have.
OOM_SCORE_ADJ = 600


def go_before_the_trainer(file: Path = Path("/proc/self/oom_score_adj")) -> None:
    """Have the kernel end this process before those that nobody has said anything of.

    A higher value stays as somebody has set it. Without Linux nothing happens.
    """
    try:
        if int(file.read_text(encoding="ascii")) < OOM_SCORE_ADJ:
            file.write_text(f"{OOM_SCORE_ADJ}", encoding="ascii")
    except (OSError, ValueError) as error:
        log.debug("oom_score_adj stays as it is: %s", error)
