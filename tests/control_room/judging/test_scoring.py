"""Right or wrong, in form or not, and how an answer fails."""

from __future__ import annotations

import json
import random
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_room.judging.contracts import DEFAULT_CONTRACTS, contracts_from
from control_room.judging.scoring import (
    FAILURES,
    FailureMode,
    contract_status,
    exact_match,
    failure_mode,
    is_repetitive,
    judged_elsewhere,
    normalized_match,
    score,
    strip_contract,
)
from control_room.recording.records import PreviewRecord
from tests.support import SHARED

PREVIEW_ROUND = SHARED / "data" / "previews" / "preview_step_066400.json"
PROSE = "All men are mortal. Socrates is a man. Therefore it follows that Socrates is mortal."


class TestContracts:
    @pytest.mark.parametrize(
        ("answer", "prefix", "stop"),
        [
            ("🤔🤔 mortal 🛑🛑", True, True),
            ("🤔" * 8 + "mortal" + "🛑" * 4, True, True),
            ("  🧐🧐\nmortal\n✋✋\n", True, True),
            ("🤔 mortal 🛑", False, False),
            ("🤔" * 9 + "mortal" + "🛑" * 5, False, False),
            ("🤔💭 mortal 🛑⛔", False, False),  # one of each is no repeat
            ("mortal 🤔🤔 🛑🛑 mortal", False, False),  # not where they belong
            ("🤔🤔 mortal ⏹️⏹️", True, True),
            ("🤔🤔 mortal ⏹⏹", True, True),  # without variation selectors
            ("🤔🤔 mortal 🛡️🛡", True, True),
            ("⚡️⚡️ mortal 🛡🛡", True, True),
            ("", False, False),
            ("🤔🤔", True, False),
        ],
    )
    def test_emoji_think(self, answer: str, prefix: bool, stop: bool) -> None:
        wanted = {"emoji_prefix": prefix, "stop_emoji": stop}
        assert contract_status("emoji_think", answer) == wanted

    def test_every_emoji_of_the_lists_counts(self) -> None:
        thinking, stop = DEFAULT_CONTRACTS["emoji_think"]
        for first in thinking.symbols:  # type: ignore[attr-defined]  # both kinds have them
            for last in stop.symbols:  # type: ignore[attr-defined]  # likewise
                answer = f"{first * 3}mortal{last * 3}"
                assert all(contract_status("emoji_think", answer).values()), answer
                assert strip_contract("emoji_think", answer) == "mortal"

    @pytest.mark.parametrize(
        ("answer", "start", "end", "content"),
        [
            ("<<ANS_START>>42<<ANS_END>>", True, True, "42"),
            ("Let me see.\n<<ANS_START>> 42 <<ANS_END>> Done.", True, True, "42"),
            ("<<ANS_START>>42", True, False, "42"),
            ("42<<ANS_END>>", False, True, "42"),
            ("42", False, False, "42"),
            ("<<ANS_END>>42<<ANS_START>>", True, False, ""),
            ("<<ANS_START>>1<<ANS_END>><<ANS_START>>2<<ANS_END>>", True, True, "1"),
        ],
    )
    def test_regime3(self, answer: str, start: bool, end: bool, content: str) -> None:
        assert contract_status("regime3", answer) == {"answer_start": start, "answer_end": end}
        assert strip_contract("regime3", answer) == content

    @pytest.mark.parametrize("regime", ["plain_sft", "unheard_of", None])
    def test_a_regime_without_a_contract_asks_nothing(self, regime: str | None) -> None:
        assert contract_status(regime, "🤔🤔 x") == {}
        assert strip_contract(regime, " 🤔🤔 x ") == "🤔🤔 x"

    def test_a_user_adds_a_regime(self) -> None:
        settings: dict[str, list[dict[str, Any]]] = {
            "bullets": [
                {"check": "prefix_repeat", "name": "dashes", "symbols": ["-", "*"]}
                | {"min_repeats": 1, "max_repeats": 1},
                {"check": "delimiters", "start": "<a>", "end": "</a>", "end_name": "closed"},
            ]
        }
        contracts = contracts_from(settings)
        assert contract_status("bullets", "- <a>x</a>", contracts=contracts) == {
            "dashes": True,
            "answer_start": True,
            "closed": True,
        }
        assert exact_match("x", "- <a>x</a>", "bullets", contracts=contracts)
        assert set(DEFAULT_CONTRACTS) < set(contracts)

    @pytest.mark.parametrize(
        ("check", "named"),
        [
            ({}, "check = None is none of prefix_repeat"),
            ({"check": "prefix"}, "check = 'prefix'"),
            ({"check": "delimiters", "start": "<"}, "incomplete.*end"),
            ({"check": "delimiters", "start": "<", "end": ""}, "end = ''"),
            ({"check": "delimiters", "from": "<"}, "has no 'from'"),
            ({"check": "suffix_repeat", "symbols": "*"}, "symbols"),
            ({"check": "suffix_repeat", "symbols": []}, "symbols"),
            ({"check": "suffix_repeat", "symbols": ["\ufe0f"]}, "symbols"),
            ({"check": "suffix_repeat", "min_repeats": True}, "min_repeats"),
            ({"check": "suffix_repeat", "max_repeats": 10**9}, "max_repeats.*to 10,000"),
            ({"check": "suffix_repeat", "symbols": ["*"] * 101}, "symbols.*1 to 100"),
            ({"check": "suffix_repeat", "symbols": ["*" * 201]}, "symbols.*200 characters"),
            ({"check": "delimiters", "start": "<" * 201}, "start.*200 characters"),
            (
                {
                    **{"check": "prefix_repeat", "name": "n", "symbols": ["*"]},
                    **{"min_repeats": 3, "max_repeats": 2},
                },
                "min_repeats = 3 is above max_repeats = 2",
            ),
        ],
    )
    def test_a_wrong_setting_is_named(self, check: dict[str, Any], named: str) -> None:
        with pytest.raises(ValueError, match=f"contract of mine: .*{named}"):
            contracts_from({"mine": [check]})

    def test_the_largest_contract_over_a_long_answer_counts_no_further_than_it_must(self) -> None:
        check = {"symbols": ["a", *(f"{n}" for n in range(99))], "min_repeats": 1, "max_repeats": 3}
        checks = [
            {"check": kind, "name": f"{kind}{n}", **check}
            for kind in ("prefix_repeat", "suffix_repeat")
            for n in range(10)
        ]
        contracts = contracts_from({"mine": checks})
        status = contract_status("mine", "a" * 1_000_000, contracts=contracts)
        assert set(status.values()) == {False}
        assert all(contract_status("mine", "aaa b aaa", contracts=contracts).values())

    @pytest.mark.parametrize(
        ("checks", "named"),
        [("*", "a list of checks"), (["*"], "a list of checks"), ([{}] * 21, "21 checks")],
    )
    def test_what_is_no_list_of_a_few_checks_is_refused(self, checks: Any, named: str) -> None:
        with pytest.raises(ValueError, match=f"contract of mine: .*{named}"):
            contracts_from({"mine": checks})


def test_the_failure_modes_are_explained_in_the_order_in_which_they_are_decided() -> None:
    assert tuple(FAILURES) == get_args(FailureMode)
    assert all(failure.meaning for failure in FAILURES.values())


class TestMatching:
    @pytest.mark.parametrize(
        ("golden", "answer", "regime", "exact", "normalized"),
        [
            ("Socrates is mortal", "Socrates is mortal", "plain_sft", True, True),
            ("Socrates is mortal", " Socrates is mortal\n", None, True, True),
            ("Socrates is mortal", "🤔🤔\nSocrates is mortal 🛑🛑", "emoji_think", True, True),
            ("🤔🤔 mortal 🛑🛑", "💡💡💡 mortal ⛔⛔", "emoji_think", True, True),
            ("Socrates is mortal", "🤔🤔 Socrates is mortal", "plain_sft", False, False),
            ("Socrates is mortal.", "socrates  IS\nmortal", None, False, True),
            ("Straße", "STRASSE!", None, False, True),
            ("42", "43", None, False, False),
            ("", "", None, True, True),
            ('{"a": 1, "b": [2]}', '{"b":[2.0],"a":1}', None, False, True),
            ('{"a": 1}', '{"a": true}', None, False, False),
            ('{"a": "X"}', '{"a": "x"}', None, False, False),  # case counts inside of JSON
            ("[1, 2]", "[2, 1]", None, False, False),
            ('{"a": 1}', "a is 1", None, False, False),
        ],
    )
    def test_exact_and_normalized(
        self, golden: str, answer: str, regime: str | None, exact: bool, normalized: bool
    ) -> None:
        assert exact_match(golden, answer, regime) is exact
        assert normalized_match(golden, answer, regime) is normalized

    @given(golden=st.text(max_size=50), answer=st.text(max_size=50))
    def test_exact_is_always_normalized_too(self, golden: str, answer: str) -> None:
        for regime in DEFAULT_CONTRACTS:
            assert exact_match(golden, golden, regime) and normalized_match(golden, golden, regime)
            if exact_match(golden, answer, regime):
                assert normalized_match(golden, answer, regime)


class TestFailureModes:
    @pytest.mark.parametrize(
        ("golden", "answer", "regime", "mode"),
        [
            ("mortal", "mortal", None, None),
            ("mortal", "CUDA out of memory. Tried to allocate 2.00 GiB", None, "server_error"),
            ("mortal", "torch.OutOfMemoryError: CUDA out of memory", None, "server_error"),
            ("mortal", "Internal Server Error", "emoji_think", "server_error"),
            ("mortal", "502 Bad Gateway\n<html>", None, "server_error"),
            ("mortal", "Traceback (most recent call last):\n File", None, "server_error"),
            ("mortal", "Error: connection refused", None, "server_error"),
            ("mortal", '{"error": {"message": "overloaded"}}', None, "server_error"),
            ("mortal", "The error: he is not mortal at all", None, "wrong_content"),
            ("mortal", "Errors are human", None, "wrong_content"),
            ("Error: no such file or directory", "Error: a file too many", None, "wrong_content"),
            ("mortal", " \n", None, "empty"),
            ("mortal", "🤔🤔 🛑🛑", "emoji_think", "empty"),
            ("mortal", "<<ANS_START>><<ANS_END>>", "regime3", "empty"),
            ("mortal", "🤔 mortal 🛑🛑", "emoji_think", "contract_violation"),
            ("mortal", "immortal", "regime3", "contract_violation"),
            ('{"a": 1}', "a is 1", None, "format_error"),
            ('{"a": 1}', '```json\n{"a": 1}\n```', None, "format_error"),
            ('{"a": 1}', '{"a": 1', None, "format_error"),
            ('["a"]', "[" * 50_000, None, "format_error"),
            ("5", "5 " * 30, None, "repetition"),
            ("mortal", "Socrates is mortal. " * 8, None, "repetition"),
            ("mortal", PROSE + " and so on" * 40, None, "repetition"),
            ("1 " * 40, "1 " * 60, None, "wrong_content"),  # the golden answer loops as well
            ("Socrates is mortal", "Socrates is motal", None, "near_miss"),
            ("Socrates is mortal", "socrates is mortal.", None, "near_miss"),
            (PROSE, PROSE.replace("mortal", "morral"), None, "near_miss"),
            ("Socrates is mortal", "Socrates is not mortal", None, "wrong_content"),
            ("42", "43", None, "wrong_content"),
            ("yes", "no", None, "wrong_content"),
        ],
    )
    def test_the_first_that_applies(
        self, golden: str, answer: str, regime: str | None, mode: str | None
    ) -> None:
        assert failure_mode(golden, answer, regime) == mode

    def test_an_error_of_the_server_is_neither_right_nor_wrong(self) -> None:
        for found in (
            score("mortal", "CUDA out of memory. Tried to allocate 2 GiB", "regime3"),
            score("mortal", "mortal", "regime3", server_failed=True),
        ):
            assert (found.exact_match, found.normalized_match) == (None, None)
            assert (found.failure_mode, found.contract_status) == ("server_error", {})
            assert found.error is not None
        assert score("Error: none", "Error: none").exact_match is True

    def test_what_another_system_found_wrong_is_not_when_it_is_an_error(self) -> None:
        def told(answer: str, right: bool) -> PreviewRecord:
            return PreviewRecord(
                step=1, prompt="", golden="mortal", model_answer=answer, exact_match=right
            )

        for record in (told("moral", False), told("Error: no", True)):
            assert judged_elsewhere(record) == record
        found = judged_elsewhere(told("Internal Server Error", False))
        assert (found.exact_match, found.failure_mode) == (None, "server_error")
        assert "Internal Server Error" in str(found.error)

    def test_truncated_needs_to_be_told(self) -> None:
        answer = "🤔🤔 Socrates is"
        assert failure_mode("mortal", answer, "emoji_think") == "contract_violation"
        assert failure_mode("mortal", answer, "emoji_think", hit_token_limit=True) == "truncated"
        assert failure_mode("mortal", "", hit_token_limit=True) == "empty"
        assert failure_mode("mortal", "mortal", hit_token_limit=True) is None

    def test_prose_and_counting_are_no_loops(self) -> None:
        assert not is_repetitive(PROSE)
        assert not is_repetitive(", ".join(map(str, range(1, 200))))
        assert not is_repetitive(json.dumps([{"step": i, "loss": i / 7} for i in range(10)]))

    def test_a_loop_with_a_counter_in_it_is_a_loop(self) -> None:
        assert is_repetitive("".join(f"{i % 10} for the next clue, " for i in range(100)))

    @given(
        golden=st.text(max_size=80),
        answer=st.text(max_size=80),
        regime=st.sampled_from([*DEFAULT_CONTRACTS, None]),
        hit=st.booleans(),
    )
    def test_only_a_success_has_no_failure_mode(
        self, golden: str, answer: str, regime: str | None, hit: bool
    ) -> None:
        result = score(golden, answer, regime, hit_token_limit=hit)
        success = result.exact_match and all(result.contract_status.values())
        assert (result.failure_mode is None) == success

    def test_long_answers_are_scored(self) -> None:
        chance = random.Random(1)
        golden = "".join(chance.choices("abcdefgh \n", k=200_000))
        assert failure_mode(golden, golden[:-1] + "X") == "near_miss"
        assert failure_mode(golden, golden[::-1]) == "wrong_content"
        assert failure_mode(golden, "ab" * 100_000) == "repetition"
        assert failure_mode("🤔🤔x🛑🛑", "🤔" * 100_000, "emoji_think") == "empty"


@pytest.mark.skipif(not PREVIEW_ROUND.exists(), reason=f"{PREVIEW_ROUND} is not there")
class TestRealAnswers:
    @pytest.fixture
    def results(self) -> list[dict[str, Any]]:
        found = json.loads(PREVIEW_ROUND.read_text(encoding="utf-8"))["results"]
        assert len(found) == 5
        return list(found)

    def test_the_model_loops_and_the_golden_answers_do_not(
        self, results: list[dict[str, Any]]
    ) -> None:
        assert all(is_repetitive(result["generated"]) for result in results)
        assert not any(is_repetitive(result["expected"]) for result in results)

    def test_they_are_no_json_before_they_are_loops(self, results: list[dict[str, Any]]) -> None:
        modes = {failure_mode(result["expected"], result["generated"]) for result in results}
        assert modes == {"format_error"}
        modes = {failure_mode("ALWAYS", result["generated"]) for result in results}
        assert modes == {"repetition"}

    def test_none_matches(self, results: list[dict[str, Any]]) -> None:
        for result in results:
            assert exact_match(result["expected"], result["generated"]) is result["exact_match"]
            assert not normalized_match(result["expected"], result["generated"])
