"""Every file that follows from declarations, and what has to be in it."""

from __future__ import annotations

from pathlib import Path

from app.generate import api_docs, data_docs, field_types, settings_docs

ROOT = Path(__file__).resolve().parents[2]


def generated() -> dict[Path, str]:
    """The content that each file has to have."""
    return {
        **api_docs.generated(),
        data_docs.PAGE: data_docs.with_tables(data_docs.PAGE.read_text(encoding="utf-8")),
        settings_docs.PAGE: settings_docs.with_table(
            settings_docs.PAGE.read_text(encoding="utf-8")
        ),
        field_types.FILE: field_types.with_fields(field_types.FILE.read_text(encoding="utf-8")),
    }
