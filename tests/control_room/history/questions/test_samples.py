"""Several answers to one example: pass@k, agreement and entropy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import entropy

from control_room import Recorder, RunDir
from control_room.history.filters import PreviewFilter
from control_room.history.index import HistoryIndex
from control_room.history.questions.samples import example_samples, pass_at, pass_at_k


@given(st.integers(1, 12), st.data())
def test_the_estimate_is_the_share_of_subsets_with_a_right_answer(
    count: int, data: st.DataObject
) -> None:
    correct = data.draw(st.integers(0, count))
    k = data.draw(st.integers(1, count))
    subsets = list(combinations([True] * correct + [False] * (count - correct), k))
    share = sum(map(any, subsets)) / len(subsets)
    assert pass_at_k(count, correct, k) == pytest.approx(share, abs=1e-12)


@pytest.mark.parametrize(
    ("count", "correct", "k", "value"),
    [
        (10, 3, 1, 0.3),
        (10, 3, 5, 1 - 21 / 252),
        (200, 10, 100, 1 - math.comb(190, 100) / math.comb(200, 100)),
        (5, 0, 5, 0.0),
        (5, 5, 1, 1.0),
        (5, 3, 3, 1.0),
    ],
)
def test_known_values(count: int, correct: int, k: int, value: float) -> None:
    assert pass_at_k(count, correct, k) == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize(("count", "correct", "k"), [(3, 4, 1), (3, -1, 1), (3, 1, 4), (3, 1, 0)])
def test_what_cannot_be_is_refused(count: int, correct: int, k: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        pass_at_k(count, correct, k)


ANSWERS = {
    "same": (["4", "4 ", " 4", "4"], 4),
    "split": (["4", "5", "5", "6"], 1),
    "two": (["4", "5"], 1),
    "one": (["4"], 1),
}


@pytest.fixture(scope="module")
def cursor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    run = RunDir(tmp_path_factory.mktemp("samples") / "run")
    with Recorder(run) as recorder:
        for example_id, (answers, _) in ANSWERS.items():
            for sample_index, answer in enumerate(answers):
                recorder.log_preview(
                    step=1,
                    checkpoint_id="c1",
                    round_id="preview:c1",
                    example_id=example_id,
                    prompt="p",
                    golden="4",
                    model_answer=answer,
                    exact_match=answer.strip() == "4",
                    sample_index=sample_index,
                    temperature=0.7,
                )
        recorder.log_preview(
            step=1,
            round_id="preview:c1",
            example_id="same",
            prompt="p",
            golden="4",
            model_answer="",
            error="HTTP 500",
            sample_index=9,
        )
        recorder.log_preview(
            step=2,
            round_id="preview:c2",
            example_id="same",
            prompt="p",
            golden="4",
            model_answer="9",
            exact_match=False,
        )
    with HistoryIndex(run) as index:
        index.refresh()
        yield index.cursor()


def test_the_mean_is_over_examples_with_samples_enough(cursor: Any) -> None:
    found = {each.k: each for each in pass_at(cursor, PreviewFilter(max_step=1), [1, 2, 4, 8])}
    assert list(found) == [1, 2, 4]
    rates = [
        pass_at_k(len(answers), right, 2) for answers, right in ANSWERS.values() if len(answers) > 1
    ]
    assert found[2].value == pytest.approx(sum(rates) / 3)
    assert (found[1].examples, found[2].examples, found[4].examples) == (4, 3, 2)
    assert pass_at(cursor, PreviewFilter(regime="none"), [1]) == []


def test_the_same_id_in_two_datasets_is_two_examples(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    with Recorder(run) as recorder:
        for example in range(20):
            for dataset_id in ("easy", "hard"):
                for sample_index in range(4):
                    recorder.log_preview(
                        step=1,
                        round_id="samples:c1",
                        dataset_id=dataset_id,
                        example_id=f"e{example}",
                        prompt="p",
                        golden="g",
                        model_answer=dataset_id,
                        exact_match=dataset_id == "easy",
                        sample_index=sample_index,
                    )
    with HistoryIndex(run) as index:
        index.refresh()
        (found,) = pass_at(index.cursor(), PreviewFilter(), [4], least=2)
        assert (found.value, found.examples) == (0.5, 40)
        samples = example_samples(index.cursor(), PreviewFilter(), limit=99)
    assert len(samples) == 40
    assert {(each.dataset_id, each.agreement, each.distinct) for each in samples} == {
        ("easy", 1.0, 1),
        ("hard", 1.0, 1),
    }


def test_agreement_and_entropy_of_each_example_the_least_agreed_first(cursor: Any) -> None:
    found = example_samples(cursor, PreviewFilter(), limit=10)
    assert [each.example_id for each in found] == ["split", "two", "same"]
    split, two, same = found
    assert (split.count, split.correct, split.distinct, split.agreement) == (4, 1, 3, 0.5)
    assert split.entropy_nats == pytest.approx(entropy([1, 2, 1]), abs=1e-12)
    assert two.entropy_nats == pytest.approx(math.log(2))
    assert (same.distinct, same.agreement, same.entropy_nats) == (1, 1.0, 0.0)
    assert (same.checkpoint_id, same.step, same.count) == ("c1", 1, 4)
