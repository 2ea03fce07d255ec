"""Every file that follows from declarations is current."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.generate import data_docs, field_types
from app.generate.__main__ import main
from app.generate.files import ROOT, generated


@pytest.mark.parametrize("path", generated(), ids=lambda path: path.name)
def test_it_is_what_the_declarations_make_of_it(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == generated()[path], "run `python -m app.generate`"


def test_a_check_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in generated()}
    assert main(["--check"]) == 0
    assert capsys.readouterr().out == ""
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_check_names_what_is_outdated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = ROOT / "docs" / "API.md"
    monkeypatch.setattr("app.generate.__main__.generated", lambda: {page: "something else"})
    assert main(["--check"]) == 1
    assert "docs/API.md is outdated" in capsys.readouterr().out


@pytest.mark.parametrize("write", [data_docs.with_tables, field_types.with_fields])
def test_a_table_without_a_place_is_no_silent_loss(write: object) -> None:
    assert callable(write)
    with pytest.raises(ValueError, match="has no place"):
        write("# A page without tables\n")
