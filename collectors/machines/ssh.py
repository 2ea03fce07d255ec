"""A machine that is looked at over SSH: its GPUs through ``nvidia-smi``, the rest through /proc.

One connection is kept open, and one line sent on it is one reading. A part that is still out is
not asked again, so nothing piles up on a machine whose driver or disk hangs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from collectors.machines.gpu import nvidia_smi
from collectors.machines.gpu.reading import GpuProcess, GpusReading, MigInstance
from collectors.machines.remote_text import told_text
from collectors.machines.ssh_connection import SshConnection
from collectors.machines.ssh_probe import (
    COMMAND,
    Answer,
    AnswerReader,
    CpuTimes,
    EndlessAnswer,
    Part,
    cpu_times,
    host_reading,
    prelude,
    request,
)
from collectors.machines.ssh_reading import SshReading, SshState, SshTarget
from collectors.machines.ssh_route import SshError
from collectors.patience import Patience

SHARES_EVERY_S = 15.0  # processes and MIG instances: a second and third run of nvidia-smi
GIVE_UP_AFTER_S = 60.0  # on a connection that lives and does not answer

# What only a person can mend is not tried at every reading: servers lock out who tries too often.
_FOR_A_PERSON: frozenset[SshState] = frozenset(
    {"auth_failed", "unknown_host_key", "changed_host_key", "unsupported"}
)


_KEY = "ssh"


class SshWatch:
    """Looks at one machine again and again, from one thread. Nothing is sent by making it.

    ``interval_s`` is how often it is read: a machine that went away is tried again at least that
    often. ``clock`` counts seconds and never goes back.
    """

    def __init__(
        self,
        target: SshTarget,
        *,
        name: str,
        disk: str = "/",
        interval_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._target = target
        self._name = name
        self._disk = disk
        self._clock = clock
        # A machine that comes back is to be seen at the next reading but one.
        self._absent = Patience(
            clock, first_pause_s=interval_s / 4, longest_pause_s=0.9 * interval_s
        )
        self._refusing = Patience(clock, first_pause_s=10, longest_pause_s=300)
        self._failure: SshError | None = None
        self._answered_at: float | None = None
        self._cpu_before: CpuTimes | None = None
        self._gpus = _GpuQuestions(clock)
        self._shell: _Shell | None = None

    def close(self) -> None:
        """Hang up. A later read connects again."""
        if self._shell is not None:
            self._shell.connection.close()
            self._shell = None

    def read(self) -> SshReading:
        """Look once. Never raises for what the network or the machine does: the reading says."""
        if self._failure is not None and self._absent.pausing(_KEY):
            return self._without_answer(self._failure.state, str(self._failure))
        refused = self._refusing.pausing(_KEY)
        if self._failure is not None and refused is not None:
            again_s = refused.until - self._clock()
            message = f"{self._failure} (tried again in {again_s:.0f} s)"
            return self._without_answer(self._failure.state, message)
        try:
            shell, answers = self._ask()
        except SshError as error:
            self.close()
            self._failure = error
            patience = self._refusing if error.state in _FOR_A_PERSON else self._absent
            patience.failed(_KEY, str(error))
            return self._without_answer(error.state, str(error))
        if not answers:
            return self._without_answer(
                "timeout", f"{self._target.host} is connected and does not answer"
            )
        self._failure = None
        self._absent.worked(_KEY)
        self._refusing.worked(_KEY)
        return self._reading(answers, shell)

    def _ask(self) -> tuple[_Shell, Mapping[str, Answer]]:
        """What is answered in time, by part. Raises SshError."""
        if self._shell is None:
            connection = SshConnection(self._target, COMMAND)
            self._shell = _Shell(connection, self._clock)
            connection.send(prelude(self._disk, nvidia_smi.PROCESS_FIELDS))
        shell = self._shell
        parts: list[Part] = ["host", "disk", *self._gpus.wanted()]
        answers = shell.ask(parts, self._gpus.fields, self._target.timeout_s)
        if not answers and shell.silent_s > GIVE_UP_AFTER_S:
            raise SshError(
                "timeout", f"{self._target.host} has not answered for {GIVE_UP_AFTER_S:.0f} s"
            )
        return shell, answers

    def _without_answer(self, state: SshState, message: str) -> SshReading:
        self._cpu_before = None
        return SshReading(state=state, message=message, answered_at=self._answered_at)

    def _reading(self, answers: Mapping[str, Answer], shell: _Shell) -> SshReading:
        host = answers.get("host")
        reading = host_reading(
            host,
            answers.get("disk"),
            name=self._name,
            path=self._disk,
            cpu_before=self._cpu_before,
        )
        self._cpu_before = None if host is None else cpu_times(host.text)
        self._answered_at = time.time()
        return SshReading(
            state="ok",
            host=reading,
            gpus=self._gpus.reading(answers, shell.out_s("gpu")),
            answered_at=self._answered_at,
        )


class _GpuQuestions:
    """What is asked of ``nvidia-smi`` and what is known of its answers."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.fields = nvidia_smi.GPU_FIELDS
        self._clock = clock
        self._processes: Mapping[str, tuple[GpuProcess, ...]] | None = None
        self._instances: Mapping[str, tuple[MigInstance, ...]] = {}
        self._shares_at = clock() - SHARES_EVERY_S
        self._any = True  # whether there may be a GPU
        self._split = False

    def wanted(self) -> list[Part]:
        """The parts that are due."""
        wanted: list[Part] = ["gpu"]
        if self._any and self._clock() - self._shares_at >= SHARES_EVERY_S:
            wanted.append("processes")
            if self._split:
                wanted.append("mig")
        return wanted

    def reading(self, answers: Mapping[str, Answer], out_s: float | None) -> GpusReading:
        """The GPUs. ``out_s`` is how long ago an answer was asked for that has not come."""
        told = answers.get("gpu")
        if told is None:
            return GpusReading(
                state="error",
                message=(
                    f"nvidia-smi has not answered for {out_s or 0:.0f} s: its driver may hang. "
                    "See `dmesg` there; a reboot clears it."
                ),
            )
        unknown = nvidia_smi.unknown_field(told.text)
        if unknown in nvidia_smi.OPTIONAL_FIELDS:
            # The next reading has all the others.
            self.fields = tuple(field for field in self.fields if field != unknown)
            return GpusReading(state="error", message=f"This nvidia-smi does not know {unknown}.")
        gpus = nvidia_smi.parse_gpus(self.fields, told.status, told.text)
        self._any = bool(gpus.gpus)
        self._split = nvidia_smi.uses_mig(told.text, self.fields)
        processes, instances = answers.get("processes"), answers.get("mig")
        if processes is not None:
            self._shares_at = self._clock()
            ok = processes.status == 0
            self._processes = nvidia_smi.parse_processes(processes.text) if ok else None
        if instances is not None and instances.status == 0:
            self._instances = nvidia_smi.parse_mig(instances.text)
        return nvidia_smi.with_shares(gpus, self._processes, self._instances if self._split else {})


class _Shell:
    """The remote shell: which parts are out since when, and what has come in."""

    def __init__(self, connection: SshConnection, clock: Callable[[], float]) -> None:
        self.connection = connection
        self._clock = clock
        self._reader = AnswerReader(self._is_out)
        self._number = 0
        self._out: dict[str, tuple[int, float]] = {}  # part -> its question's number, and when
        self._heard_at = clock()

    @property
    def silent_s(self) -> float:
        """Since anything was answered."""
        return self._clock() - self._heard_at

    def out_s(self, part: Part) -> float | None:
        """How long ago ``part`` was asked, when it has not been answered since."""
        asked = self._out.get(part)
        return None if asked is None else self._clock() - asked[1]

    def _is_out(self, part: str, number: int) -> bool:
        """Whether this question waits for its answer. One to another question is none."""
        return self._out.get(part, (None,))[0] == number

    def ask(
        self, parts: list[Part], fields: tuple[str, ...], timeout_s: float
    ) -> Mapping[str, Answer]:
        """Ask for ``parts``, but for those still out, and collect what comes in time."""
        free = [part for part in parts if part not in self._out]
        if free:
            self._number += 1
            self.connection.send(request(self._number, fields, free))
            self._out.update(dict.fromkeys(free, (self._number, self._clock())))
        answers: dict[str, Answer] = {}
        try:
            for text in self.connection.received(time.monotonic() + timeout_s):
                for answer in self._reader.feed(text):
                    self._out.pop(answer.part, None)
                    self._heard_at = self._clock()
                    answers[answer.part] = answer
                if not self._out.keys() & set(free):
                    break
        except EndlessAnswer as part:
            message = f"its {part} answers without end where numbers were asked for"
            raise SshError("unsupported", message) from None
        except SshError as error:
            if self._number == 1 and (said := told_text(self._reader.passed_over)):
                raise SshError("unsupported", f"there is no shell to ask: it says {said}") from None
            raise error
        return answers
