"""Examples: read from files of several forms, chosen by a seed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_room.previews.examples import (
    BadExample,
    ExampleSet,
    ExampleSource,
    as_failure,
    parse_example,
)

SOURCE = ExampleSource(Path("set.jsonl"), "train", regime="plain_sft", pattern="math")


def parse(value: object) -> object:
    return parse_example(json.dumps(value).encode(), SOURCE, 1)


def write(path: Path, *values: object) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return path


def ids(examples: ExampleSet, count: int, seed: int, *pools: str) -> list[str]:
    chosen = examples.choose(count, seed=seed, pools=pools)
    return [example.example_id for example in examples.read(chosen)]


def test_a_chat_ends_with_the_golden_answer() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "2+2?"},
        {"role": "assistant", "content": "4"},
    ]
    example = parse_example(json.dumps({"id": 7, "messages": messages}).encode(), SOURCE, 1)
    assert (example.example_id, example.golden) == ("7", "4")
    assert example.messages == tuple(messages[:2])
    assert example.prompt == "system: Be brief.\n\nuser: 2+2?"
    assert (example.dataset_id, example.source_pool, example.regime, example.pattern) == (
        "set",
        "train",
        "plain_sft",
        "math",
    )


@pytest.mark.parametrize("name", ["golden", "answer", "completion", "response"])
def test_prompt_and_answer_have_several_names(name: str) -> None:
    example = parse_example(
        json.dumps({"prompt": "p", name: "g", "dataset": "d", "pool": "fixed_eval"}).encode(),
        SOURCE,
        1,
    )
    assert (example.prompt, example.golden) == ("p", "g")
    assert (example.dataset_id, example.source_pool) == ("d", "fixed_eval")
    assert len(example.example_id) == 16, "its question names it"


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ([1], "object"),
        ({"prompt": "p"}, "golden"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, "question"),
        ({"messages": []}, "question"),
    ],
)
def test_what_is_no_example_is_named_with_its_line(value: object, word: str) -> None:
    with pytest.raises(BadExample, match=f"set.jsonl, line 1: .*{word}"):
        parse(value)


def test_the_same_seed_chooses_the_same_in_the_same_order(tmp_path: Path) -> None:
    questions = [{"id": str(n), "prompt": "p", "golden": "g"} for n in range(100)]
    one = ExampleSet([ExampleSource(write(tmp_path / "a.jsonl", *questions))])
    shuffled = ExampleSet([ExampleSource(write(tmp_path / "b.jsonl", *questions[::-1]))])
    assert ids(one, 10, 0) == ids(shuffled, 10, 0)
    assert ids(one, 10, 0) != ids(one, 10, 1)
    assert len(set(ids(one, 1000, 0))) == 100


@given(st.integers(0, 2**31), st.integers(1, 30), st.integers(0, 20))
def test_growing_a_set_changes_a_choice_by_what_grew(seed: int, count: int, more: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "set.jsonl"
        questions = [{"id": str(n), "prompt": "p", "golden": "g"} for n in range(60)]
        before = set(ids(ExampleSet([ExampleSource(write(file, *questions))]), count, seed))
        questions += [{"id": f"new{n}", "prompt": "p", "golden": "g"} for n in range(more)]
        after = set(ids(ExampleSet([ExampleSource(write(file, *questions))]), count, seed))
    assert all(each.startswith("new") for each in after - before)


def test_pools_choose_and_an_id_counts_once(tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.jsonl",
        {"id": "a", "prompt": "p", "golden": "1"},
        {"id": "a", "prompt": "p", "golden": "2"},
        {"id": "b", "prompt": "p", "golden": "g", "pool": "train"},
    )
    examples = ExampleSet([ExampleSource(file)])
    assert ids(examples, 10, 0, "fixed_eval") == ["a"]
    assert sorted(ids(examples, 10, 0)) == ["a", "b"]
    (first,) = examples.read(examples.choose(1, seed=0, pools=["fixed_eval"]))
    assert first.golden == "1"
    assert as_failure(first).source_pool == "failures"
    assert [each.example_id for each in examples.read(examples.find({"b", "x"}))] == ["b"]


def test_bad_lines_and_missing_files_are_named_and_the_rest_counts(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes(b'{"prompt": "p", "golden": "g"}\n\nnot json\n\xff\xfe\n{"prompt": "q"}\n')
    examples = ExampleSet([ExampleSource(tmp_path / "none.jsonl"), ExampleSource(file)])
    assert len(ids(examples, 10, 0)) == 1
    assert len(examples.problems) == 4
    assert "none.jsonl cannot be read" in examples.problems[0]
    assert "line 3" in examples.problems[1]
