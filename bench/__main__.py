"""``python -m bench``: run every measurement, print it, and write ``bench/RESULTS.md``."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import psutil

from bench.rows import Row, as_table

MODULES = (
    "recorder",
    "peers",
    "trainer",
    "app",
    "history",
    "sql",
    "files",
    "api",
    "guard",
    "machines",
    "previews",
    "analysis",
)
RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> int:
    """Measure the named modules, or all of them; only a full run writes the results."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("modules", nargs="*", help=f"any of: {', '.join(MODULES)}")
    chosen = parser.parse_args().modules or MODULES
    unknown = sorted(set(chosen) - set(MODULES))
    if unknown:
        parser.error(f"no such module: {', '.join(unknown)} (there are: {', '.join(MODULES)})")
    tables = []
    for name in chosen:
        module = importlib.import_module(f"bench.{name}")
        print(f"measuring {name} ...", flush=True)
        rows: list[Row] = module.measure()
        tables.append(f"## {name}\n\n{as_table(rows)}\n")
        print(tables[-1], flush=True)
    if set(chosen) == set(MODULES):
        RESULTS.write_text(_document(tables), encoding="utf-8")
        print(f"written to {RESULTS.relative_to(Path.cwd())}")
    return 0


def _document(tables: Sequence[str]) -> str:
    today = datetime.now().astimezone().date()
    return (
        "# Results\n\n"
        f"Measured on {today.isoformat()} by `make bench`: {_machine()}. The machine was "
        "shared with other work, so single figures vary by tens of percent.\n\n" + "\n".join(tables)
    )


def _machine() -> str:
    memory_gb = psutil.virtual_memory().total / 2**30
    return (
        f"{os.cpu_count()} cores ({_cpu_model()}), {memory_gb:.0f} GB of memory, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    )


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    sys.exit(main())
