"""What is declared once reaches everything: one made-up value of each kind, in a copy of the code.

Each test says which files it changes; all else must follow from them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support import ROOT

_PACKAGES = ("control_room", "collectors", "app", "pages")

Ask = Callable[[Mapping[str, Mapping[str, str]], str], Any]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Changes files of a copy of the code and asks it: what the script leaves in ``found``.

    Changes map a file to what is put *before* each text, which must stand there once.
    """
    code = tmp_path / "code"
    for package in _PACKAGES:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, code / package, ignore=ignore)
    shutil.copytree(ROOT / "docs", code / "docs")

    def asked(changes: Mapping[str, Mapping[str, str]], script: str) -> Any:
        for name, additions in changes.items():
            file = code / name
            text = file.read_text(encoding="utf-8")
            for place, addition in additions.items():
                assert text.count(place) == 1, (name, place)
                text = text.replace(place, addition + place)
            file.write_text(text, encoding="utf-8")
        ended = subprocess.run(
            [sys.executable, "-c", f"{script}\nimport json\nprint(json.dumps(found))"],
            cwd=code,
            env={**os.environ, "PYTHONPATH": str(code), "RUN": str(tmp_path / "run")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return json.loads(ended.stdout.splitlines()[-1])

    return asked


def test_a_training_metric_is_a_field_and_a_row(ask: Ask) -> None:
    changes = {
        "control_room/recording/records.py": {
            "    current_file: str | None = ": "    clip_share: float | None = None\n"
        },
        "control_room/recording/metrics.py": {
            '    Metric(\n        name="grad_norm",': """\
    Metric(
        name="clip_share",
        label="Clipped share",
        meaning="Share of gradients that were clipped.",
        allowed="not negative",
        library_names=("train/clip_share",),
        prometheus="training_clip_share_ratio",
        digits=2,
    ),
"""
        },
    }
    found = ask(
        changes,
        """
import os, time
from pathlib import Path
from app.api.analytics import MetricSeries, SeriesField
from app.api.prometheus import _training
from app.cards import training
from app.charts.runs import CURVES
from app.data_tables import PAGE, with_tables
from app.settings import Settings
from app.views.build import Samples, assemble
from collectors.files.training import TrainingWatch
from collectors.files.training.status_file import parse_status
from collectors.sampler import Sample
from control_room import Recorder
from control_room.history.index import HistoryIndex
from control_room.history.queries import metric_series
from control_room.recording.metric_names import known_metrics
from control_room.rundir import RunDir

run = RunDir(Path(os.environ["RUN"]))
with Recorder(run, strict=True) as recorder:
    for step in range(3):
        recorder.log_metrics(step=step, loss=1.0, clip_share=step / 4)
    recorder.update_status(current_step=2)
now = time.time()
reading = TrainingWatch(run).read(now)
live = assemble(
    Samples(training=Sample(reading=reading, read_at=now)), Settings(), now=now, version=1
).live
index = HistoryIndex(run)
index.refresh()
found = {
    "status": dict(parse_status({"clip_share": 0.25}).values),
    "refused": parse_status({"clip_share": -1}).problems,
    "imported": known_metrics({"train/clip_share": 0.125}),
    "view": live.model_dump(mode="json")["clip_share"],
    "age": "clip_share" in live.value_ages_s,
    "card": training.html(live),
    "prometheus": [
        (family.name, family.documentation, family.samples[0].value)
        for family in _training(live, {"run": "r"}) if "clip" in family.name
    ],
    "series": metric_series(index.cursor(), "clip_share", points=10).points,
    "of the API": "clip_share" in SeriesField.__args__,
    "curve": CURVES["clip_share"],
    "documented": "| `clip_share` |" in with_tables(PAGE.read_text()),
}
index.close()
""",
    )
    card = found.pop("card")
    assert "<dt>Clipped share</dt><dd>0.50</dd>" in card
    assert found == {
        "status": {"clip_share": 0.25},
        "refused": ["clip_share = -1 is left out: expected a number, 0 or more."],
        "imported": {"clip_share": 0.125},
        "view": 0.5,
        "age": True,
        "prometheus": [
            [
                "control_room_training_clip_share_ratio",
                "Share of gradients that were clipped.",
                0.5,
            ]
        ],
        "series": [[0, 0.0], [1, 0.25], [2, 0.5]],
        "of the API": True,
        "curve": "Clipped share",
        "documented": True,
    }
