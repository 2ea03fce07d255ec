"""The recorder beside what people use today: each logs the same 10 000 scalars and 1 000 texts.

The others live in ``.venv-peers`` (``make bench`` makes it). Rounds take turns, so that what else
the machine does falls on all of them alike; the figures are medians.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median

from bench.rows import Row, at_least, at_most

_ROOT = Path(__file__).resolve().parent.parent
_PYTHON = _ROOT / ".venv-peers" / "bin" / "python"
_PEERS = {
    "control_room": "control_room.recording.recorder",  # the package itself loads nothing
    "trackio": "trackio",
    "tensorboard": "torch.utils.tensorboard",
    "aim": "aim",
    "mlflow": "mlflow",
    "wandb": "wandb",
}
# W&B's library reads no offline run back, and Aim's returned nothing of a run it had stored.
_COUNTABLE = ("control_room", "trackio", "tensorboard", "mlflow")
_ROUNDS = 3
_IMPORTS = 5
_KILLS = 3
_DRIP_S = 4.0
_LONGEST_S = 300.0


def measure() -> list[Row]:
    """Rows for each library that is there; ours alone has targets."""
    python = _PYTHON if _PYTHON.exists() else Path(sys.executable)
    names = [name for name, module in _PEERS.items() if _is_there(python, module)]
    stored: dict[str, list[dict[str, float]]] = defaultdict(list)
    imports: dict[str, list[tuple[float, float]]] = defaultdict(list)
    lost: dict[str, list[int]] = defaultdict(list)
    for _ in range(_ROUNDS):
        for name in names:
            stored[name].append(_store(python, name))
    for _ in range(_IMPORTS):
        for name in names:
            imports[name].append(_import(python, _PEERS[name]))
    for _ in range(_KILLS):
        for name in names:
            if name in _COUNTABLE:
                lost[name].append(_lost(python, name))
    rows = []
    for name in names:
        rows += _rows(name, stored[name], imports[name], lost[name])
    ahead = [each for each in names if each != "control_room"]
    if ahead:
        ours = median(each["stored_per_s"] for each in stored["control_room"])
        best = max(median(each["stored_per_s"] for each in stored[name]) for name in ahead)
        rows.append(at_least("stored records/s, times the best peer's", ours / best, "x", 1.0))
    return rows


def _rows(
    name: str,
    stored: list[dict[str, float]],
    imports: list[tuple[float, float]],
    lost: list[int],
) -> list[Row]:
    per_s = median(each["stored_per_s"] for each in stored)
    import_ms = median(ms for ms, _ in imports)
    import_mb = median(mb for _, mb in imports)
    is_ours = name == "control_room"
    rows = [
        Row(f"{name}: scalars and texts stored", per_s, "records/s"),
        Row(f"{name}: a scalar, p50", median(each["p50_us"] for each in stored), "µs"),
        Row(f"{name}: a scalar, p99", median(each["p99_us"] for each in stored), "µs"),
        at_most(f"{name}: import", import_ms, "ms", 30.0)
        if is_ours
        else Row(f"{name}: import", import_ms, "ms"),
        at_most(f"{name}: import, memory", import_mb, "MB", 5.0)
        if is_ours
        else Row(f"{name}: import, memory", import_mb, "MB"),
    ]
    if lost:
        what = f"{name}: acknowledged scalars lost to kill -9, most of {len(lost)}"
        most = max(lost)
        rows.append(at_most(what, most, "scalars", 0.0) if is_ours else Row(what, most, "scalars"))
    return rows


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(_ROOT), "HF_HUB_OFFLINE": "1"}


def _is_there(python: Path, module: str) -> bool:
    tried = subprocess.run(
        [python, "-c", f"import {module}"], env=_environment(), capture_output=True, check=False
    )
    return tried.returncode == 0


def _child(python: Path, *arguments: str) -> list[str]:
    return [str(python), "-m", "bench.peer_writers", *arguments]


def _store(python: Path, name: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as directory:
        told = subprocess.run(
            _child(python, name, "store", directory),
            env=_environment(),
            cwd=directory,
            check=True,
            timeout=_LONGEST_S,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    figures: dict[str, float] = json.loads(told.stdout.splitlines()[-1])
    return figures


def _import(python: Path, module: str) -> tuple[float, float]:
    """Milliseconds, and megabytes of resident memory that it adds."""
    code = (
        "import resource, time\n"
        "def pages(): return int(open('/proc/self/statm').read().split()[1])\n"
        f"before = pages(); began = time.perf_counter(); import {module}\n"
        "took_ms = (time.perf_counter() - began) * 1e3\n"
        "print(took_ms, (pages() - before) * resource.getpagesize() / 1e6)"
    )
    told = subprocess.run(
        [python, "-c", code],
        env=_environment(),
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    ms, mb = told.stdout.splitlines()[-1].split()
    return float(ms), float(mb)


def _lost(python: Path, name: str) -> int:
    """Scalars whose call had returned when the process was killed, and that are not there."""
    with tempfile.TemporaryDirectory() as directory:
        reading, writing = os.pipe()
        process = subprocess.Popen(
            _child(python, name, "drip", directory, str(writing)),
            env=_environment(),
            cwd=directory,
            pass_fds=[writing],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(writing)
        with os.fdopen(reading, "rb") as acknowledged:
            try:
                first = acknowledged.readline()
                assert first, f"{name} logged nothing"
                time.sleep(_DRIP_S)
            finally:
                process.kill()
                process.wait()
            count = len((first + acknowledged.read()).splitlines())
        told = subprocess.run(
            _child(python, name, "count", directory),
            env=_environment(),
            cwd=directory,
            check=True,
            timeout=_LONGEST_S,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        return count - int(json.loads(told.stdout.splitlines()[-1]))
