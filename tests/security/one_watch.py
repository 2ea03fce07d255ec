"""Watches one machine for some seconds and tells, as JSON, what that took and brought.

``python -m tests.security.one_watch MACHINE_AS_JSON SECONDS TIMEOUT_S``: in a process of its own,
so that the memory is that of the watching alone, and bounded.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import psutil

from app.settings import load_settings
from app.views.build import Samples
from app.watch.machine_history import MachineHistory
from app.watch.sources import hush_libraries, machine_sources

_MOST_BYTES = 3 * 2**30  # of address space: an attack that works must not take the machine


def _no_samples() -> Samples:
    raise AssertionError("nothing asks for it")


def _forget_peak() -> None:
    """What importing took is not what watching takes; nor what the parent had when it forked."""
    Path("/proc/self/clear_refs").write_text("5")


def _peak_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def main() -> None:
    machine, seconds, timeout_s = json.loads(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    hush_libraries()
    with tempfile.TemporaryDirectory() as directory:
        settings = load_settings(
            {
                "run_dir": directory,
                "machines": [machine],
                "intervals": {"machine_timeout_s": timeout_s, "machines_s": 0.2},
            },
            working_dir=Path(directory),
        )
        history = MachineHistory(Path(directory), ready=lambda: False)
        sources = machine_sources(settings, history, _no_samples)
        source = next(each for each in sources if each.name.startswith(("ssh ", "http ")))
        before, slowest_s = psutil.Process().memory_info().rss, 0.0
        states: list[str] = []
        _forget_peak()
        messages: dict[str, None] = {}
        began_at = time.monotonic()
        # On a busy machine the attack itself may be late.
        while (
            not states
            or time.monotonic() < began_at + seconds
            or (set(states) == {"timeout"} and time.monotonic() < began_at + 30 * seconds)
        ):
            began = time.monotonic()
            reading = source.read()
            slowest_s = max(slowest_s, time.monotonic() - began)
            states.append(reading.state)
            messages |= {str(reading.message): None}
            time.sleep(0.05)
        peak = _peak_bytes()
        told = {
            "states": states,
            "message": reading.message,
            "messages": list(messages)[:50],
            "problems": list(getattr(reading, "problems", ())),
            "gpus": 0 if reading.gpus is None else len(reading.gpus.gpus),
            "gpu_message": None if reading.gpus is None else reading.gpus.message,
            "reading": repr(reading)[:20_000],
            "grown_mb": (peak - before) / 2**20,
            "slowest_s": slowest_s,
        }
        sys.stdout.write(json.dumps(told))
        sys.stdout.flush()
        if source.close is not None:
            source.close()


if __name__ == "__main__":
    main()
