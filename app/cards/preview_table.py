"""A row of the table of previews: the columns that fields of the record declare."""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.cards.preview import failure
from app.text.visible import cell
from control_room.history.queries import PreviewRow
from control_room.recording.fields import FieldRule, rules_of
from control_room.recording.records import PreviewRecord


def _columns() -> dict[str, FieldRule]:
    """The fields that are columns, by heading, in the order of their places."""
    shown = [
        (rule.about.column, rule)
        for rule in rules_of(PreviewRecord).values()
        if rule.about.column is not None
    ]
    shown.sort(key=lambda placed: placed[0])
    return {rule.about.heading or rule.label: rule for _, rule in shown}


COLUMNS = _columns()


def table_row(row: PreviewRow) -> dict[str, Any]:
    """The cells of one preview by their headings."""
    return {heading: _cell(rule, row) for heading, rule in COLUMNS.items()}


def column_config() -> dict[str, Any]:
    """How columns are written, by heading; the others as they come."""
    formats: dict[str, Any] = {
        "datetime": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm:ss"),
        "float": st.column_config.NumberColumn(format="%.3f"),
    }
    config = {
        heading: formats[rule.kind] for heading, rule in COLUMNS.items() if rule.kind in formats
    }
    narrow = next(heading for heading, rule in COLUMNS.items() if rule.name == "failure_mode")
    return {**config, narrow: st.column_config.TextColumn(width=130)}


def _cell(rule: FieldRule, row: PreviewRow) -> object:
    value: object = getattr(row, rule.name)
    if rule.name == "failure_mode":  # which an answer that never came has not
        return cell(failure(row))
    if rule.kind == "bool":
        return "" if value is None else "✓" if value else "✕"
    return cell(value) if isinstance(value, str) else value
