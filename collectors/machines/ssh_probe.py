"""What is asked of a machine over SSH, in plain POSIX shell, and how its answer is understood.

The remote side is one ``sh`` that waits for a line, answers it and waits again: a reading is one
line there and one answer back. It needs nothing but a Linux ``/proc``, ``grep``, ``df`` and, where
there is a GPU, ``nvidia-smi``; it writes nothing.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from collectors.machines.host import HostReading
from collectors.machines.remote_text import harmless, told_text

Part = Literal["host", "disk", "gpu", "processes", "mig"]

# Every login shell can run this, whatever its syntax; what follows is read by sh from its input.
# LC_ALL: numbers with points, and messages in the words that are looked for.
COMMAND = "exec env LC_ALL=C sh"

# Each part answers when it is done: a df that hangs on a dead network drive, or an nvidia-smi that
# hangs in its driver, keeps nothing else waiting. Each line says whose it is, as parts may mix.
_SCRIPT = r"""
exec 2>/dev/null
ask() {
  case $1 in
    host) grep -hE '^(cpu|MemTotal:|MemAvailable:|SwapTotal:|SwapFree:)' /proc/stat /proc/meminfo
      cat /proc/loadavg /proc/uptime /proc/sys/kernel/hostname ;;
    disk) df -Pk -- "$disk" ;;
    gpu) nvidia-smi --query-gpu="$fields" --format=csv,noheader,nounits ;;
    processes) nvidia-smi --query-compute-apps="$apps" --format=csv,noheader,nounits ;;
    mig) nvidia-smi -L ;;
  esac
}
answer() {
  text=$(ask "$1" 2>&1 </dev/null)
  status=$?
  set -f
  IFS='
'
  for line in $text; do printf '@%s %s:%s\n' "$1" "$2" "$line"; done
  printf '@@%s %s %s\n' "$1" "$2" "$status"
}
probe() {
  number=$1
  fields=$2
  shift 2
  for part do answer "$part" "$number" & done
}
"""

# Numbers of so many digits as there can be: more would overflow, or be measured for ever.
_LINE = re.compile(r"@(\w{1,20}) (\d{1,18}):(.*)", re.ASCII)
_END = re.compile(r"@@(\w{1,20}) (\d{1,18}) (\d{1,5})", re.ASCII)
_CPU = re.compile(r"^cpu((?: +\d{1,18}){4,20}) *$", re.MULTILINE | re.ASCII)
_ONE_CPU = re.compile(r"^cpu\d{1,5} ", re.MULTILINE | re.ASCII)
_MEMORY = re.compile(r"^(\w{1,40}): {1,40}(\d{1,15}) kB$", re.MULTILINE | re.ASCII)
_LOAD = re.compile(
    r"^(\d{1,7}\.\d{1,6}) \d{1,7}\.\d{1,6} \d{1,7}\.\d{1,6} \d+/\d+ \d+$", re.MULTILINE | re.ASCII
)
_UPTIME = re.compile(r"^(\d{1,12}\.\d{1,6}) \d{1,18}\.\d{1,6}$", re.MULTILINE | re.ASCII)
# Names of devices can hold spaces; the numbers before the percentage cannot.
_DF = re.compile(r"\s(\d{1,18})\s+(\d{1,18})\s+-?\d{1,18}\s+\d{1,3}%\s", re.ASCII)
_KB_PER_GB = 2**20
_MAX_PASSED_OVER = 200
_MAX_LINE = 4096  # characters
_MAX_PART = 2**19  # of one part's answer: thousands of processes


def prelude(disk: str, process_fields: Sequence[str]) -> str:
    """What the remote shell is told once."""
    return f"{_SCRIPT}disk={shlex.quote(disk)}\napps={','.join(process_fields)}\n"


def request(number: int, gpu_fields: Sequence[str], parts: Sequence[Part]) -> str:
    """The line that asks for ``parts``; answers carry ``number``."""
    return f"probe {number} {','.join(gpu_fields)} {' '.join(parts)}\n"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one part answered: the exit status of its command and what it printed."""

    part: str
    number: int
    status: int
    text: str


class EndlessAnswer(Exception):
    """One part answers more than any machine has to tell."""


class AnswerReader:
    """Sorts what arrives into answers. Anything else (a banner, a motd) is passed over.

    So is what answers no question that is out: ``is_out`` is asked for a part and the number of
    its question. Of long lines the beginning counts.
    """

    def __init__(self, is_out: Callable[[str, int], bool]) -> None:
        self.passed_over = ""  # the beginning of it
        self._is_out = is_out
        self._rest = ""
        self._open: dict[tuple[str, int], list[str]] = {}
        self._sizes: dict[tuple[str, int], int] = {}

    def feed(self, text: str) -> list[Answer]:
        """The answers that ``text`` completes. Raises :class:`EndlessAnswer`."""
        first, *others = text.split("\n")
        answers = []
        for piece in others:
            if (answer := self._line(self._rest + first)) is not None:
                answers.append(answer)
            self._rest, first = "", piece
        # One character more than counts shows that the line was cut.
        self._rest += first[: _MAX_LINE + 1 - len(self._rest)]
        return answers

    def _line(self, line: str) -> Answer | None:
        line = harmless(line[:_MAX_LINE].rstrip("\r"))
        if found := _LINE.fullmatch(line):
            self._take(found[1], int(found[2]), found[3])
        elif found := _END.fullmatch(line):
            part, number = found[1], int(found[2])
            told = self._open.pop((part, number), [])
            self._sizes.pop((part, number), None)
            if self._is_out(part, number):
                return Answer(part, number, int(found[3]), "\n".join(told))
        elif len(self.passed_over) < _MAX_PASSED_OVER:
            self.passed_over += f"{line[:_MAX_PASSED_OVER]}\n"
        return None

    def _take(self, part: str, number: int, text: str) -> None:
        if not self._is_out(part, number):
            return
        key = (part, number)
        self._open.setdefault(key, []).append(text)
        self._sizes[key] = self._sizes.get(key, 0) + len(text) + 1
        if self._sizes[key] > _MAX_PART:
            raise EndlessAnswer(part)


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Of all CPUs since boot, in ticks."""

    busy: int
    total: int

    def pct_since(self, before: CpuTimes | None) -> float | None:
        """How busy the CPUs were since ``before``, 0-100; None where there is no telling."""
        if before is None or self.total <= before.total or self.busy < before.busy:
            return None
        return min(100.0, 100 * (self.busy - before.busy) / (self.total - before.total))


def cpu_times(text: str) -> CpuTimes | None:
    """The CPU times of a host's answer."""
    found = _CPU.search(text)
    if found is None:
        return None
    # user nice system idle iowait irq softirq steal: a guest's are in user and nice too, and
    # waiting for a disk is not being busy.
    ticks = [int(tick) for tick in found[1].split()[:8]]
    return CpuTimes(busy=sum(ticks) - sum(ticks[3:5]), total=sum(ticks))


def host_reading(
    host: Answer | None, disk: Answer | None, *, name: str, path: str, cpu_before: CpuTimes | None
) -> HostReading:
    """The machine's CPU, memory and disk. What was not answered is None, and ``problem`` says."""
    text = host.text if host is not None else ""
    memory = _memory(text)
    loads, uptime_s, hostname = _tail(text)
    times = cpu_times(text)
    disk_kb, disk_problem = _disk(disk, path)
    problem = None if memory else "tells no memory: /proc/meminfo cannot be read there"
    cpus = len(_ONE_CPU.findall(text))
    return HostReading(
        hostname=hostname or name,
        cpu_count=float(cpus) if cpus else None,
        cpu_pct=None if times is None else times.pct_since(cpu_before),
        load_1m=loads,
        ram_used_gb=_used(memory, "MemTotal", "MemAvailable"),
        ram_total_gb=_gb(memory.get("MemTotal")),
        swap_used_gb=_used(memory, "SwapTotal", "SwapFree"),
        swap_total_gb=_gb(memory.get("SwapTotal")),
        disk_path=Path(path),
        disk_used_gb=_gb(disk_kb[0] if disk_kb else None),
        disk_total_gb=_gb(disk_kb[1] if disk_kb else None),
        uptime_s=uptime_s,
        problem="; ".join(filter(None, (problem, disk_problem))) or None,
    )


def _memory(text: str) -> Mapping[str, int]:
    """In KiB, by the names of /proc/meminfo."""
    return {name: int(kb) for name, kb in _MEMORY.findall(text)}


def _used(memory: Mapping[str, int], total: str, free: str) -> float | None:
    if total not in memory or free not in memory:
        return None
    return _gb(max(0, memory[total] - memory[free]))


def _gb(kb: int | None) -> float | None:
    return None if kb is None else kb / _KB_PER_GB


def _tail(text: str) -> tuple[float | None, float | None, str | None]:
    """Load over a minute, seconds since boot and the machine's name."""
    load, uptime = _LOAD.search(text), _UPTIME.search(text)
    last = text.splitlines()[-1].strip() if text.strip() else ""
    return (
        float(load[1]) if load else None,
        float(uptime[1]) if uptime else None,
        last if re.fullmatch(r"[\w.-]{1,255}", last) and not last.isdigit() else None,
    )


def _disk(answer: Answer | None, path: str) -> tuple[tuple[int, int] | None, str | None]:
    """Used and total KiB, and why there are none."""
    if answer is None:
        return None, f"the disk of {path} does not answer: a network drive that is gone?"
    lines = answer.text.splitlines()
    found = _DF.search(lines[-1]) if lines else None
    if answer.status != 0 or found is None:
        told = told_text(answer.text) or f"df ended with {answer.status}"
        return None, f"cannot read the disk of {path}: {told}"
    return (int(found[2]), int(found[1])), None
