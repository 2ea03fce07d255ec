"""The GPU collector: what each card tells, what it cannot tell, and what is wrong with it."""

from __future__ import annotations

import os
import sys
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import psutil
import pynvml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.machines.gpu.local import NvmlSession
from collectors.machines.gpu.nvml import ImpossibleError, throttle_words
from collectors.machines.gpu.reading import GpuReading
from tests.collectors.machines.gpu.nvml_stand_in import (
    GIB,
    Card,
    Clock,
    Fails,
    NvmlStandIn,
    recovery,
)

NOT_SUPPORTED = pynvml.NVML_ERROR_NOT_SUPPORTED
UNKNOWN = pynvml.NVML_ERROR_UNKNOWN
LOST = pynvml.NVML_ERROR_GPU_IS_LOST
UINT_BLANK = 2**32 - 1
ULONGLONG_BLANK = 2**64 - 1

VALUES = (
    "temp_c",
    "temp_slowdown_c",
    "util_pct",
    "vram_used_gb",
    "vram_total_gb",
    "power_w",
    "power_limit_w",
    "fan_pct",
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def card() -> Card:
    return Card()


@pytest.fixture
def nvml(card: Card) -> NvmlStandIn:
    return NvmlStandIn(card)


@pytest.fixture
def session(nvml: NvmlStandIn, clock: Clock) -> NvmlSession:
    return NvmlSession(load=lambda: nvml, clock=clock)


def only(session: NvmlSession) -> GpuReading:
    """The one GPU of a machine whose driver works."""
    reading = session.read()
    assert reading.state == "ok"
    (gpu,) = reading.gpus
    return gpu


class TestHealthyCard:
    def test_tells_every_value_in_its_unit(self, session: NvmlSession) -> None:
        assert only(session) == GpuReading(
            uuid="GPU-aaaa",
            index=0,
            name="NVIDIA GeForce RTX 4090",
            temp_c=64,
            temp_slowdown_c=90,
            util_pct=97,
            vram_used_gb=18,
            vram_total_gb=24,
            power_w=341.5,
            power_limit_w=450,
            fan_pct=41,
            processes=(),
        )

    def test_driver_version_is_told(self, session: NvmlSession) -> None:
        assert session.read().driver_version == "580.65.06"

    def test_zero_is_a_value(self, session: NvmlSession, card: Card) -> None:
        card.answers["nvmlDeviceGetUtilizationRates"] = SimpleNamespace(gpu=0, memory=0)
        card.answers["nvmlDeviceGetFanSpeed"] = 0
        assert (only(session).util_pct, only(session).fan_pct) == (0, 0)

    def test_memory_is_asked_for_without_the_reserved_part(
        self, session: NvmlSession, nvml: NvmlStandIn
    ) -> None:
        session.read()
        assert nvml.arguments["nvmlDeviceGetMemoryInfo"] == (pynvml.nvmlMemory_v2,)

    def test_gpus_come_by_index_and_are_known_by_uuid(
        self, session: NvmlSession, nvml: NvmlStandIn
    ) -> None:
        nvml.cards = [Card(uuid="GPU-zzzz"), Card(uuid="GPU-bbbb")]
        assert [(gpu.index, gpu.uuid) for gpu in session.read().gpus] == [
            (0, "GPU-zzzz"),
            (1, "GPU-bbbb"),
        ]

    def test_names_as_bytes_of_older_bindings_are_text(
        self, session: NvmlSession, card: Card
    ) -> None:
        card.uuid, card.name = b"GPU-old", b"NVIDIA TITAN V"  # type: ignore[assignment]  # is wrong on purpose
        assert (only(session).uuid, only(session).name) == ("GPU-old", "NVIDIA TITAN V")


class TestLifetime:
    def test_nvml_is_initialised_once_for_many_looks(
        self, session: NvmlSession, nvml: NvmlStandIn, clock: Clock
    ) -> None:
        for _ in range(50):
            session.read()
            clock.passes(10)
        assert (nvml.inits, nvml.shutdowns) == (1, 0)

    def test_closing_shuts_down_once(self, session: NvmlSession, nvml: NvmlStandIn) -> None:
        with session:
            session.read()
        session.close()
        assert nvml.shutdowns == 1

    def test_closing_what_was_never_read_does_nothing(
        self, session: NvmlSession, nvml: NvmlStandIn
    ) -> None:
        session.close()
        assert (nvml.inits, nvml.shutdowns) == (0, 0)

    def test_closing_a_dead_session_is_quiet(self, session: NvmlSession, nvml: NvmlStandIn) -> None:
        session.read()
        nvml.reload_driver()
        session.close()
        assert nvml.shutdowns == 0

    def test_a_reloaded_driver_is_met_by_initialising_anew_at_once(
        self, session: NvmlSession, nvml: NvmlStandIn
    ) -> None:
        session.read()
        nvml.reload_driver()
        assert only(session).temp_c == 64
        assert nvml.inits == 2

    @pytest.mark.parametrize(
        "code", [pynvml.NVML_ERROR_INVALID_ARGUMENT, pynvml.NVML_ERROR_NOT_FOUND]
    )
    def test_a_stale_handle_is_met_by_initialising_anew_but_not_at_every_look(
        self, session: NvmlSession, nvml: NvmlStandIn, clock: Clock, code: int
    ) -> None:
        nvml.cards.append(Card(uuid="GPU-bbbb"))
        session.read()
        nvml.cards[1].handle_error = code
        for _ in range(40):
            well, stale = session.read().gpus
            assert (well.temp_c, well.problem) == (64, None)
            assert stale.temp_c is None
            assert stale.problem
            clock.passes(1)
        assert nvml.inits == 2


class TestMissingValues:
    @pytest.mark.parametrize(
        ("function", "fields"),
        [
            ("nvmlDeviceGetTemperatureV", {"temp_c"}),
            ("nvmlDeviceGetTemperatureThreshold", {"temp_slowdown_c"}),
            ("nvmlDeviceGetUtilizationRates", {"util_pct"}),
            ("nvmlDeviceGetMemoryInfo", {"vram_used_gb", "vram_total_gb"}),
            ("nvmlDeviceGetPowerUsage", {"power_w"}),
            ("nvmlDeviceGetEnforcedPowerLimit", {"power_limit_w"}),
            ("nvmlDeviceGetFanSpeed", {"fan_pct"}),
        ],
    )
    @pytest.mark.parametrize(
        "code",
        [
            NOT_SUPPORTED,
            pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
            pynvml.NVML_ERROR_NO_PERMISSION,
            pynvml.NVML_ERROR_TIMEOUT,
            UNKNOWN,
            pynvml.NVML_ERROR_CORRUPTED_INFOROM,
            777,
        ],
    )
    def test_one_value_that_fails_drops_no_other(
        self, session: NvmlSession, card: Card, function: str, fields: set[str], code: int
    ) -> None:
        card.fails(code, function)
        gpu = only(session)
        assert {name for name in VALUES if getattr(gpu, name) is None} == fields
        assert set(gpu.notes) == fields
        assert all(gpu.notes.values())
        assert gpu.problem is None

    @pytest.mark.parametrize("value", [UINT_BLANK, ULONGLONG_BLANK])
    def test_blanks_are_no_values(self, session: NvmlSession, card: Card, value: int) -> None:
        blank = SimpleNamespace(gpu=value, memory=value, total=value, used=value)
        for function, healthy in card.answers.items():
            if isinstance(healthy, int):
                card.answers[function] = value
            elif isinstance(healthy, SimpleNamespace):
                card.answers[function] = blank
        gpu = only(session)
        assert [getattr(gpu, name) for name in VALUES] == [None] * len(VALUES)
        assert gpu.throttle_reasons == ()
        assert set(gpu.notes) == {*VALUES, "throttle_reasons"}

    @given(
        answers=st.fixed_dictionaries(
            {
                function: st.integers(-(2**31), 2**64 - 1)
                for function in (
                    "nvmlDeviceGetTemperatureV",
                    "nvmlDeviceGetTemperatureThreshold",
                    "nvmlDeviceGetPowerUsage",
                    "nvmlDeviceGetEnforcedPowerLimit",
                    "nvmlDeviceGetFanSpeed",
                )
            }
        ),
        util=st.integers(0, 2**32 - 1),
        total=st.integers(0, 2**64 - 1),
        used=st.integers(0, 2**64 - 1),
    )
    def test_whatever_the_driver_says_is_plausible_or_none_with_a_reason(
        self, answers: dict[str, Any], util: int, total: int, used: int
    ) -> None:
        card = Card()
        card.answers |= answers
        card.answers["nvmlDeviceGetUtilizationRates"] = SimpleNamespace(gpu=util, memory=0)
        card.answers["nvmlDeviceGetMemoryInfo"] = SimpleNamespace(total=total, used=used)
        gpu = only(NvmlSession(load=lambda: NvmlStandIn(card)))
        for name in VALUES:
            assert (getattr(gpu, name) is None) == (name in gpu.notes)
        assert gpu.util_pct is None or 0 <= gpu.util_pct <= 100
        assert gpu.temp_c is None or -50 <= gpu.temp_c <= 150
        if gpu.vram_used_gb is not None and gpu.vram_total_gb is not None:
            assert 0 <= gpu.vram_used_gb <= gpu.vram_total_gb

    def test_a_passively_cooled_card_says_that_it_has_no_fan(
        self, session: NvmlSession, card: Card
    ) -> None:
        card.fails(NOT_SUPPORTED, "nvmlDeviceGetFanSpeed")
        assert "passively cooled" in only(session).notes["fan_pct"]

    def test_utilisation_under_mig_says_so(self, session: NvmlSession, card: Card) -> None:
        card.answers["nvmlDeviceGetMigMode"] = [1, 1]
        gpu = only(session)
        assert gpu.util_pct is None
        assert "MIG" in gpu.notes["util_pct"]

    def test_a_card_that_could_be_split_by_mig_and_is_not_tells_its_utilisation(
        self, session: NvmlSession, card: Card
    ) -> None:
        card.answers["nvmlDeviceGetMigMode"] = [0, 1]
        assert only(session).util_pct == 97

    def test_memory_on_a_unified_memory_machine_points_to_the_ram(
        self, session: NvmlSession, card: Card
    ) -> None:
        card.fails(NOT_SUPPORTED, "nvmlDeviceGetMemoryInfo")
        assert "machine's RAM" in only(session).notes["vram_used_gb"]

    def test_more_memory_used_than_there_is_is_no_value(
        self, session: NvmlSession, card: Card
    ) -> None:
        card.answers["nvmlDeviceGetMemoryInfo"] = SimpleNamespace(total=8 * GIB, used=9 * GIB)
        assert only(session).vram_used_gb is None


class TestOlderAndNewerDrivers:
    @pytest.mark.parametrize(
        ("newer", "older", "field"),
        [
            ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature", "temp_c"),
            (
                "nvmlDeviceGetEnforcedPowerLimit",
                "nvmlDeviceGetPowerManagementLimit",
                "power_limit_w",
            ),
        ],
    )
    @pytest.mark.parametrize("binding_has_it", [True, False])
    def test_the_older_call_answers_where_the_newer_is_missing(
        self,
        session: NvmlSession,
        card: Card,
        newer: str,
        older: str,
        field: str,
        binding_has_it: bool,
    ) -> None:
        card.answers[older] = card.answers.pop(newer)
        if binding_has_it:
            card.fails(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND, newer)
        assert getattr(only(session), field) is not None

    def test_the_older_throttle_call_answers_too(self, session: NvmlSession, card: Card) -> None:
        del card.answers["nvmlDeviceGetCurrentClocksEventReasons"]
        card.answers["nvmlDeviceGetCurrentClocksThrottleReasons"] = 0x4
        assert only(session).throttle_reasons == ("power cap",)

    def test_a_card_that_tells_only_the_margin_gives_the_slowdown_temperature(
        self, session: NvmlSession, card: Card
    ) -> None:
        card.fails(NOT_SUPPORTED, "nvmlDeviceGetTemperatureThreshold")
        card.answers["nvmlDeviceGetMarginTemperature"] = 23
        assert only(session).temp_slowdown_c == 64 + 23

    def test_a_driver_without_a_recovery_action_has_no_problem(
        self, session: NvmlSession, card: Card
    ) -> None:
        card.answers["nvmlDeviceGetFieldValues"] = [recovery(0, pynvml.NVML_ERROR_INVALID_ARGUMENT)]
        assert (only(session).problem, dict(only(session).notes)) == (None, {})


class TestTroubleOfOneCard:
    @pytest.mark.parametrize(
        ("bits", "words"),
        [
            (0x0, ()),
            (0x1, ()),  # idle
            (0x2 | 0x10 | 0x100, ()),  # clocks set by the user, sync boost, display
            (0x4, ("power cap",)),
            (0x20, ("thermal",)),
            (0x8 | 0x40, ("thermal (hardware)",)),
            (0x8 | 0x80, ("power brake",)),
            (0x8, ("hardware slowdown",)),
            (0x4 | 0x20, ("thermal", "power cap")),
        ],
    )
    def test_throttle_reasons_tell_hot_from_power_capped(
        self, bits: int, words: tuple[str, ...]
    ) -> None:
        assert throttle_words(bits) == words

    def test_blank_throttle_reasons_are_no_reasons(self) -> None:
        with pytest.raises(ImpossibleError):
            throttle_words(ULONGLONG_BLANK)

    @pytest.mark.parametrize(
        ("action", "word"), [(1, "reset"), (2, "reboot"), (4, "reset"), (7, "reboot"), (99, "99")]
    )
    def test_a_recovery_action_is_a_problem_beside_the_values(
        self, session: NvmlSession, card: Card, action: int, word: str
    ) -> None:
        card.answers["nvmlDeviceGetFieldValues"] = [recovery(action)]
        gpu = only(session)
        assert word in (gpu.problem or "")
        assert gpu.temp_c == 64

    def test_a_card_that_needs_a_reset_says_so_at_every_look(
        self, session: NvmlSession, card: Card, clock: Clock
    ) -> None:
        card.fails(pynvml.NVML_ERROR_RESET_REQUIRED, "nvmlDeviceGetMemoryInfo")
        for _ in range(5):
            gpu = only(session)
            assert "--gpu-reset" in (gpu.problem or "")
            assert gpu.temp_c == 64
            clock.passes(0.7)

    @pytest.mark.parametrize("where", ["handle", "values"])
    def test_a_gpu_lost_mid_run_stays_on_the_page_and_drops_no_other(
        self, session: NvmlSession, nvml: NvmlStandIn, where: str
    ) -> None:
        nvml.cards.append(Card(uuid="GPU-bbbb", name="NVIDIA GeForce RTX 3090"))
        session.read()
        if where == "handle":
            nvml.cards[1].handle_error = LOST
        else:
            nvml.cards[1].fails(LOST)
        well, lost = session.read().gpus
        assert (well.temp_c, well.problem) == (64, None)
        assert (lost.uuid, lost.index, lost.name) == ("GPU-bbbb", 1, "NVIDIA GeForce RTX 3090")
        assert "lost" in (lost.problem or "")
        assert [getattr(lost, name) for name in VALUES] == [None] * len(VALUES)

    def test_a_gpu_lost_before_it_told_who_it_is_has_a_name_of_its_own(
        self, session: NvmlSession, nvml: NvmlStandIn
    ) -> None:
        nvml.cards.insert(0, Card(handle_error=LOST))
        lost, well = session.read().gpus
        assert (lost.index, lost.uuid) == (0, "unknown-0")
        assert (well.index, well.temp_c) == (1, 64)

    def test_a_gpu_that_the_driver_stops_listing_is_missed(
        self, session: NvmlSession, nvml: NvmlStandIn
    ) -> None:
        nvml.cards.insert(0, Card(uuid="GPU-bbbb"))
        session.read()
        del nvml.cards[0]
        gpus = {gpu.uuid: gpu for gpu in session.read().gpus}
        assert gpus["GPU-aaaa"].temp_c == 64
        assert gpus["GPU-bbbb"].temp_c is None
        assert "no longer finds" in (gpus["GPU-bbbb"].problem or "")

    def test_a_card_of_which_nothing_answers_is_one_problem_and_not_nine_notes(
        self, session: NvmlSession, card: Card
    ) -> None:
        session.read()
        card.fails(UNKNOWN)
        assert "recreate it" in (only(session).problem or "")

    def test_no_permission_for_one_card_names_the_device_files(
        self, session: NvmlSession, nvml: NvmlStandIn
    ) -> None:
        nvml.cards.append(Card(uuid="?", handle_error=pynvml.NVML_ERROR_NO_PERMISSION))
        assert "/dev/nvidia" in (session.read().gpus[1].problem or "")


class TestNothingIsGivenUp:
    def test_a_value_that_failed_comes_back(
        self, session: NvmlSession, card: Card, clock: Clock
    ) -> None:
        card.fails(UNKNOWN, "nvmlDeviceGetPowerUsage")
        assert only(session).power_w is None
        card.answers["nvmlDeviceGetPowerUsage"] = 100_000
        clock.passes(2)
        gpu = only(session)
        assert (gpu.power_w, "power_w" in gpu.notes) == (100, False)

    def test_a_failing_value_is_asked_for_ever_more_rarely_but_at_least_each_minute(
        self, session: NvmlSession, nvml: NvmlStandIn, card: Card, clock: Clock
    ) -> None:
        card.fails(pynvml.NVML_ERROR_TIMEOUT, "nvmlDeviceGetPowerUsage")
        asked_at: list[float] = []
        for _ in range(600):
            before = nvml.asked["nvmlDeviceGetPowerUsage"]
            assert "Timeout" in only(session).notes["power_w"]
            if nvml.asked["nvmlDeviceGetPowerUsage"] > before:
                asked_at.append(clock.now)
            clock.passes(1)
        pauses = [later - earlier for earlier, later in pairwise(asked_at)]
        assert pauses[:6] == [2, 4, 8, 16, 32, 60]
        assert max(pauses) == 60

    def test_an_unsupported_value_is_asked_again_each_minute(
        self, session: NvmlSession, nvml: NvmlStandIn, card: Card, clock: Clock
    ) -> None:
        card.fails(NOT_SUPPORTED, "nvmlDeviceGetFanSpeed")
        for _ in range(180):
            only(session)
            clock.passes(1)
        assert nvml.asked["nvmlDeviceGetFanSpeed"] == 3

    def test_an_impossible_value_is_asked_again_at_the_next_look(
        self, session: NvmlSession, card: Card
    ) -> None:
        card.answers["nvmlDeviceGetFanSpeed"] = UINT_BLANK
        assert only(session).fan_pct is None
        card.answers["nvmlDeviceGetFanSpeed"] = 30
        assert only(session).fan_pct == 30

    def test_a_lost_gpu_that_was_reset_comes_back_once_nvml_was_initialised_anew(
        self, session: NvmlSession, nvml: NvmlStandIn, card: Card, clock: Clock
    ) -> None:
        session.read()
        card.handle_error = LOST
        for _ in range(4):
            assert "lost" in (only(session).problem or "")
            clock.passes(1)
        assert nvml.inits == 1
        card.handle_error = None
        clock.passes(1)
        assert (only(session).temp_c, only(session).problem) == (64, None)
        assert nvml.inits == 2

    def test_while_another_gpu_is_well_nvml_is_left_alone_for_minutes(
        self, session: NvmlSession, nvml: NvmlStandIn, clock: Clock
    ) -> None:
        nvml.cards.append(Card(uuid="GPU-bbbb", handle_error=LOST))
        for _ in range(299):
            assert session.read().gpus[0].temp_c == 64
            clock.passes(1)
        assert nvml.inits == 1
        clock.passes(2)
        session.read()
        assert nvml.inits == 2

    def test_a_driver_that_is_loaded_later_is_found(
        self, session: NvmlSession, nvml: NvmlStandIn, clock: Clock
    ) -> None:
        nvml.init_error = pynvml.NVML_ERROR_DRIVER_NOT_LOADED
        for _ in range(300):
            assert session.read().state == "no_driver"
            clock.passes(1)
        assert nvml.inits < 12
        nvml.init_error = None
        clock.passes(60)
        assert only(session).temp_c == 64


class TestStatesOfTheMachine:
    @pytest.mark.parametrize(
        ("code", "state", "advice"),
        [
            (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, "no_library", "install its driver"),
            (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, "no_driver", "modprobe nvidia"),
            (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, "version_mismatch", "Reboot"),
            (pynvml.NVML_ERROR_NO_PERMISSION, "no_permission", "/dev/nvidia*"),
            (UNKNOWN, "error", "recreate the container"),
            (LOST, "error", "reboot"),
            (pynvml.NVML_ERROR_RESET_REQUIRED, "error", "--gpu-reset"),
            (pynvml.NVML_ERROR_IRQ_ISSUE, "error", "Interrupt Request Issue"),
            (777, "error", "777"),
        ],
    )
    @pytest.mark.parametrize("where", ["init_error", "count_error"])
    def test_each_failure_names_the_state_and_what_to_do(
        self,
        session: NvmlSession,
        nvml: NvmlStandIn,
        code: int,
        state: str,
        advice: str,
        where: str,
    ) -> None:
        setattr(nvml, where, code)
        reading = session.read()
        assert (reading.state, reading.gpus) == (state, ())
        assert advice in (reading.message or "")

    def test_a_driver_without_gpus_says_so(self, session: NvmlSession, nvml: NvmlStandIn) -> None:
        nvml.cards = []
        reading = session.read()
        assert (reading.state, reading.gpus) == ("no_gpu", ())
        assert "finds no GPU" in (reading.message or "")

    def test_when_all_of_nvml_fails_mid_run_the_known_gpus_stay_with_the_reason(
        self, session: NvmlSession, nvml: NvmlStandIn
    ) -> None:
        session.read()
        nvml.reload_driver()
        nvml.init_error = pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH
        for _ in range(3):
            reading = session.read()
            assert reading.state == "version_mismatch"
            (gpu,) = reading.gpus
            assert (gpu.uuid, gpu.temp_c, gpu.problem) == ("GPU-aaaa", None, reading.message)

    def test_a_missing_binding_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pynvml", None)  # what makes an import fail
        reading = NvmlSession().read()
        assert reading.state == "no_library"
        assert "pip install nvidia-ml-py" in (reading.message or "")

    def test_on_this_machine_as_it_is(self) -> None:
        """The real binding, and the real driver where there is one."""
        with NvmlSession() as session:
            reading = session.read()
        assert bool(reading.gpus) == (reading.state == "ok")
        assert (reading.message is None) == (reading.state == "ok")


class TestShares:
    def test_processes_of_both_lists_are_told_once_the_biggest_first(
        self, nvml: NvmlStandIn, session: NvmlSession
    ) -> None:
        def process(pid: int, used: int | None) -> SimpleNamespace:
            return SimpleNamespace(pid=pid, usedGpuMemory=used)

        (card,) = nvml.cards
        card.answers["nvmlDeviceGetComputeRunningProcesses_v3"] = [
            process(os.getpid(), GIB),
            process(2**22 + 1, 3 * GIB),
        ]
        card.answers["nvmlDeviceGetGraphicsRunningProcesses_v3"] = [
            process(os.getpid(), 2 * GIB),
            process(2**22 + 2, None),
            process(2**22 + 3, 2**64 - 1),
        ]
        processes = only(session).processes
        assert processes is not None
        assert [(each.pid, each.vram_used_gb) for each in processes] == [
            (2**22 + 1, 3),
            (os.getpid(), 2),
            (2**22 + 2, None),
            (2**22 + 3, None),
        ]
        assert processes[1].name == psutil.Process().name()
        assert processes[0].name is None, "of another container"

    def test_older_drivers_are_asked_in_the_older_way(
        self, nvml: NvmlStandIn, session: NvmlSession
    ) -> None:
        (card,) = nvml.cards
        listed = [SimpleNamespace(pid=1, usedGpuMemory=GIB)]
        for kind in ("Compute", "Graphics"):
            del card.answers[f"nvmlDeviceGet{kind}RunningProcesses_v3"]
        card.answers["nvmlDeviceGetComputeRunningProcesses_v2"] = listed
        processes = only(session).processes
        assert processes is not None and processes[0].pid == 1

    def test_a_driver_that_does_not_tell_processes_says_so(
        self, nvml: NvmlStandIn, session: NvmlSession
    ) -> None:
        (card,) = nvml.cards
        for kind in ("Compute", "Graphics"):
            del card.answers[f"nvmlDeviceGet{kind}RunningProcesses_v3"]
        gpu = only(session)
        assert gpu.processes is None
        assert gpu.notes["processes"]

    def test_mig_instances_have_their_own_memory(
        self, nvml: NvmlStandIn, session: NvmlSession
    ) -> None:
        (card,) = nvml.cards
        parts = {
            number: Card(
                uuid=f"MIG-{number}",
                name="NVIDIA A100 MIG 1g.10gb",
                answers={"nvmlDeviceGetMemoryInfo": SimpleNamespace(total=10 * GIB, used=GIB)},
            )
            for number in (0, 2)
        }
        card.answers["nvmlDeviceGetMigMode"] = (1, 1)
        card.answers["nvmlDeviceGetMaxMigDeviceCount"] = 7
        card.answers["nvmlDeviceGetMigDeviceHandleByIndex"] = lambda index: parts.get(
            index, Fails(pynvml.NVML_ERROR_NOT_FOUND)
        )
        gpu = only(session)
        assert [part.uuid for part in gpu.mig_instances] == ["MIG-0", "MIG-2"]
        assert gpu.mig_instances[0].vram_total_gb == 10
        assert gpu.util_pct is None and "MIG" in gpu.notes["util_pct"]
