"""A mistake in a record does not end a run: it is refused, kept, counted and told."""

# What a type checker refuses is what is tested here.
# mypy: disable-error-code="call-overload,call-arg,list-item"

from __future__ import annotations

import io
import json
import math
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_room import MetricPoint, PreviewRecord, Recorder, RunDir
from control_room.history.index import HistoryIndex
from control_room.logs.retention import Form, carry_out, plan
from control_room.recording.recorder_warning import RecorderWarning
from control_room.recording.records import parse_line
from control_room.recording.refusals import MOST_BYTES_A_DAY, MOST_WARNINGS, RefusedRecord
from tests.support import ROOT

PREVIEW: dict[str, Any] = {"step": 7, "prompt": "p", "golden": "g", "model_answer": "a"}


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "my-run")


@pytest.fixture
def recorder(run: RunDir) -> Iterator[Recorder]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecorderWarning)
        recorder = Recorder(run)
        yield recorder
        recorder.close()


def refused_of(run: RunDir) -> list[dict[str, Any]]:
    """The lines of every day, as JSON that is strictly JSON."""
    return [
        json.loads(line, parse_constant=pytest.fail)
        for path in sorted(run.logs("refused").glob("*.jsonl"))
        for line in path.read_bytes().splitlines()
    ]


def lines_of(run: RunDir, kind: Any) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for path in sorted(run.logs(kind).glob("*.jsonl"))
        for line in path.read_bytes().splitlines()
    ]


def status_of(run: RunDir) -> dict[str, Any]:
    status = json.loads(run.status_file.read_bytes(), parse_constant=pytest.fail)
    assert isinstance(status, dict)
    return status


class Hostile:
    """Whatever is asked of it fails."""

    def __getattribute__(self, name: str) -> NoReturn:
        raise ZeroDivisionError(name)

    def _fail(self, *_: object) -> NoReturn:
        raise ZeroDivisionError

    __repr__ = __str__ = __index__ = __float__ = __bool__ = __len__ = __iter__ = _fail
    __eq__ = __lt__ = __le__ = __gt__ = __ge__ = __hash__ = __format__ = _fail


class Unprintable(Exception):  # not one that anybody catches
    """An exception that cannot say what it is."""

    def __str__(self) -> NoReturn:
        raise ZeroDivisionError

    __repr__ = __str__


class Array:
    """Like an array or a tensor that has gone with its device."""

    def tolist(self) -> NoReturn:
        raise Unprintable

    def item(self) -> NoReturn:
        raise Unprintable


def endless() -> list[object]:
    found: list[object] = []
    found.append(found)
    return found


# Made where they are used: pytest must not look at them.
BAD: dict[str, Callable[[], object]] = {
    "hostile": Hostile,
    "hostile inside": lambda: {"a": [Hostile()]},
    "lost array": Array,
    "object": object,
    "set": lambda: {1, 2},
    "path": lambda: Path("x"),
    "bytes": lambda: b"bytes",
    "huge": lambda: 10**5000,
    "endless": endless,
    "array": lambda: np.array([1, 2]),
    "array of texts": lambda: np.array(["a"]),
    "exception": Unprintable,
    "class": lambda: type,
    "complex": lambda: 1j,
    "date": lambda: date(2025, 1, 1),
    "surrogate": lambda: ["\ud800"],
    "mapping of a mapping": lambda: {("a", 1): {}},
}


class TestABadRecord:
    @pytest.mark.parametrize(
        ("log", "field", "fields"),
        [
            ("log_preview", "exact_match", {**PREVIEW, "exact_match": "yes"}),
            ("log_throughput", "tokens_per_sec", {"step": 1, "tokens_per_sec": -1}),
            ("log_throughput", "tokens_per_sec", {"step": 1}),
            ("log_metrics", "loss", {"step": 1, "loss": "low"}),
            ("log_metrics", "stpe", {"stpe": 1}),
            ("log_eval", "em", {"step": 1, "kind": "fixed", "em": 1.5}),
            ("log_round", "outcome", {**{"step": 1, "round_id": "r", "kind": "k"}, "outcome": ""}),
            ("note", "text", {"text": ""}),
            ("log_heads", "grad_norm", {"step": 1, "grad_norm": [1.0, 2.0]}),
            ("log_heads", "entropy", {"step": 1, "entropy": [[1.0]]}),
            ("log_heads", "step", {"grad_norm": [[1.0]]}),
        ],
    )
    def test_raises_nothing_is_not_logged_and_is_kept_with_its_reason(
        self, run: RunDir, log: str, field: str, fields: dict[str, Any]
    ) -> None:
        kind = log.removeprefix("log_")
        recorder = Recorder(run)
        with pytest.warns(RecorderWarning) as caught:
            getattr(recorder, log)(**fields)
        (told,) = (str(warning.message) for warning in caught)
        assert f"A record ({kind}) was refused" in told
        assert field in told and str(run.logs("refused")) in told and "strict=True" in told
        assert not run.logs(kind).exists()  # type: ignore[arg-type]  # the name of a method
        (kept,) = refused_of(run)
        assert (kept["kind"], kept["field"], kept["run_id"]) == (kind, field, "my-run")
        assert field in kept["reason"]
        assert datetime.fromisoformat(kept["ts"]).utcoffset() is not None
        given_fields = {name: value for name, value in fields.items() if name in kept["fields"]}
        assert given_fields == fields or log == "log_heads"
        assert recorder.refused == {kind: 1}

    def test_with_strict_it_raises_and_keeps_nothing(self, run: RunDir) -> None:
        recorder = Recorder(run, strict=True)
        with pytest.raises(ValueError, match=r"MetricPoint\.loss"):
            recorder.log_metrics(step=1, loss="low")
        with pytest.raises(ValueError, match="layers x heads"):
            recorder.log_heads(step=1, grad_norm=[1.0])
        with pytest.raises(ValueError, match=r"HeadRecord\.step"):
            recorder.log_heads(grad_norm=[[1.0]])
        with pytest.raises(ValueError, match="phase"):
            recorder.update_status(phase="sleeping")  # type: ignore[arg-type]  # meant
        with pytest.raises(ValueError, match="config"):
            recorder.log_config(["lr"])  # type: ignore[arg-type]  # meant
        assert recorder.refused == {} and not run.logs("refused").exists()

    def test_those_after_it_are_logged(self, run: RunDir, recorder: Recorder) -> None:
        for step in (1, "2", 3):
            recorder.log_metrics(step=step, loss=0.5)  # type: ignore[arg-type]  # meant
        assert [line["step"] for line in lines_of(run, "metrics")] == [1, 3]

    def test_of_the_wrong_class_is_kept_with_its_fields(
        self, run: RunDir, recorder: Recorder
    ) -> None:
        recorder.log_preview(MetricPoint(step=1, loss=math.nan))
        recorder.log_metrics(MetricPoint(step=1), loss=0.5)
        recorder.log_metrics("step 1")
        first, second, third = refused_of(run)
        assert "expected one PreviewRecord" in first["reason"]
        assert first["fields"] == {"step": 1, "loss": "NaN"}
        assert second["fields"] == {"step": 1, "loss": 0.5}
        assert third["fields"] == {"record": "step 1"}

    def test_does_not_move_the_step_that_an_end_is_told_with(
        self, run: RunDir, recorder: Recorder
    ) -> None:
        recorder.log_metrics(step=5, loss=0.5)
        recorder.log_metrics(step="six")
        recorder.mark_crashed("no memory")
        assert (status_of(run)["current_step"], status_of(run)["loss"]) == (5, 0.5)

    @pytest.mark.parametrize("name", BAD)
    @pytest.mark.parametrize(
        "log",
        [
            lambda recorder, bad: recorder.log_preview(**PREVIEW | {"prompt": bad, "ts": bad}),
            lambda recorder, bad: recorder.log_preview(**PREVIEW, contract_status=bad),
            lambda recorder, bad: recorder.log_preview(**PREVIEW, token_log_probs=bad, seed="x"),
            lambda recorder, bad: recorder.log_preview(bad),
            lambda recorder, bad: recorder.log_metrics(step=bad, loss=bad),
            lambda recorder, bad: recorder.log_metrics(step=1, more={"a": [bad]}),
            lambda recorder, bad: recorder.log_throughput(step=1, tokens_per_sec=bad),
            lambda recorder, bad: recorder.log_eval(step=1, kind=bad),
            lambda recorder, bad: recorder.log_round(round_id=bad),
            lambda recorder, bad: recorder.note("", step=bad),
            lambda recorder, bad: recorder.log_heads(step=1, grad_norm=bad, weight_norm=[[bad]]),
        ],
        ids=lambda log: "",
    )
    def test_raises_nothing_whatever_its_values_do(
        self, run: RunDir, recorder: Recorder, log: Callable[[Recorder, object], None], name: str
    ) -> None:
        log(recorder, BAD[name]())
        (kept,) = refused_of(run)
        assert kept["reason"] and sum(recorder.refused.values()) == 1

    def test_an_interrupt_still_passes(self, run: RunDir, recorder: Recorder) -> None:
        class Slow:
            def __float__(self) -> float:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            recorder.log_metrics(step=1, loss=Slow())

    @given(
        st.dictionaries(
            st.sampled_from([*PREVIEW, "ts", "ce", "contract_status", "token_log_probs", "other"]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
                max_leaves=8,
            ),
        )
    )
    @settings(max_examples=200, deadline=None)
    def test_every_record_is_either_logged_or_kept(
        self, tmp_path_factory: pytest.TempPathFactory, fields: dict[str, Any]
    ) -> None:
        run = RunDir(tmp_path_factory.mktemp("run"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            recorder = Recorder(run)
            recorder.log_preview(**fields)
            recorder.close()
        logged, kept = lines_of(run, "preview"), refused_of(run)
        assert len(logged) + len(kept) == 1
        for line in kept:
            assert line["fields"].keys() <= {*fields, "..."}


class TestWhatIsKept:
    def test_numbers_texts_and_nested_values_are_kept_as_they_are(
        self, run: RunDir, recorder: Recorder
    ) -> None:
        given_fields = {
            **PREVIEW,
            "exact_match": "yes",
            "ce": math.inf,
            "contract_status": {"a": True, "b": [1, None, {"c": "ü"}]},
        }
        recorder.log_preview(**given_fields)
        assert refused_of(run)[0]["fields"] == given_fields | {"ce": "Infinity"}

    def test_what_json_cannot_hold_is_kept_as_what_it_stands_for_or_as_its_repr(
        self, run: RunDir, recorder: Recorder
    ) -> None:
        moment = datetime(2025, 11, 22, 14, 30, tzinfo=UTC)
        recorder.log_metrics(
            step="one", loss=np.float32(0.5), epoch=Path("x"), ts=moment, lr=10**30, tokens={1: 2}
        )
        assert refused_of(run)[0]["fields"] == {
            "step": "one",
            "loss": 0.5,
            "epoch": "PosixPath('x')",
            "ts": "2025-11-22T14:30:00.000+00:00",
            "lr": str(10**30),
            "tokens": {"1": 2},
        }

    def test_a_line_has_a_bound_whatever_was_given(self, run: RunDir, recorder: Recorder) -> None:
        deep: object = 1
        for _ in range(1000):
            deep = [deep]
        recorder.log_metrics(
            step="x" * 10**7,
            loss=["y" * 1000] * 10**4,
            epoch={str(key): "z" * 10**4 for key in range(10**4)},
            tokens=deep,
            more="e" * 10**6,
            **{f"field{number}": "w" * 1000 for number in range(1000)},
        )
        recorder.log_metrics(**{"n" * 10**6: 1})
        sizes = [len(json.dumps(line)) for line in refused_of(run)]
        assert len(sizes) == 2 and max(sizes) < 200_000
        step = refused_of(run)[0]["fields"]["step"]
        assert step.startswith("xxx") and step.endswith("(10,000,000 characters)")

    def test_a_day_has_a_bound_then_they_are_counted_and_told_once_a_minute(
        self, run: RunDir, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("control_room.recording.refusals.MOST_BYTES_A_DAY", 20_000)
        clock = [1000.0]
        monkeypatch.setattr("control_room.recording.refusals.monotonic", lambda: clock[0])
        for step in range(500):
            recorder.log_metrics(step=step, loss="x" * 1000)
        size = sum(path.stat().st_size for path in run.logs("refused").iterdir())
        assert 20_000 <= size < 24_000
        kept = refused_of(run)
        clock[0] += 61
        for step in range(500, 1000):
            recorder.log_metrics(step=step, loss="x" * 1000)
        *before, last = refused_of(run)
        assert before == kept
        assert "fields" not in last and last["reason"]
        assert len(before) + 1 + last["left_out"] == 501
        assert recorder.refused == {"metrics": 1000}
        assert MOST_BYTES_A_DAY > 20_000

    def test_the_bound_is_that_of_the_file_whoever_wrote_it(
        self, run: RunDir, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("control_room.recording.refusals.MOST_BYTES_A_DAY", 20_000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(100):
                Recorder(run).log_metrics(loss="x" * 1000)
        (path,) = run.logs("refused").iterdir()
        assert len(path.read_bytes()) < 20_000 + 2_000 + 80 * 400
        assert sum(1 + (line.get("left_out") or 0) for line in refused_of(run)) == 100

    def test_is_read_back_as_a_record(self, run: RunDir, recorder: Recorder) -> None:
        recorder.log_metrics(step=1, loss="low")
        (path,) = run.logs("refused").iterdir()
        assert path.name == f"refused_{datetime.now().astimezone().date()}.jsonl"
        record = parse_line(RefusedRecord, path.read_bytes())
        assert (record.kind, record.field) == ("metrics", "loss")
        assert record.fields == {"step": 1, "loss": "low"}

    @pytest.mark.parametrize("given_fields", [{"ts": "now"}, {"tokens": [{"ts": "x"}]}])
    def test_is_found_behind_a_line_that_was_torn(
        self, run: RunDir, recorder: Recorder, given_fields: dict[str, Any]
    ) -> None:
        recorder.log_metrics(**given_fields)
        (path,) = run.logs("refused").iterdir()
        record = parse_line(RefusedRecord, b'{"ts":"2026-01-01T00:' + path.read_bytes())
        assert record.fields == given_fields

    def test_bears_the_time_of_its_refusal(self, run: RunDir) -> None:
        now = [1_800_000_000.0]
        with pytest.warns(RecorderWarning):
            recorder = Recorder(run, clock=lambda: now[0])
            now[0] += 3600
            recorder.log_heads(step=1)
            now[0] += 3600
            recorder.log_config([])  # type: ignore[arg-type]  # meant
        told = [datetime.fromisoformat(line["ts"]).timestamp() for line in refused_of(run)]
        assert told == [1_800_003_600.0, 1_800_007_200.0]

    def test_a_disk_that_does_not_take_it_raises_nothing(self, run: RunDir) -> None:
        recorder = Recorder(run)
        (run.path / "logs").touch()
        with pytest.warns(RecorderWarning):
            recorder.log_metrics(step="one")
            (run.path / "logs").unlink()
            recorder.close()
        assert len(refused_of(run)) == 1


class TestWhatIsTold:
    def test_one_warning_for_each_kind_and_field(self, run: RunDir) -> None:
        recorder = Recorder(run)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for step in range(100):
                recorder.log_metrics(step=step, loss="low")
                recorder.log_metrics(step=step, epoch="first")
                recorder.log_preview(**PREVIEW, ce="low")
        assert len(caught) == 3
        assert recorder.refused == {"metrics": 200, "preview": 100}

    def test_names_that_are_ever_new_are_not_warned_of_for_ever(self, run: RunDir) -> None:
        recorder = Recorder(run)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for step in range(3 * MOST_WARNINGS):
                recorder.log_metrics(step=step, **{f"loss_at_{step}": 0.5})
        assert len(caught) == MOST_WARNINGS
        assert "no more" in str(caught[-1].message)

    def test_the_warning_points_at_the_line_that_called(self, run: RunDir) -> None:
        with pytest.warns(RecorderWarning) as caught:
            Recorder(run).log_metrics(step="one")
        assert caught[0].filename == __file__

    def test_warnings_that_are_errors_do_not_end_the_run(
        self, run: RunDir, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            Recorder(run).log_metrics(step="one")
        assert "MetricPoint.step" in capsys.readouterr().err

    def test_the_status_tells_at_once_and_then_counts(
        self, run: RunDir, recorder: Recorder
    ) -> None:
        recorder.update_status(current_step=1)
        assert "recorder_refused" not in status_of(run)
        recorder.log_metrics(step=2, loss="low")
        told = status_of(run)["recorder_refused"]
        assert told["counts"] == {"metrics": 1}
        assert "MetricPoint.loss" in told["reason"]
        assert datetime.fromisoformat(told["ts"])
        recorder.log_metrics(step=3, loss="low")
        recorder.log_preview(**PREVIEW, ce="high")
        recorder.update_status(current_step=3)
        told = status_of(run)["recorder_refused"]
        assert told["counts"] == {"metrics": 2, "preview": 1} and "ce" in told["reason"]

    def test_a_recorder_that_writes_no_status_begins_none(
        self, run: RunDir, recorder: Recorder
    ) -> None:
        recorder.log_preview(**PREVIEW, ce="high")
        recorder.close()
        assert not run.status_file.exists()


class TestABadFieldOfTheStatus:
    @pytest.mark.parametrize(
        ("field", "make"),
        [
            ("phase", lambda: "sleeping"),
            ("phase", lambda: np.array([1, 2])),
            ("pid", lambda: 5),
            ("timestamp", lambda: "now"),
            ("recorder_refused", dict),
            *(("notes", BAD[name]) for name in BAD if name not in ("array of texts", "surrogate")),
        ],
        ids=lambda each: each if isinstance(each, str) else "",
    )
    def test_is_left_out_and_named_and_the_others_are_written(
        self, run: RunDir, field: str, make: Callable[[], object]
    ) -> None:
        recorder = Recorder(run)
        with pytest.warns(RecorderWarning, match=field):
            recorder.update_status(current_step=2, loss=0.5, **{field: make()})  # type: ignore[arg-type]  # meant
        status = status_of(run)
        assert (status["current_step"], status["loss"], status["status"]) == (2, 0.5, "training")
        assert status["recorder_refused"]["counts"] == {"status": 1}
        (kept,) = refused_of(run)
        assert (kept["kind"], kept["field"]) == ("status", field)
        assert list(kept["fields"]) == [field]

    def test_that_was_known_before_is_no_longer_said_so_that_its_reader_shows_its_age(
        self, run: RunDir, recorder: Recorder
    ) -> None:
        recorder.update_status(current_step=1, total_steps=10, phase="training")
        recorder.update_status(current_step=object(), phase="sleeping")  # type: ignore[arg-type]  # meant
        status = status_of(run)
        assert "current_step" not in status and "phase" not in status
        assert status["total_steps"] == 10
        recorder.update_status(current_step=3)
        assert status_of(run)["current_step"] == 3

    @pytest.mark.parametrize("bad", ["running", None, 5])
    def test_a_state_that_is_none_leaves_the_one_before(
        self, run: RunDir, recorder: Recorder, bad: object
    ) -> None:
        recorder.update_status(status=bad, current_step=1)  # type: ignore[arg-type]  # meant
        assert status_of(run)["status"] == "training"
        recorder.update_status(status="paused", pause_reason="quota")
        recorder.update_status(status=bad, current_step=2)  # type: ignore[arg-type]  # meant
        status = status_of(run)
        assert (status["status"], status["pause_reason"]) == ("paused", "quota")
        assert status["current_step"] == 2

    def test_the_end_of_a_run_is_told_whatever_its_reason_is(
        self, run: RunDir, recorder: Recorder
    ) -> None:
        recorder.mark_paused(object())  # type: ignore[arg-type]  # meant
        assert status_of(run)["status"] == "paused"
        recorder.mark_crashed(Unprintable())
        status = status_of(run)
        assert (status["status"], status["error_type"]) == ("crashed", "Unprintable")
        assert "Unprintable" in status["error_message"]
        recorder.mark_crashed(Hostile())  # type: ignore[arg-type]  # meant
        assert status_of(run)["status"] == "crashed"

    @pytest.mark.parametrize("strict", [False, True])
    def test_an_exception_that_cannot_be_printed_leaves_the_block_as_it_is(
        self, run: RunDir, strict: bool
    ) -> None:
        with pytest.raises(Unprintable), Recorder(run, strict=strict):
            raise Unprintable
        assert status_of(run)["status"] == "crashed"

    def test_a_configuration_is_kept_as_far_as_it_goes(
        self, run: RunDir, recorder: Recorder
    ) -> None:
        config: Mapping[Any, object] = {"lr": 0.1, "bad": Hostile(), 5: "five"}
        recorder.log_config(config)
        told = status_of(run)["config"]
        assert (told["lr"], told["5"]) == (0.1, "five") and "Hostile" in told["bad"]

    @pytest.mark.parametrize("make", [list, lambda: None, Hostile])
    def test_a_configuration_that_is_none_is_refused(
        self, run: RunDir, recorder: Recorder, make: Any
    ) -> None:
        recorder.log_config(make())
        assert refused_of(run)[0]["field"] == "config"


class TestTimes:
    def test_a_time_may_be_an_iso_text(self, run: RunDir) -> None:
        recorder = Recorder(run, strict=True)
        recorder.log_metrics(step=1, ts="2026-11-25T10:00:00+01:00")
        recorder.log_metrics(MetricPoint(step=2, ts="2026-11-25T09:00:00Z"))  # type: ignore[arg-type]  # becomes a datetime
        recorder.log_metrics(step=3, ts="2026-11-25T10:00:00")
        first, second, third = lines_of(run, "metrics")
        assert first["ts"] == "2026-11-25T10:00:00.000+01:00"
        assert second["ts"] == "2026-11-25T09:00:00.000+00:00"
        local = datetime(2026, 11, 25, 10).astimezone()
        assert datetime.fromisoformat(third["ts"]) == local
        assert datetime.fromisoformat(third["ts"]).utcoffset() == local.utcoffset()
        assert MetricPoint(step=1, ts="2026-11-25T10:00").ts == local  # type: ignore[arg-type]  # as above

    @pytest.mark.parametrize(
        "bad", ["yesterday", "", "1700000000", "2026-13-01T00:00:00", "0001-01-01T00:00:00+14:00"]
    )
    def test_a_text_that_is_no_time_is_refused_naming_the_field(
        self, run: RunDir, bad: str
    ) -> None:
        with pytest.raises(ValueError, match=r"MetricPoint\.ts: expected a datetime or an ISO"):
            Recorder(run, strict=True).log_metrics(step=1, ts=bad)


class TestProcesses:
    @pytest.mark.parametrize("strict", [False, True])
    def test_a_pickled_recorder_is_as_strict_as_its_origin(self, run: RunDir, strict: bool) -> None:
        copy = pickle.loads(pickle.dumps(Recorder(run, strict=strict)))
        if strict:
            with pytest.raises(ValueError, match="step"):
                copy.log_metrics(step="one")
        else:
            with pytest.warns(RecorderWarning):
                copy.log_metrics(step="one")

    def test_what_strict_raises_can_go_from_one_process_to_another(self, run: RunDir) -> None:
        with pytest.raises(ValueError) as caught:
            Recorder(run, strict=True).log_metrics(step="one")
        copy = pickle.loads(pickle.dumps(caught.value))
        assert str(copy) == str(caught.value)

    def test_forked_children_count_for_themselves(self, run: RunDir) -> None:
        code = """
import json, os, sys, warnings
from control_room import Recorder
warnings.simplefilter("ignore")
recorder = Recorder(sys.argv[1])
recorder.log_metrics(step="one")
child = os.fork()
if not child:
    recorder.log_metrics(step="two")
    os._exit(sum(recorder.refused.values()))
told = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(json.dumps([told, recorder.refused]))
"""
        output = subprocess.check_output([sys.executable, "-c", code, run.path], cwd=ROOT)
        assert json.loads(output) == [1, {"metrics": 1}]
        assert [line["fields"] for line in refused_of(run)] == [{"step": "one"}, {"step": "two"}]

    def test_a_signal_handler_may_be_refused_in_the_middle_of_a_refusal(self, run: RunDir) -> None:
        code = """
import signal, sys, warnings
from control_room import Recorder
warnings.simplefilter("ignore")
recorder = Recorder(sys.argv[1])
recorder.update_status(current_step=0)
def alarm(*_):
    recorder.log_metrics(step="alarm")
    recorder.update_status(phase="alarm")
    signal.setitimer(signal.ITIMER_REAL, 0.001)
signal.signal(signal.SIGALRM, alarm)
signal.setitimer(signal.ITIMER_REAL, 0.001)
for step in range(1000):
    recorder.log_metrics(step=str(step))
    recorder.log_metrics(step=step)
signal.signal(signal.SIGALRM, signal.SIG_IGN)
recorder.close()
"""
        subprocess.run([sys.executable, "-c", code, run.path], cwd=ROOT, check=True, timeout=60)
        steps = [line["fields"].get("step") for line in refused_of(run)]
        assert [step for step in steps if step not in ("alarm", None)] == [
            str(step) for step in range(1000)
        ]
        assert [line["step"] for line in lines_of(run, "metrics")] == list(range(1000))


class TestTheRestOfTheHouse:
    @pytest.mark.parametrize("form", ["gzip", "parquet"])
    def test_retention_packs_and_deletes_them_as_other_days(self, run: RunDir, form: Form) -> None:
        today = date(2026, 11, 25)
        for age in (40, 10, 1):
            path = run.log_file("refused", today - timedelta(days=age))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text('{"ts":"2026-11-01T00:00:00Z","kind":"metrics","reason":"r"}\n')
        done = [carry_out(step) for step in plan(run, today, form=form)]
        assert [each.problem for each in done] == [None, None]
        suffix = {"gzip": ".gz", "parquet": ".parquet"}[form]
        assert sorted(path.name for path in run.logs("refused").iterdir()) == [
            f"refused_2026-11-15.jsonl{suffix}",
            "refused_2026-11-24.jsonl",
        ]

    def test_the_history_does_not_mind_them(self, run: RunDir, recorder: Recorder) -> None:
        recorder.log_metrics(step=1)
        recorder.log_metrics(step="two")
        with HistoryIndex(run) as index:
            refresh = index.refresh()
            assert not refresh.problems
            found = index.cursor().execute("SELECT step FROM metrics").fetchall()
        assert found == [(1,)]

    def test_the_preview_record_says_which_field_is_wrong(self) -> None:
        with pytest.raises(ValueError, match=r"PreviewRecord\.ce: expected a number"):
            PreviewRecord(**PREVIEW, ce=Hostile())  # type: ignore[arg-type]  # meant


def test_it_costs_no_more_than_it_must_to_be_refused_each_step(run: RunDir) -> None:
    """Not a bench: a loop that is wrong each step must not become another loop."""
    code = """
import sys, time, warnings
from control_room import Recorder
warnings.simplefilter("ignore")
recorder = Recorder(sys.argv[1])
begin = time.process_time()
for step in range(2000):
    recorder.log_preview(step=step, promt="p", golden="g", model_answer="a")
print((time.process_time() - begin) / 2000)
"""
    output = subprocess.check_output(
        [sys.executable, "-c", code, run.path], cwd=ROOT, env={**os.environ}
    )
    assert float(output) < 0.001


class TestWhereNothingCanBeShown:
    """No stderr, or a hook for warnings that fails: the training goes on unwarned."""

    @pytest.mark.parametrize("stderr", ["closed", "none"])
    def test_a_refusal_is_kept_and_raises_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stderr: str
    ) -> None:
        closed = io.StringIO()
        closed.close()
        monkeypatch.setattr(sys, "stderr", closed if stderr == "closed" else None)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            recorder = Recorder(tmp_path / "run")
            recorder.log_metrics(step=1, loss="x")
            recorder.update_status(loss=object(), current_step=1)  # type: ignore[arg-type]  # meant
        assert recorder.refused["metrics"] == 1
        assert json.loads(recorder.run_dir.status_file.read_text())["current_step"] == 1

    def test_a_hook_that_fails_fails_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def failing(*arguments: object, **named: object) -> None:
            raise RuntimeError("no")

        monkeypatch.setattr(warnings, "showwarning", failing)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            recorder = Recorder(tmp_path / "run")
            recorder.log_metrics(step=1, loss="x")
        assert recorder.refused["metrics"] == 1

    def test_a_record_that_is_half_made_is_refused(self, tmp_path: Path) -> None:
        recorder = Recorder(tmp_path / "run")
        with pytest.warns(RecorderWarning):
            recorder.log_preview(object.__new__(PreviewRecord))
        assert recorder.refused["preview"] == 1

    def test_an_error_of_megabytes_is_cut(self, tmp_path: Path) -> None:
        recorder = Recorder(tmp_path / "run")
        recorder.mark_crashed("x" * 9_000_000)
        told = json.loads(recorder.run_dir.status_file.read_text())
        assert told["status"] == "crashed" and len(told["error_message"]) == 20_000
