"""What a run's own ``previews.toml`` may name: files of the run, and scorers that run nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from control_room.judging.scorers import BOUNDED, built_in
from control_room.rundir import RunDir
from control_room.settings.layers import shown


def bounded(
    run: RunDir, allowed: Mapping[str, Any]
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The run's settings without files that lie elsewhere and scorers that run something."""
    found, left_out = dict(allowed), []
    for name, check in (("examples", _example_file_of), ("scoring", _scoring_of)):
        entries = allowed.get(name)
        if not isinstance(entries, list):
            continue
        kept = []
        for number, entry in enumerate(entries):
            try:
                kept.append(check(run, entry) if isinstance(entry, dict) else entry)
            except (OSError, ValueError) as error:
                left_out.append((f"{name}.{number}", str(error)))
        found[name] = kept
        if not kept:
            del found[name]
    return found, left_out


def _example_file_of(run: RunDir, entry: dict[str, Any]) -> dict[str, Any]:
    told = entry.get("file")
    if not isinstance(told, str):
        return entry
    file = run.path / told
    try:
        run.inside.open(file).close()
    except FileNotFoundError:
        pass  # perhaps it comes; each opening looks again
    except OSError as error:
        raise OSError(f"{shown(told)}: {error.strerror or error}") from None
    return {**entry, "file": str(file), "inside": True}


def _scoring_of(run: RunDir, entry: dict[str, Any]) -> dict[str, Any]:
    name = entry.get("scorer")
    if isinstance(name, str) and built_in(name) not in BOUNDED.values():
        raise ValueError(
            f"scorer = {shown(name)!r}: a run directory names one of {', '.join(BOUNDED)}; put "
            "any other into your own previews.toml"
        )
    return entry
