"""Reliability, comparison, learning, drift, data files: by hand, and beside other libraries."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss
from statsmodels.stats.weightstats import DescrStatsW

from control_room import Recorder, RunDir
from control_room.history.filters import PreviewFilter
from control_room.history.index import HistoryIndex
from control_room.history.queries import Cursor
from control_room.history.questions.comparison import (
    Kind,
    PairOfSides,
    Side,
    of_side,
    sides,
)
from control_room.history.questions.data_files import file_effects
from control_room.history.questions.drift import drift, verdict
from control_room.history.questions.evaluations import evaluations, gap_points
from control_room.history.questions.heads import head_diagnostics, head_steps
from control_room.history.questions.learning import (
    example_lives,
    learned_over_steps,
    learning_summary,
    timelines,
)
from control_room.history.questions.notes import notes
from control_room.history.questions.reliability import Binning, reliability
from control_room.history.questions.samples import example_samples, pass_at, pass_at_k
from control_room.statistics.calibration import (
    expected_calibration_error,
    maximum_calibration_error,
)

ALL = PreviewFilter()
FRESH_RUNS = [HealthCheck.function_scoped_fixture]  # each example makes a run of its own


class Run:
    """A recorder, and a cursor over what it has recorded so far."""

    def __init__(self, path: Path) -> None:
        self.recorder = Recorder(path)
        self._index = HistoryIndex(RunDir(path))

    def preview(self, example: str, step: int, right: bool | None, **fields: Any) -> None:
        self.recorder.log_preview(
            **{
                "step": step,
                "example_id": example,
                "prompt": f"What is {example}?",
                "golden": "g",
                "model_answer": "g" if right else "w",
                "exact_match": right,
                **fields,
            }
        )

    def cursor(self) -> Cursor:
        self._index.refresh()
        return self._index.cursor()

    def close(self) -> None:
        self.recorder.close()
        self._index.close()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    opened = Run(tmp_path / "run")
    yield opened
    opened.close()


class TestReliability:
    @pytest.mark.parametrize(
        ("binning", "strategy"), [("equal width", "uniform"), ("equal count", "quantile")]
    )
    @settings(max_examples=20, deadline=None, suppress_health_check=FRESH_RUNS)
    @given(
        told=st.lists(
            st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 0.7, 0.99, 1.0]) | st.floats(0, 1),
                      st.booleans()),
            min_size=1,
            max_size=60,
        )
    )  # fmt: skip
    def test_bins_and_scores_are_scikit_learns(
        self, tmp_path_factory: pytest.TempPathFactory, binning: Binning, strategy: str,
        told: list[tuple[float, bool]],
    ) -> None:  # fmt: skip
        run = Run(tmp_path_factory.mktemp("run"))
        for number, (sure, right) in enumerate(told):
            run.preview(f"e{number}", 1, right, confidence=sure)
        found = reliability(run.cursor(), ALL, binning=binning)
        run.close()
        confidences = np.array([sure for sure, _ in told])
        correct = np.array([right for _, right in told])
        fractions, means = calibration_curve(correct, confidences, n_bins=10, strategy=strategy)
        assert [each.em for each in found.bins] == pytest.approx(list(fractions), abs=1e-9)
        assert [each.mean_confidence for each in found.bins] == pytest.approx(list(means), abs=1e-9)
        gaps = np.abs(fractions - means)
        weights = np.array([each.count for each in found.bins]) / len(told)
        assert expected_calibration_error(found.bins) == pytest.approx(
            float((weights * gaps).sum()), abs=1e-9
        )
        assert maximum_calibration_error(found.bins) == pytest.approx(float(gaps.max()), abs=1e-9)
        assert found.brier == pytest.approx(
            brier_score_loss(correct, confidences, pos_label=True), abs=1e-9
        )

    def test_token_probabilities_stand_in_for_a_confidence(self, run: Run) -> None:
        run.preview("a", 1, True, token_log_probs=[np.log(0.5), np.log(0.5)])
        run.preview("b", 1, True)
        run.preview("c", 1, None, confidence=0.5)
        found = reliability(run.cursor(), ALL)
        assert (found.count, found.without) == (1, 1)
        assert found.bins[0].mean_confidence == pytest.approx(0.25)

    def test_without_any_there_are_no_bins(self, run: Run) -> None:
        found = reliability(run.cursor(), ALL)
        assert (found.bins, found.brier) == ((), None)
        assert expected_calibration_error(found.bins) is None
        assert maximum_calibration_error(found.bins) is None


class TestComparison:
    def test_flips_are_counted_by_hand(self, run: Run) -> None:
        for example, before, after in (
            ("a", True, True),
            ("b", False, True),
            ("c", False, True),
            ("d", True, False),
            ("e", False, False),
        ):
            mode = "wrong_content"
            run.preview(example, 1, before, checkpoint_id="A", pattern="p",
                        failure_mode=None if before else mode)  # fmt: skip
            run.preview(example, 2, after, checkpoint_id="B", pattern="p",
                        failure_mode=None if after else "repetition")  # fmt: skip
        run.preview("only in A", 1, True, checkpoint_id="A")
        run.preview("a", 3, None, checkpoint_id="B")  # not scored: changes nothing
        run.preview("a", 3, False, checkpoint_id="B", source_pool="samples")  # nor a sample
        found = self.pair(run).comparison()
        assert (found.common, found.both_right, found.both_wrong) == (5, 1, 1)
        assert (found.fixed, found.broken, found.difference) == (2, 1, 0.2)
        assert found.p_value == 1.0
        assert (found.a.correct, found.a.count, found.b.correct, found.b.count) == (3, 6, 3, 5)
        assert found.fixed_modes == (("wrong_content", 2),)
        assert found.broken_modes == (("repetition", 1),)
        assert [(each.group, each.fixed, each.broken) for each in found.patterns] == [("p", 2, 1)]
        fixed = self.pair(run).flips(fixed=True, limit=10)
        assert [(f.before.example_id, f.before.step, f.after.step) for f in fixed] == [
            ("c", 1, 2),
            ("b", 1, 2),
        ]

    def pair(self, run: Run) -> PairOfSides:
        sides = [Side(run.cursor(), PreviewFilter(checkpoint_id=name)) for name in "AB"]
        return PairOfSides(*sides)

    def test_the_newest_answer_of_an_example_counts(self, run: Run) -> None:
        run.preview("a", 1, False, checkpoint_id="A")
        run.preview("a", 1, True, checkpoint_id="A")
        run.preview("a", 2, True, checkpoint_id="B")
        found = self.pair(run).comparison()
        assert (found.both_right, found.fixed, found.p_value) == (1, 0, 1.0)

    def test_without_common_examples_rates_are_compared(self, run: Run) -> None:
        run.preview("a", 1, False, checkpoint_id="A")
        run.preview("b", 2, True, checkpoint_id="B")
        found = self.pair(run).comparison()
        assert (found.common, found.p_value, found.difference) == (0, None, 1.0)
        assert found.interval is not None

    def test_an_empty_side_has_no_difference(self, run: Run) -> None:
        run.preview("a", 1, True, checkpoint_id="A")
        found = self.pair(run).comparison()
        assert (found.difference, found.interval, found.p_value) == (None, None, None)

    def test_two_runs_are_compared_by_their_examples(self, run: Run, tmp_path: Path) -> None:
        other = Run(tmp_path / "other")
        run.preview("a", 1, False)
        other.preview("a", 9, True)
        found = PairOfSides(Side(run.cursor(), ALL), Side(other.cursor(), ALL))
        assert found.comparison().fixed == 1
        (flip,) = found.flips(fixed=True, limit=5)
        assert (flip.before.step, flip.after.step) == (1, 9)
        other.close()

    def test_sides_are_checkpoints_by_step_and_others_by_name(self, run: Run) -> None:
        run.preview("a", 900, True, checkpoint_id="checkpoint-900", regime="b", dataset_id="d")
        run.preview("a", 1000, True, checkpoint_id="checkpoint-1000", regime="a", dataset_id="c")
        cursor = run.cursor()
        assert sides(cursor, "checkpoint") == ["checkpoint-900", "checkpoint-1000"]
        assert (sides(cursor, "regime"), sides(cursor, "dataset")) == (["a", "b"], ["c", "d"])
        kinds: tuple[Kind, ...] = ("checkpoint", "regime", "dataset")
        for kind in kinds:
            first, last = (Side(cursor, of_side(kind, name)) for name in sides(cursor, kind))
            found = PairOfSides(first, last).comparison()
            assert (found.a.count, found.b.count) == (1, 1)


class TestLearning:
    HISTORIES = ("00111", "11010", "01010", "00000", "11111")

    def record(self, run: Run) -> Cursor:
        for step in range(5):
            for number, history in enumerate(self.HISTORIES):
                run.preview(f"e{number}", step, history[step] == "1", confidence=0.9)
        return run.cursor()

    def test_lives_are_those_counted_by_hand(self, run: Run) -> None:
        cursor = self.record(run)
        found = {each.example_id: each for each in example_lives(cursor, ALL, "flips", limit=9)}
        assert set(found) == {"e0", "e1", "e2"}
        told = {
            name: (each.flips, each.forgotten, each.first_right_step, each.learned_step)
            for name, each in found.items()
        }
        assert told == {"e0": (1, 0, 2, 2), "e1": (3, 2, 0, None), "e2": (4, 2, 1, None)}
        assert found["e1"].last_right_step == 3
        assert (found["e0"].right_now, found["e0"].answers) == (True, 5)

    def test_the_summary_counts_each_example_once(self, run: Run) -> None:
        found = learning_summary(self.record(run), ALL)
        assert (found.examples, found.learned, found.forgotten) == (5, 2, 2)
        assert (found.never, found.unstable) == (1, 2)

    def test_what_was_lost_and_what_is_sure_are_ranked(self, run: Run) -> None:
        cursor = self.record(run)
        lost = example_lives(cursor, ALL, "forgotten", limit=9)
        assert [each.example_id for each in lost] == ["e1", "e2"]
        sure = example_lives(cursor, ALL, "sure", limit=9)
        assert {each.example_id for each in sure} == {"e1", "e2", "e3"}

    def test_those_that_were_right_at_a_step_can_be_asked_for(self, run: Run) -> None:
        cursor = self.record(run)
        for step, expected in ((0, ["e1"]), (1, ["e1", "e2"]), (2, []), (3, ["e1", "e2"])):
            found = example_lives(cursor, ALL, "forgotten", limit=9, right_at_step=step)
            assert [each.example_id for each in found] == expected, step

    def test_timelines_hold_every_counted_answer(self, run: Run) -> None:
        cursor = self.record(run)
        run.preview("e1", 9, True, source_pool="samples")
        lives = example_lives(run.cursor(), ALL, "flips", limit=9)
        found = timelines(cursor, ALL, lives)
        for life in lives:
            assert life.example_id is not None
            own = [each for each in found if each.newest_seq == life.newest_seq]
            told = "".join("01"[each.right] for each in own)
            assert told == self.HISTORIES[int(life.example_id[1])]
            assert [each.step for each in own] == list(range(5))

    def test_samples_and_unscored_answers_change_nothing(self, run: Run) -> None:
        self.record(run)
        run.preview("e4", 9, False, source_pool="samples")
        run.preview("e4", 9, False, sample_index=2)
        run.preview("e4", 9, None)
        assert learning_summary(run.cursor(), ALL).learned == 2

    def test_learned_examples_over_steps(self, run: Run) -> None:
        assert learned_over_steps(self.record(run), ALL) == [
            (step, sum(history[step] == "1" for history in self.HISTORIES), 5) for step in range(5)
        ]

    @settings(max_examples=25, deadline=None, suppress_health_check=FRESH_RUNS)
    @given(
        st.lists(
            st.tuples(st.integers(0, 3), st.integers(0, 9), st.booleans()), min_size=1, max_size=40
        )
    )
    def test_a_run_that_goes_back_counts_each_example_once(
        self, tmp_path_factory: pytest.TempPathFactory, answers: list[tuple[int, int, bool]]
    ) -> None:
        """Whatever was answered at which step, in whatever order."""
        run = Run(tmp_path_factory.mktemp("run"))
        for number, (example, step, right) in enumerate(answers):
            run.preview(f"e{example}", step, right, model_answer=f"{number}")
        found = learned_over_steps(run.cursor(), ALL, bins=100)
        run.close()

        def newest_at(step: int) -> dict[int, bool]:
            return {example: right for example, at, right in answers if at <= step}

        told = {step: (sum(newest_at(step).values()), len(newest_at(step))) for step, _, _ in found}
        assert {step: (correct, asked) for step, correct, asked in found} == told
        assert found[-1][1:] == (
            sum(newest_at(9).values()),
            len({example for example, _, _ in answers}),
        )

    def test_the_same_id_in_two_datasets_is_two_examples(self, run: Run) -> None:
        run.preview("a", 1, True, dataset_id="x")
        run.preview("a", 2, False, dataset_id="y")
        assert learning_summary(run.cursor(), ALL).examples == 2

    @settings(max_examples=15, deadline=None, suppress_health_check=FRESH_RUNS)
    @given(st.lists(st.lists(st.booleans(), min_size=1, max_size=12), min_size=1, max_size=6))
    def test_any_history_is_counted_as_plain_python_does(
        self, tmp_path_factory: pytest.TempPathFactory, histories: list[list[bool]]
    ) -> None:
        run = Run(tmp_path_factory.mktemp("run"))
        for number, history in enumerate(histories):
            for step, right in enumerate(history):
                run.preview(f"e{number}", step, right)
        found = learning_summary(run.cursor(), ALL)
        lives = example_lives(run.cursor(), ALL, "flips", limit=99)
        run.close()
        turns = [sum(a != b for a, b in pairwise(h)) for h in histories]
        assert sorted(each.flips for each in lives) == sorted(filter(None, turns))
        assert found.learned == sum(history[-1] for history in histories)
        assert found.forgotten == sum(any(h) and not h[-1] for h in histories)
        forgotten = [sum(a and not b for a, b in pairwise(h)) for h in histories]
        assert sum(each.forgotten for each in lives) == sum(forgotten)


class TestDrift:
    def test_answers_are_told_apart(self, run: Run) -> None:
        run.preview("a", 1, True)
        run.preview("b", 1, True, failure_mode="contract_violation")
        run.preview("c", 1, False, normalized_match=True, failure_mode="near_miss")
        run.preview("d", 1, False, failure_mode="format_error")
        run.preview("e", 1, False, failure_mode="wrong_content")
        run.preview("f", 1, False, failure_mode="contract_violation")
        run.preview("g", 1, False, failure_mode="repetition")
        run.preview("h", 1, False, failure_mode="server_error")
        (found,) = drift(run.cursor(), ALL, bins=1)
        assert found.counts == {"right": 1, "form": 3, "content": 2, "degenerate": 1}

    @pytest.mark.parametrize(
        ("late", "said"),
        [
            ({"exact_match": True, "failure_mode": "contract_violation"}, "the form dies"),
            ({"exact_match": False, "failure_mode": "wrong_content"}, "content gets worse"),
            ({"exact_match": False, "failure_mode": "empty"}, "empty, cut off or loop"),
            ({"exact_match": True}, "No share has changed"),
        ],
    )
    def test_the_verdict_names_what_dies(self, run: Run, late: dict[str, Any], said: str) -> None:
        for step in range(40):
            run.preview(f"e{step}", step, True)
        for step in range(40, 80):
            run.preview(f"e{step}", step, None, **late)
        found = verdict(drift(run.cursor(), ALL, bins=8))
        assert found is not None
        assert said in found.said

    def test_one_stretch_has_no_verdict(self, run: Run) -> None:
        assert verdict(drift(run.cursor(), ALL)) is None


def test_files_between_checkpoints_are_told_with_what_turned(run: Run) -> None:
    for step in range(1, 11):
        name = "x.jsonl" if step <= 7 else "y.jsonl"
        run.recorder.log_metrics(step=step, loss=1.0, current_file=name)
    for step, answers in ((0, "0101"), (5, "1101"), (10, "1000")):
        for example, right in zip("abcd", answers, strict=True):
            run.preview(example, step, right == "1", checkpoint_id=f"c{step}", pattern="p")
    first, second = file_effects(run.cursor(), ALL)
    assert (first.first_step, first.last_step, first.files) == (0, 5, (("x.jsonl", 5),))
    assert (first.common, first.fixed, first.broken) == (4, 1, 0)
    assert second.files == (("y.jsonl", 3), ("x.jsonl", 2))
    assert (second.fixed, second.broken) == (0, 2)


def test_a_stray_line_of_a_checkpoint_changes_nothing_between_checkpoints(run: Run) -> None:
    for step in range(1, 11):
        run.recorder.log_metrics(step=step, loss=1.0, current_file="x.jsonl")
    for step, answers in ((0, "0011"), (5, "0111"), (10, "0100")):
        for example, right in zip("abcd", answers, strict=True):
            run.preview(example, step, right == "1", checkpoint_id=f"c{step}", pattern="p")
    before = file_effects(run.cursor(), ALL)
    run.preview("e", 0, True, checkpoint_id="c10", pattern="p")
    assert file_effects(run.cursor(), ALL) == before


class TestSamples:
    def record(self, run: Run) -> Cursor:
        chance = random.Random(0)
        for example in range(12):
            for sample in range(5):
                run.preview(f"e{example}", 1, chance.random() < example / 12, sample_index=sample,
                            round_id="r", source_pool="samples")  # fmt: skip
        run.preview("greedy", 1, True)
        return run.cursor()

    def test_the_interval_of_pass_at_k_is_that_of_a_mean(self, run: Run) -> None:
        cursor = self.record(run)
        counts = cursor.execute(
            "SELECT count(*) FILTER (exact_match) FROM previews WHERE source_pool = 'samples' "
            "GROUP BY example_id"
        ).fetchall()
        for found in pass_at(cursor, ALL, (1, 2, 4), least=2):
            values = [pass_at_k(5, correct, found.k) for (correct,) in counts]
            low, high = DescrStatsW(values).zconfint_mean()
            assert found.examples == 12
            assert found.value == pytest.approx(np.mean(values), abs=1e-12)
            assert found.interval == pytest.approx((max(0, low), min(1, high)), abs=1e-9)

    def test_each_example_is_told_as_last_asked(self, run: Run) -> None:
        for step in (1, 2):
            for sample in range(3):
                run.preview("a", step, True, sample_index=sample, round_id=f"r{step}",
                            model_answer=f"{step * sample}")  # fmt: skip
        (found,) = example_samples(run.cursor(), ALL, limit=9, newest=True)
        assert (found.step, found.count, found.distinct) == (2, 3, 3)


class TestEvaluations:
    def test_the_newest_of_a_step_counts(self, run: Run) -> None:
        run.recorder.log_eval(step=1, kind="fixed", em=0.1, count=10)
        run.recorder.log_eval(step=1, kind="fixed", em=0.5, ce=1.0, count=10)
        run.recorder.log_eval(step=1, kind="fixed", domain="d", em=0.2)
        run.recorder.log_eval(step=1, kind="micro", loss=0.2)
        whole, domain = evaluations(run.cursor())
        assert (whole.em, whole.ce, whole.domain) == (0.5, 1.0, None)
        assert whole.em_interval == pytest.approx((0.2366, 0.7634), abs=1e-4)
        assert (domain.domain, domain.em_interval) == ("d", None)

    def test_many_are_thinned_and_the_newest_stays(self, run: Run) -> None:
        for step in range(100):
            run.recorder.log_eval(step=step, kind="fixed", em=0.5)
            if step < 20:
                run.recorder.log_eval(step=step, kind="fixed", domain="d", em=0.5)
        found = evaluations(run.cursor(), most=20)
        whole = [each for each in found if each.domain is None]
        assert len(whole) <= 20
        assert whole[-1].step == 99
        assert {(each.domain, each.all_of) for each in found} == {(None, 100), ("d", 20)}
        assert len(found) - len(whole) == 20

    def test_the_gap_is_against_the_training_loss(self, run: Run) -> None:
        run.recorder.log_metrics(step=1, loss=2.0)
        run.recorder.log_metrics(step=2, loss=float("nan"))
        run.recorder.log_metrics(step=2, val_loss=2.5)
        (point,) = gap_points(run.cursor())
        assert (point.step, point.gap) == (2, 0.5)


def test_a_note_without_a_step_gets_that_of_the_last_metric(run: Run) -> None:
    run.recorder.note("before any")
    assert [note.step for note in notes(run.cursor())] == [None]
    earlier = datetime.now().astimezone() - timedelta(minutes=1)
    run.recorder.log_metrics(ts=earlier, step=7, loss=1.0)
    run.recorder.note("now")
    run.recorder.note("then", step=3)
    found = [(note.text, note.step) for note in notes(run.cursor())]
    assert found[1:] == [("now", 7), ("then", 3)]


def test_heads_are_read_back_by_step(run: Run) -> None:
    run.recorder.log_heads(step=1, attention_entropy=[[1.0, 2.0]])
    run.recorder.log_heads(step=5, attention_entropy=[[3.0, 4.0]], grad_norm=[[0.1, 0.2]])
    cursor = run.cursor()
    assert head_steps(cursor) == [1, 5]
    found = head_diagnostics(cursor, 5)
    assert found is not None
    assert (found.layers, found.heads) == (1, 2)
    assert found.values["grad_norm"] == [0.1, 0.2]
    assert found.values["weight_norm"] is None
    assert head_diagnostics(cursor, 2) is None
