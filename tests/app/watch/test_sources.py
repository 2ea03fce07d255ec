"""What is sampled: sources feed on samples, never on the views that are made of them."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from app.settings import load_settings
from app.views.build import Samples
from app.views.build_machines import MachineSamples
from app.watch.machine_history import MINUTE_S, MachineHistory
from app.watch.sources import machine_sources
from collectors.jobs import JobQueue
from collectors.machines.host import HostReading
from collectors.machines.server_reading import ServerReading
from collectors.sampler import Sample

START = 1_800_000_000 // MINUTE_S * MINUTE_S


def test_the_machines_history_is_made_of_their_samples(tmp_path: Path) -> None:
    now = float(START)
    machine = {"name": "box", "role": "inference", "http": {"url": "http://127.0.0.1:9"}}
    settings = load_settings({"run_dir": str(tmp_path / "run"), "machines": [machine]})
    unknown: dict[str, Any] = dict.fromkeys(f.name for f in fields(HostReading))
    host = HostReading(**{**unknown, "cpu_pct": 40.0, "ram_used_gb": 8.0, "ram_total_gb": 32.0})
    server = ServerReading(state="ok", host=host, jobs=(JobQueue(kind="eval", pending=3),))
    samples = Samples(machines={"box": MachineSamples(server=Sample(reading=server))})
    history = MachineHistory(tmp_path / "cache", ready=lambda: False, clock=lambda: now)
    source, *_ = machine_sources(settings, history, lambda: samples)
    source.read()
    now += MINUTE_S
    trends = source.read()
    (minute,) = history.minutes("box", since=0)
    assert (minute.online, minute.cpu_pct) == (1, 40)
    assert minute.ram_pct == pytest.approx(25)
    assert trends.pending == {("box", "eval"): (3,)}
