"""A project of trackio (``PROJECT.db``), read by trackio's own command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from control_room.error_words import words_for
from control_room.extra import MissingExtra
from control_room.importing.points import Points
from control_room.importing.reading import ImportOptions, ImportRefused, Reading
from control_room.recording.encoding import parse_timestamp
from control_room.security.redaction import redacted

_QUERY = "select run_name, timestamp, step, metrics from metrics order by id"
_TIMEOUT_S = 600


def read_project(path: Path, options: ImportOptions) -> Reading:
    """Metric points of one run of the project; ``options.run_name`` chooses among several.

    Raises ``ImportRefused``, and ``MissingExtra`` without the package trackio.
    """
    if find_spec("trackio") is None:
        raise MissingExtra("trackio is missing: its projects are read by `pip install trackio`")
    if not path.is_file():
        raise ImportRefused(f"{path} cannot be read: there is no such file")
    rows = _rows(path)
    names = sorted({row["run_name"] for row in rows})
    wanted = options.run_name
    if wanted is None and len(names) > 1:
        raise ImportRefused(f"{path} holds several runs: choose one with --run. {_listed(names)}")
    if wanted is not None and wanted not in names:
        raise ImportRefused(f"{path} has no run {wanted}. {_listed(names)}")
    points = Points()
    try:
        for row in rows:
            if wanted is None or row["run_name"] == wanted:
                ts = parse_timestamp(row["timestamp"])
                points.add(int(row["step"]), ts, json.loads(row["metrics"]))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ImportRefused(f"{path} is no project of trackio: {error}") from None
    return Reading("trackio run", [*points.records()], points.left_out)


def _rows(path: Path) -> list[dict[str, Any]]:
    # -P: what it imports is what is installed, not what lies where one stands.
    command = [sys.executable, "-P", "-m", "trackio.cli", "query", "project"]
    command += ["--project", path.stem, "--sql", _QUERY, "--json"]
    try:
        told = subprocess.run(
            command,
            env={**os.environ, "TRACKIO_DIR": str(path.resolve().parent)},
            capture_output=True,
            check=True,
            timeout=_TIMEOUT_S,
        )
        rows = json.loads(told.stdout)["rows"]
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise ImportRefused(f"{path} cannot be read by trackio: {redacted(reason)}") from None
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError) as error:
        raise ImportRefused(f"{path} cannot be read by trackio: {words_for(error)}") from None
    return list(rows)


def _listed(names: list[str]) -> str:
    return f"There are: {', '.join(names)}." if names else "There is none."
