"""The data queue: files are taken by priority, worked through once, and never lost half way."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_room import RunDir
from examples.batching import in_batches
from examples.curriculum import Curriculum
from examples.data_queue import DataQueue
from examples.tasks import MAX_LEVEL, PATTERNS
from examples.tokens import Tokenizer

EXAMPLES = Curriculum().course(random.Random(0), 5)


def waiting(run_dir: RunDir) -> list[str]:
    return sorted(path.name for path in run_dir.path.glob("queue/*/*"))


def test_files_are_taken_by_priority_and_then_by_name(tmp_path: Path) -> None:
    queue = DataQueue(RunDir(tmp_path))
    queue.add("low", "early_01", EXAMPLES)
    queue.add("normal", "course_03", EXAMPLES)
    queue.add("normal", "course_02", EXAMPLES)
    queue.add("high", "review_04", EXAMPLES)
    assert len(queue) == 4
    taken = []
    while (file := queue.take()) is not None:
        assert file.examples == EXAMPLES
        assert file.path.parent.name == "processing"
        taken.append(file.path.stem)
        queue.finish(file)
    assert taken == ["review_04", "course_02", "course_03", "early_01"]
    assert waiting(RunDir(tmp_path)) == []


def test_a_file_that_was_in_work_comes_first_after_a_restart(tmp_path: Path) -> None:
    queue = DataQueue(RunDir(tmp_path))
    queue.add("low", "early_01", EXAMPLES)
    assert queue.take() is not None
    queue.add("high", "review_02", EXAMPLES)
    again = DataQueue(RunDir(tmp_path)).take()
    assert again is not None
    assert again.path.stem == "early_01"
    assert again.dataset_id == "early"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'{"prompt": "1 + 1 = ?"', "line 1"),
        (b"[1, 2]\n", "not a JSON object"),
        (b'{"prompt": 3}\n', "expected str"),
        (b"\xff\xfe\n", "utf-8"),
        (b"", "holds no examples"),
    ],
)
def test_a_file_that_cannot_be_read_is_set_aside_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, reason: str
) -> None:
    run_dir = RunDir(tmp_path)
    queue = DataQueue(run_dir)
    (run_dir.queue("high") / "broken.jsonl").write_bytes(content)
    queue.add("low", "good_01", EXAMPLES)
    taken = queue.take()
    assert taken is not None
    assert taken.path.stem == "good_01"
    told = capsys.readouterr().err
    assert "broken.jsonl" in told
    assert reason in told
    assert (tmp_path / "queue" / "rejected" / "broken.jsonl").read_bytes() == content


@given(st.integers(0, 2**32), st.integers(1, MAX_LEVEL), st.integers(50, 2000))
def test_batches_hold_each_example_once_and_keep_the_budget(
    seed: int, level: int, budget: int
) -> None:
    rng = random.Random(seed)
    tokenizer = Tokenizer()
    examples = Curriculum(dict.fromkeys(PATTERNS, level)).course(rng, 40)
    batches = in_batches(examples, tokenizer, rng, budget=budget)
    assert sorted(id(each) for batch in batches for each in batch) == sorted(map(id, examples))
    for batch in batches:
        longest = max(
            len(tokenizer.encode(each.prompt)) + len(tokenizer.encode(each.golden))
            for each in batch
        )
        assert len(batch) == 1 or longest * len(batch) <= budget


def test_a_pattern_moves_on_when_it_is_mastered() -> None:
    curriculum = Curriculum()
    curriculum.judge({"syllogism": 1.0, "addition": 0.2, "counting": 0.85, "logic_chain": 0.5})
    assert curriculum.levels == {
        "syllogism": 2,
        "addition": 1,
        "counting": 2,
        "logic_chain": 1,
    }
    for _ in range(10):
        curriculum.judge(dict.fromkeys(PATTERNS, 1.0))
    assert set(curriculum.levels.values()) == {MAX_LEVEL}


def test_a_review_is_about_the_weakest_pattern() -> None:
    curriculum = Curriculum()
    curriculum.judge({"syllogism": 0.9, "addition": 0.1, "counting": 0.3, "logic_chain": 0.5})
    review = curriculum.review(random.Random(0), 100)
    assert len(review) == 100
    assert sum(each.pattern == "addition" for each in review) >= 50
