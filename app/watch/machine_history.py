"""What the machines did in the last day, minute by minute: means of what their samples told.

It lies in the run's cache in a small database of its own. The history index is made of logs and
can be built again from them; this is in no log. Where it cannot be kept it is held in memory.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.views.models import GpuStatus, JobQueueStatus, MachineStatus
from app.views.readings import QueueTrends
from collectors.machines.gpu.reading import GPU_VALUES
from control_room.security.inside import Inside
from control_room.security.sqlite_schema import has_only

log = logging.getLogger(__name__)

KEPT_S = 24 * 3600
MINUTE_S = 60
VERSION = 1
SPARKLINE_MINUTES = 60
WHOLE_MACHINE = ""  # in place of a GPU's UUID
MOST_DEVICES = 128  # of a machine in a minute
MOST_QUEUES = 200  # in a minute

# Of GPUs, beside those that have a line of their own below.
OF_GPUS = tuple(value.name for value in GPU_VALUES if value.over_time)
VALUES = (
    "util_pct",
    "temp_c",
    "vram_pct",
    "vram_used_gb",
    "power_w",
    "cpu_pct",
    "ram_pct",
    "disk_pct",
    *OF_GPUS,
)

_TABLES = f"""
CREATE TABLE IF NOT EXISTS machine_minutes (
    minute INTEGER, machine TEXT, device TEXT, name TEXT, online REAL, temp_max_c REAL,
    {", ".join(f"{name} REAL" for name in VALUES)},
    PRIMARY KEY (minute, machine, device)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS queue_minutes (
    minute INTEGER, machine TEXT, kind TEXT, pending REAL,
    PRIMARY KEY (minute, machine, kind)
) WITHOUT ROWID;
PRAGMA user_version = {VERSION};
"""


if TYPE_CHECKING:

    class _OfGpus: ...

else:
    _OfGpus = make_dataclass(
        "_OfGpus",
        [(name, float | None, None) for name in OF_GPUS],
        frozen=True,
        slots=True,
        kw_only=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineMinute(_OfGpus):
    """The means of one minute of one machine (``device`` empty) or one of its GPUs (a UUID).

    ``minute`` is the epoch second at which it began, ``online`` the share of it, 0-1.
    """

    minute: int
    machine: str
    device: str
    name: str
    online: float
    temp_max_c: float | None = None
    util_pct: float | None = None
    temp_c: float | None = None
    vram_pct: float | None = None
    vram_used_gb: float | None = None
    power_w: float | None = None
    cpu_pct: float | None = None
    ram_pct: float | None = None
    disk_pct: float | None = None


_Row = tuple[object, ...]
_COLUMNS = ("minute", "machine", "device", "name", "online", "temp_max_c", *VALUES)


class MachineHistory:
    """One thread takes; any thread may ask.

    ``directory`` is the run's cache; nothing is written before ``ready`` says that there is a run.
    """

    def __init__(
        self,
        directory: Path,
        *,
        ready: Callable[[], bool],
        inside: Inside | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._file = directory / "machines.sqlite"
        self._inside = inside
        self._ready = ready
        self._clock = clock
        self._lock = threading.Lock()
        self._database = _memory()
        self._on_disk = False
        self._looked = False
        self._minute = int(clock() // MINUTE_S)
        self._devices: dict[tuple[str, str], _Means] = {}
        self._queues: dict[tuple[str | None, str], list[float]] = {}
        self._trends = QueueTrends()

    def close(self) -> None:
        """Write what the minute has so far, and close."""
        with self._lock:
            self._write()
            self._database.close()
            self._database, self._on_disk = _memory(), False

    def take(
        self, machines: Sequence[MachineStatus], queues: Sequence[JobQueueStatus]
    ) -> QueueTrends:
        """Count in how the machines are and what waits, and return the trends of the last hour."""
        with self._lock:
            minute = int(self._clock() // MINUTE_S)
            if minute != self._minute or not self._looked:
                # The first look brings back what an earlier process kept.
                self._write()
                self._minute, self._looked = minute, True
                self._trends = self._read_trends()
            for machine in machines:
                self._count(machine)
            for queue in queues:
                known = (queue.machine, queue.kind) in self._queues
                if queue.pending is not None and (known or len(self._queues) < MOST_QUEUES):
                    of_queue = self._queues.setdefault((queue.machine, queue.kind), [])
                    of_queue.append(queue.pending)
            return self._trends

    def minutes(self, machine: str, *, since: float) -> list[MachineMinute]:
        """The minutes of a machine and its GPUs from ``since`` (epoch seconds) on, oldest first."""
        with self._lock:
            rows = self._database.execute(
                f"SELECT {', '.join(_COLUMNS)} FROM machine_minutes "
                "WHERE machine = ? AND minute >= ? ORDER BY minute, device",
                (machine, since),
            ).fetchall()
        return [MachineMinute(**dict(zip(_COLUMNS, row, strict=True))) for row in rows]

    def _count(self, machine: MachineStatus) -> None:
        host = {name: getattr(machine, name, None) for name in VALUES} if machine.online else {}
        self._means(machine.name, WHOLE_MACHINE).add(machine.name, machine.online, host)
        devices = {device for name, device in self._devices if name == machine.name}
        for gpu in machine.gpus:
            devices.add(gpu.uuid)
            if len(devices) > MOST_DEVICES:
                break  # it calls them differently each time
            told = {name: getattr(gpu, name, None) for name in VALUES}
            self._means(machine.name, gpu.uuid).add(_called(gpu), machine.online, told)

    def _means(self, machine: str, device: str) -> _Means:
        return self._devices.setdefault((machine, device), _Means())

    def _write(self) -> None:
        """Store the minute that ended; what cannot be stored on disk is held in memory."""
        rows = [
            means.row(self._minute * MINUTE_S, machine, device)
            for (machine, device), means in self._devices.items()
        ]
        queues = [
            (self._minute * MINUTE_S, machine or "", kind, sum(values) / len(values))
            for (machine, kind), values in self._queues.items()
        ]
        self._devices, self._queues = {}, {}
        try:
            if not self._on_disk and self._ready():
                self._move_to_disk()
            self._store(rows, queues)
        except sqlite3.Error as error:
            if not self._on_disk:
                raise
            log.warning("%s cannot be written (%s): held in memory", self._file, error)
            with suppress(sqlite3.Error):
                self._database.close()
            self._database, self._on_disk = _memory(), False
            self._store(rows, queues)

    def _store(
        self, rows: Sequence[tuple[object, ...]], queues: Sequence[tuple[object, ...]]
    ) -> None:
        oldest = self._clock() - KEPT_S
        with self._database:
            for table, new in (("machine_minutes", rows), ("queue_minutes", queues)):
                if new:
                    marks = ", ".join("?" * len(new[0]))
                    self._database.executemany(
                        f"INSERT OR REPLACE INTO {table} VALUES ({marks})", new
                    )
                self._database.execute(f"DELETE FROM {table} WHERE minute < ?", (oldest,))

    def _move_to_disk(self) -> None:
        try:
            if self._inside is not None:
                for suffix in ("", "-journal", "-wal", "-shm"):
                    self._inside.check_file(self._file.with_name(self._file.name + suffix))
            opened = _open(self._file)
        except (sqlite3.Error, OSError) as error:
            log.debug("%s cannot be opened: %s", self._file, error)
            return
        held, self._database, self._on_disk = self._database, opened, True
        self._store(
            held.execute(f"SELECT {', '.join(_COLUMNS)} FROM machine_minutes").fetchall(),
            held.execute("SELECT minute, machine, kind, pending FROM queue_minutes").fetchall(),
        )
        held.close()

    def _read_trends(self) -> QueueTrends:
        since = (self._minute - SPARKLINE_MINUTES) * MINUTE_S
        found: dict[tuple[str | None, str], list[float]] = {}
        for machine, kind, pending in self._database.execute(
            "SELECT machine, kind, pending FROM queue_minutes WHERE minute >= ? ORDER BY minute",
            (since,),
        ):
            found.setdefault((machine or None, kind), []).append(pending)
        return QueueTrends({key: tuple(values) for key, values in found.items()})


class _Means:
    """One device's minute so far."""

    def __init__(self) -> None:
        self._name = ""
        self._looks = 0
        self._online = 0
        self._temp_max_c: float | None = None
        self._sums: dict[str, tuple[float, int]] = {}

    def add(self, name: str, online: bool, values: Mapping[str, float | None]) -> None:
        self._name = name
        self._looks += 1
        self._online += online
        for key, value in values.items():
            if value is not None:
                total, count = self._sums.get(key, (0.0, 0))
                self._sums[key] = (total + value, count + 1)
        temp_c = values.get("temp_c")
        if temp_c is not None and (self._temp_max_c is None or temp_c > self._temp_max_c):
            self._temp_max_c = temp_c

    def row(self, minute: int, machine: str, device: str) -> _Row:
        means = [
            total / count if count else None
            for total, count in (self._sums.get(name, (0.0, 0)) for name in VALUES)
        ]
        online = self._online / self._looks
        return (minute, machine, device, self._name, online, self._temp_max_c, *means)


def _called(gpu: GpuStatus) -> str:
    return f"GPU {gpu.index} · {gpu.name}"


def _memory() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:", check_same_thread=False)
    database.executescript(_TABLES)
    return database


def _open(file: Path) -> sqlite3.Connection:
    """The database in ``file``; one of another version or a damaged one is begun anew."""
    file.parent.mkdir(parents=True, exist_ok=True)
    for attempt in range(2):
        if not has_only(file, [_TABLES]):
            file.unlink(missing_ok=True)
        database = sqlite3.connect(file, timeout=1.0, check_same_thread=False)
        try:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version in (0, VERSION):
                # A minute that a power cut costs is no loss; waiting for the disk would be.
                database.execute("PRAGMA synchronous = OFF")
                database.executescript(_TABLES)
                return database
        except sqlite3.OperationalError:
            database.close()
            raise  # locked, read-only, full: not the file's own fault
        except sqlite3.DatabaseError:
            if attempt:
                raise
        database.close()
        file.unlink(missing_ok=True)
    raise sqlite3.DatabaseError(f"{file} cannot be begun anew")
