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
            env={
                **os.environ,
                "PYTHONPATH": str(code),
                "TESTS": str(ROOT),
                "RUN": str(tmp_path / "run"),
            },
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
from app.api.runs import CurveName
from app.cards import training
from app.charts.runs import CURVES
from app.generate.data_docs import PAGE, with_tables
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
    "curve of the API": "clip_share" in CurveName.__args__,
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
        "curve of the API": True,
        "documented": True,
    }


def test_a_gpu_value_is_two_fields_a_row_and_a_question(ask: Ask) -> None:
    changes = {
        "collectors/machines/gpu/reading.py": {
            "    throttle_reasons: tuple[str, ...] = ()": "    clock_mhz: float | None = None\n",
            '    GpuValue(\n        name="fan_pct",': """\
    GpuValue(
        name="clock_mhz",
        label="Clock",
        unit="MHz",
        lowest=0,
        highest=10_000,
        smi="clocks.sm",
        server="clock_sm_mhz",
        prometheus="gpu_clock_megahertz",
        meaning="Clock of the GPU.",
    ),
""",
        },
        "collectors/machines/gpu/nvml.py": {
            '    Metric(\n        "throttle_reasons",': """\
    Metric(
        "clock_mhz",
        lambda lib, gpu: {"clock_mhz": float(answer(lib, gpu, ("nvmlDeviceGetClockInfo", (1,))))},
        ("clock_mhz",),
    ),
"""
        },
        "app/views/models.py": {
            "    throttle_reasons: tuple[str, ...] = ()": "    clock_mhz: Measured | None = None\n"
        },
    }
    found = ask(
        changes,
        """
import os, sys
from pathlib import Path
sys.path.append(os.environ["TESTS"])
from tests.collectors.machines.gpu.nvml_stand_in import Card, NvmlStandIn
from app.api.prometheus import _machines
from app.api.system import MachineMinuteView, _view
from app.cards import hardware
from app.charts.machines import machine_charts
from app.settings import Machine, Settings
from app.views.build_machines import MachineSamples, machine_views
from app.watch.machine_history import MachineHistory
from collectors.machines.gpu.local import NvmlSession
from collectors.machines.gpu.nvidia_smi import GPU_FIELDS, parse_gpus
from collectors.machines.native_server import read_gpus
from collectors.sampler import Sample

card = Card()
card.answers["nvmlDeviceGetClockInfo"] = 1980
with NvmlSession(lambda: NvmlStandIn(card)) as session:
    reading = session.read()
machines = machine_views(
    {"box": MachineSamples(gpu=Sample(reading=reading, read_at=1.0), host=Sample())},
    Settings(machines=(Machine(name="box", role="training", local=True),)),
    1.0,
)
clock = [0.0]
history = MachineHistory(Path(os.environ["RUN"]), ready=lambda: True, clock=lambda: clock[0])
history.take(machines, ())
clock[0] = 60.0
history.take(machines, ())
minutes = history.minutes("box", since=0)
smi = dict.fromkeys(GPU_FIELDS, "[N/A]") | {"index": "0", "uuid": "GPU-a", "clocks.sm": "1410"}
found = {
    "nvml": reading.gpus[0].clock_mhz,
    "nvidia-smi": parse_gpus(GPU_FIELDS, 0, ", ".join(smi.values())).gpus[0].clock_mhz,
    "server": read_gpus({"clock_sm_mhz": 1200}).gpus[0].clock_mhz,
    "view": machines[0].model_dump(mode="json")["gpus"][0]["clock_mhz"],
    "card": hardware.html(machines),
    "prometheus": [
        (family.name, family.documentation, family.samples[0].value)
        for family in _machines(machines) if "clock" in family.name
    ],
    "day": [_view(m).model_dump()["clock_mhz"] for m in minutes if m.device],
    "of the API": "clock_mhz" in MachineMinuteView.model_json_schema()["properties"],
    "chart": [chart.rows for title, chart in machine_charts(machines[0], minutes)
              if title == "Clock"][0][0]["clock_mhz"],
}
history.close()
""",
    )
    assert "<dt>Clock</dt><dd>1980 MHz</dd>" in found.pop("card")
    assert found == {
        "nvml": 1980.0,
        "nvidia-smi": 1410.0,
        "server": 1200.0,
        "view": 1980.0,
        "prometheus": [["control_room_gpu_clock_megahertz", "Clock of the GPU.", 1980.0]],
        "day": [1980.0],
        "of the API": True,
        "chart": 1980.0,
    }


def test_a_failure_mode_is_declared_where_it_is_decided(ask: Ask) -> None:
    changes = {
        "control_room/judging/scoring.py": {
            '    "wrong_content",\n]': '    "refusal",\n',
            '    "wrong_content": Failure(': '    "refusal": Failure("declines", "degenerate"),\n',
            "    if normalized_match(wanted, content) or _nearly": """\
    if content.startswith("I cannot"):
        return "refusal"
""",
        }
    }
    found = ask(
        changes,
        """
import os
from pathlib import Path
from app.charts import analytics
from app.generate.data_docs import PAGE, with_tables
from control_room import Recorder
from control_room.history.filters import PreviewFilter
from control_room.history.index import HistoryIndex
from control_room.history.queries import choices
from control_room.history.questions.aggregates import failure_modes
from control_room.history.questions.drift import drift
from control_room.judging.scoring import score
from control_room.rundir import RunDir

run = RunDir(Path(os.environ["RUN"]))
with Recorder(run, strict=True) as recorder:
    for step, answer in enumerate(["4", "I cannot say that.", "17"]):
        fields = score("4", answer).fields()
        recorder.log_preview(step=step, prompt="2 + 2?", golden="4", model_answer=answer, **fields)
index = HistoryIndex(run)
index.refresh()
cursor, everything = index.cursor(), PreviewFilter()
found = {
    "mode": score("4", "I cannot say that.").failure_mode,
    "filter": choices(cursor, "failure_mode"),
    "shares": {s.failure_mode: s.count for s in failure_modes(cursor, everything)},
    "chart": analytics.failure_shares(failure_modes(cursor, everything)).figure["data"][0]["y"],
    "drift": drift(cursor, everything, bins=1)[0].counts,
    "documented": "| `refusal` | declines |" in with_tables(PAGE.read_text()),
}
index.close()
""",
    )
    assert found == {
        "mode": "refusal",
        "filter": ["refusal", "wrong_content"],
        "shares": {"refusal": 1, "wrong_content": 1},
        "chart": ["wrong content", "refusal"],
        "drift": {"right": 1, "form": 0, "content": 1, "degenerate": 1},
        "documented": True,
    }


def test_a_regime_with_its_contract_is_settings_alone(ask: Ask, tmp_path: Path) -> None:
    settings = tmp_path / "previews.toml"
    settings.write_text(
        '[server]\nurl = "http://127.0.0.1:8000"\n[[examples]]\nfile = "set.jsonl"\n'
        '[[contracts.bullets]]\ncheck = "prefix_repeat"\nname = "bullet"\nsymbols = ["*"]\n'
        "min_repeats = 1\nmax_repeats = 1\n"
    )
    found = ask(
        {},
        f"""
from pathlib import Path
from control_room.judging.scoring import score
from control_room.previews.config import load_config

contracts = load_config(Path({str(settings)!r})).all_contracts
found = [score("4", answer, "bullets", contracts=contracts).fields() for answer in ("* 4", "4")]
""",
    )
    kept, broken = found
    assert (kept["exact_match"], kept["contract_status"]) == (True, {"bullet": True})
    assert (broken["exact_match"], broken["failure_mode"]) == (True, "contract_violation")
