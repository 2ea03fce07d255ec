"""Notes on charts: only those within what is shown, and never as markup."""

from __future__ import annotations

from datetime import UTC, datetime

from app.charts.base import Chart
from app.charts.notes import with_notes
from control_room.history.questions.notes import Note

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


def chart(x: list[object]) -> Chart:
    return Chart({"data": [{"x": x}], "layout": {"shapes": [{"type": "line"}]}}, "said")


def note(step: int | None, text: str = "lowered lr") -> Note:
    return Note(AT, step, text)


def test_a_note_is_a_line_with_its_text() -> None:
    figure = with_notes(chart([10, 20]), [note(15)]).figure
    assert [shape.get("x0") for shape in figure["layout"]["shapes"]] == [None, 15]
    assert figure["layout"]["annotations"][0]["hovertext"] == "lowered lr"


def test_notes_outside_or_without_a_step_are_not_drawn() -> None:
    given = chart([10, 20])
    assert with_notes(given, [note(5), note(25), note(None)]) is given


def test_the_given_chart_stays_as_it_was() -> None:
    given = chart([10, 20])
    with_notes(given, [note(15)])
    assert len(given.figure["layout"]["shapes"]) == 1


def test_an_empty_chart_takes_none() -> None:
    given = Chart({"data": [], "layout": {}}, "")
    assert with_notes(given, [note(1)]) is given


def test_over_time_they_stand_at_their_moment() -> None:
    local = AT.astimezone().replace(tzinfo=None)
    given = chart([local.replace(hour=0).isoformat(), local.replace(hour=23).isoformat()])
    figure = with_notes(given, [note(None)], "time").figure
    assert figure["layout"]["annotations"][0]["x"] == local.isoformat()


def test_text_is_no_markup() -> None:
    figure = with_notes(chart([1, 2]), [note(1, "<b>x</b>")]).figure
    assert figure["layout"]["annotations"][0]["hovertext"] == "&lt;b&gt;x&lt;/b&gt;"
