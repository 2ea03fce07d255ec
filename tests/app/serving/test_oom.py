"""The app goes before the trainer when the machine has no memory left."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.serving.oom import OOM_SCORE_ADJ, go_before_the_trainer


@pytest.mark.parametrize(
    ("before", "after"), [("0", OOM_SCORE_ADJ), ("-500", OOM_SCORE_ADJ), ("900", 900)]
)
def test_it_is_raised_but_never_lowered(tmp_path: Path, before: str, after: int) -> None:
    file = tmp_path / "oom_score_adj"
    file.write_text(f"{before}\n")
    go_before_the_trainer(file)
    assert int(file.read_text()) == after


def test_without_linux_nothing_happens(tmp_path: Path) -> None:
    go_before_the_trainer(tmp_path / "no such file")
