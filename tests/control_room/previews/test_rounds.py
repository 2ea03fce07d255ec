"""A round against a real server, in good order and in every kind of trouble."""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from control_room.previews.log import open_failures
from tests.control_room.previews.conftest import EXAMPLES, Bench
from tests.control_room.previews.model_server import ModelServer, completion
from tests.support import free_port, run_async, wait_until

Serve = Callable[..., ModelServer]


def test_answers_are_scored_and_logged_with_where_they_come_from(
    bench: Bench, serve: Serve
) -> None:
    server = serve()
    bench.checkpoint(100)
    bench.work_off(bench.runner(server.url, "[decoding]\nseed = 7\nmax_tokens = 9\n"))
    records = bench.previews()
    assert Counter(record.example_id for record in records) == {f"e{n}": 1 for n in range(EXAMPLES)}
    one = records[0]
    assert (one.step, one.checkpoint_id, one.requested_checkpoint_id) == (
        100,
        "checkpoint-100",
        None,
    )
    assert (one.exact_match, one.failure_mode, one.source_pool) == (True, None, "fixed_eval")
    assert (one.prompt_tokens, one.model_tokens, one.finish_reason) == (5, 1, "stop")
    assert (one.temperature, one.max_tokens, one.seed, one.sample_index) == (0, 9, 7, 0)
    assert one.host == f"127.0.0.1:{server.port}"
    assert one.generation_time_ms is not None and one.generation_time_ms > 0
    (ended,) = bench.rounds()
    assert (ended.outcome, ended.answered, ended.correct, ended.errors) == (
        "completed",
        EXAMPLES,
        EXAMPLES,
        0,
    )
    body = server.bodies[0]
    assert body["model"] == "checkpoint-100"
    assert body["stream"] is False
    assert body["logprobs"] is True


def test_answers_are_judged_by_the_contract_of_a_regime_of_the_settings(
    bench: Bench, serve: Serve
) -> None:
    server = serve(lambda body: completion("* 4"))
    bench.examples({"id": "e", "prompt": "2 + 2?", "golden": "4", "regime": "bullets"})
    bench.checkpoint(100)
    contract = (
        '[[contracts.bullets]]\ncheck = "prefix_repeat"\nname = "bullet"\nsymbols = ["*"]\n'
        "min_repeats = 1\nmax_repeats = 1\n"
    )
    bench.work_off(bench.runner(server.url, contract))
    (one,) = bench.previews()
    assert (one.exact_match, one.contract_status) == (True, {"bullet": True})


def test_no_checkpoint_is_asked_twice(bench: Bench, serve: Serve) -> None:
    server = serve()
    bench.checkpoint(100)
    bench.work_off(bench.runner(server.url))
    bench.work_off(bench.runner(server.url))
    assert len(bench.previews()) == EXAMPLES
    assert set(server.asked.values()) == {1}


def test_a_key_goes_along(bench: Bench, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_KEY", "s3cret")
    server = serve()
    bench.checkpoint(1)
    bench.work_off(bench.runner(server.url, server='api_key_env = "BENCH_KEY"'))
    assert server.headers[0]["authorization"] == "Bearer s3cret"


def test_log_probabilities_are_taken_where_they_are_given(bench: Bench, serve: Serve) -> None:
    content = [{"token": "4", "logprob": -0.25}]
    serve_with = serve(lambda body: completion("4", logprobs={"content": content}))
    bench.checkpoint(1)
    bench.work_off(bench.runner(serve_with.url))
    assert list(bench.previews()[0].token_log_probs or ()) == [-0.25]


def test_a_server_that_knows_no_log_probabilities_is_asked_without(
    bench: Bench, serve: Serve
) -> None:
    def picky(body: dict[str, Any]) -> Response:
        return completion("4") if "logprobs" not in body else PlainTextResponse("no logprobs", 400)

    server = serve(picky)
    bench.checkpoint(1)
    bench.work_off(bench.runner(server.url, server="concurrency = 1"))
    assert all(record.exact_match for record in bench.previews())
    assert sum("logprobs" in body for body in server.bodies) == 1, "it is asked once"


def test_the_golden_answers_ce_comes_from_echoed_log_probabilities(
    bench: Bench, serve: Serve
) -> None:
    def echoing(body: dict[str, Any]) -> Response:
        if not body.get("echo"):
            return completion("4")
        told = {
            "text_offset": [0, 1, len(body["prompt"]) - 1],
            "token_logprobs": [None, -9.0, -0.5],
        }
        return completion(body["prompt"], logprobs=told)

    server = serve(echoing)
    bench.checkpoint(1)
    bench.work_off(bench.runner(server.url, server='api = "completions"'))
    assert {record.ce for record in bench.previews()} == {0.5}
    assert server.bodies[0]["prompt"].endswith("?")


def test_several_samples_differ_by_their_seed_and_index(bench: Bench, serve: Serve) -> None:
    server = serve()
    bench.checkpoint(1)
    bench.work_off(
        bench.runner(server.url, "[decoding]\nsamples = 3\ntemperature = 0.7\nseed = 5\n")
    )
    records = bench.previews()
    assert len(records) == 3 * EXAMPLES
    assert (
        Counter((record.example_id, record.sample_index) for record in records).most_common(1)[0][1]
        == 1
    )
    assert {body["seed"] for body in server.bodies} == {5, 6, 7}


class TestTrouble:
    """What one example meets is its outcome, with a reason; none is lost."""

    @pytest.mark.parametrize(
        "trouble",
        [
            PlainTextResponse("slow down", 429, {"retry-after": "0"}),
            PlainTextResponse("oops", 500),
            PlainTextResponse("<html>not json", 200, media_type="text/html"),
            Response(b'{"choices": [{"mess', media_type="application/json"),
            completion("Error: the worker died", finish="error"),
        ],
    )
    def test_what_passes_is_tried_again(
        self, bench: Bench, serve: Serve, trouble: Response
    ) -> None:
        tries: Counter[str] = Counter()

        def flaky(body: dict[str, Any]) -> Response:
            key = str(body["messages"])
            tries[key] += 1
            return trouble if tries[key] < 3 else completion("4")

        server = serve(flaky)
        bench.checkpoint(1)
        bench.work_off(bench.runner(server.url))
        assert all(record.exact_match for record in bench.previews())
        assert set(tries.values()) == {3}

    @pytest.mark.parametrize(
        ("trouble", "word"),
        [
            (PlainTextResponse("oops", 500), "HTTP 500: oops"),
            (PlainTextResponse("too long", 413), "HTTP 413: too long"),
            (Response(b"{}", media_type="application/json"), "holds no text"),
            (Response(b"[1]", media_type="application/json"), "holds no text"),
            (PlainTextResponse("hello"), "no JSON (text/plain"),
        ],
    )
    def test_what_stays_is_an_outcome_with_its_reason_and_not_a_wrong_answer(
        self, bench: Bench, serve: Serve, trouble: Response, word: str
    ) -> None:
        server = serve(
            lambda body: trouble if "e3" in str(body) or "3?" in str(body) else completion("4")
        )
        bench.checkpoint(1)
        bench.work_off(bench.runner(server.url))
        records = {record.example_id: record for record in bench.previews()}
        assert len(records) == EXAMPLES
        bad = records["e3"]
        assert word in str(bad.error)
        assert (bad.exact_match, bad.failure_mode) == (None, "server_error")
        (ended,) = bench.rounds()
        assert (ended.outcome, ended.errors, ended.correct) == ("completed", 2, EXAMPLES - 2)

    def test_an_error_text_in_place_of_an_answer_is_not_the_models_answer(
        self, bench: Bench, serve: Serve
    ) -> None:
        text = "CUDA out of memory. Tried to allocate 2 GiB"
        server = serve(lambda body: completion(text if "13?" in str(body) else "4"))
        bench.checkpoint(1)
        bench.work_off(bench.runner(server.url))
        bad = {record.example_id: record for record in bench.previews()}["e13"]
        assert (bad.exact_match, bad.normalized_match) == (None, None)
        assert (bad.failure_mode, bad.finish_reason) == ("server_error", "stop")
        assert text in str(bad.error)
        (ended,) = bench.rounds()
        assert (ended.answered, ended.errors, ended.correct) == (EXAMPLES, 1, EXAMPLES - 1)

    def test_what_the_server_itself_calls_an_error_is_none_either_whatever_it_says(
        self, bench: Bench, serve: Serve
    ) -> None:
        server = serve(
            lambda body: completion("4", finish="error" if "13?" in str(body) else "stop")
        )
        bench.checkpoint(1)
        bench.work_off(bench.runner(server.url))
        bad = {record.example_id: record for record in bench.previews()}["e13"]
        assert (bad.exact_match, bad.failure_mode, bad.finish_reason) == (
            None,
            "server_error",
            "error",
        )
        assert bad.model_answer == "4"
        assert "error" in str(bad.error)
        assert server.asked[max(server.asked, key=lambda each: server.asked[each])] == 4

    @pytest.mark.parametrize(
        "answer",
        [
            JSONResponse({"detail": [{"input": "its world model is not available here"}]}, 422),
            JSONResponse({"detail": 'Rejected by a filter: "an unknown model of climate"'}, 400),
            PlainTextResponse("too long: the model x is not loaded yet", 413),
            completion("No such thing as an unknown model.", finish="error"),
        ],
        ids=["the prompt echoed", "the prompt quoted", "too long", "an answer that broke off"],
    )
    def test_a_prompt_that_speaks_of_models_ends_no_round(
        self, bench: Bench, serve: Serve, answer: Response
    ) -> None:
        server = serve(lambda body: answer if "13?" in str(body) else completion("4"))
        bench.checkpoint(1)
        bench.work_off(bench.runner(server.url))
        (ended,) = bench.rounds()
        assert (ended.outcome, ended.errors, ended.correct) == ("completed", 1, EXAMPLES - 1)

    @pytest.mark.parametrize(
        "odd",
        [
            {"finish": ""},
            {"finish_reason": 7},
            {"usage": {"prompt_tokens": 2**70, "completion_tokens": -1}},
            {"usage": {"prompt_tokens": "many"}},
            {"model": ""},
        ],
        ids=str,
    )
    def test_what_no_record_takes_is_not_told_and_ends_no_round(
        self, bench: Bench, serve: Serve, odd: dict[str, Any]
    ) -> None:
        def answer(body: dict[str, Any]) -> Response:
            told = json.loads(bytes(completion("4").body))
            if "finish" in odd or "finish_reason" in odd:
                told["choices"][0]["finish_reason"] = odd.get("finish", odd.get("finish_reason"))
            return JSONResponse(told | {key: odd[key] for key in odd if key in told})

        bench.checkpoint(1)
        bench.work_off(bench.runner(serve(answer).url))
        (ended,) = bench.rounds()
        assert (ended.outcome, ended.correct) == ("completed", EXAMPLES)

    def test_an_eval_counts_the_answers_of_the_model_alone(
        self, bench: Bench, serve: Serve
    ) -> None:
        def answer(body: dict[str, Any]) -> Response:
            number = int(body["messages"][0]["content"].rstrip("?"))
            if number == 0:
                return completion("Error: the worker died", finish="error")
            return completion("4" if number <= 8 else "5")

        bench.examples(*({"id": f"e{n}", "prompt": f"{n}?", "golden": "4"} for n in range(13)))
        bench.checkpoint(1)
        bench.work_off(bench.runner(serve(answer).url, "[eval]\nexamples = 13\nevery = 1\n"))
        (told,) = bench.evals()
        assert (told.em, told.count) == (8 / 12, 12)

    @pytest.mark.parametrize(
        "trouble",
        [
            PlainTextResponse("oops", 500),
            completion("Error: the worker died", finish="error"),
            completion("CUDA out of memory"),
        ],
    )
    def test_a_round_in_which_nothing_could_be_answered_has_failed(
        self, bench: Bench, serve: Serve, trouble: Response
    ) -> None:
        server = serve(lambda body: trouble)
        bench.checkpoint(1)
        bench.work_off(bench.runner(server.url, "[eval]\nexamples = 3\nevery = 1\n"))
        for ended in (*bench.rounds(), *bench.rounds("eval")):
            assert ended.outcome == "failed"
            assert ended.errors == ended.answered == ended.examples
            assert "none of the" in str(ended.reason)
            assert str(bench.previews()[-1].error) in str(ended.reason)
        assert bench.evals() == []

    def test_an_answer_that_hit_the_token_limit_is_truncated(
        self, bench: Bench, serve: Serve
    ) -> None:
        server = serve(lambda body: completion("4 and", finish="length"))
        bench.checkpoint(1)
        bench.work_off(bench.runner(server.url))
        assert {record.failure_mode for record in bench.previews()} == {"truncated"}

    def test_a_hung_answer_costs_its_attempts_and_no_example(
        self, bench: Bench, serve: Serve
    ) -> None:
        async def hang(body: dict[str, Any]) -> Response:
            await asyncio.sleep(60 if "13?" in str(body) else 0)
            return completion("4")

        server = serve(hang)
        bench.checkpoint(1)
        bench.work_off(bench.runner(server.url, server="attempts = 2\ntimeout_s = 0.5"))
        assert len(bench.previews()) == EXAMPLES
        (hung,) = [record for record in bench.previews() if record.error]
        assert (hung.example_id, hung.error) == ("e13", "no answer within 0.5 s")
        assert max(server.asked.values()) == 2

    @pytest.mark.parametrize(
        "answer",
        [
            PlainTextResponse("no such model", 404),
            PlainTextResponse("The model `checkpoint-1` does not exist.", 400),
            JSONResponse({"error": {"code": "model_not_found", "message": "?"}}, 400),
            JSONResponse({"detail": "Model 'checkpoint-1' is not loaded."}, 400),
            completion("Error: no such model", finish="error"),
        ],
    )
    def test_an_unknown_model_ends_the_round(
        self, bench: Bench, serve: Serve, answer: Response
    ) -> None:
        server = serve(lambda body: answer)
        bench.checkpoint(1)
        bench.work_off(bench.runner(server.url))
        (ended,) = bench.rounds()
        assert ended.outcome == "failed"
        assert "no such model or address" in str(ended.reason)
        assert bench.previews() == []

    def test_a_refused_key_ends_the_round(self, bench: Bench, serve: Serve) -> None:
        bench.checkpoint(1)
        bench.work_off(bench.runner(serve(lambda body: PlainTextResponse("no", 401)).url))
        (ended,) = bench.rounds()
        assert (ended.outcome, bench.previews()) == ("failed", [])
        assert "refuses the key" in str(ended.reason)

    def test_a_server_that_is_away_is_named_at_once_and_fails_the_round_it_gives_nothing(
        self, bench: Bench
    ) -> None:
        port = free_port()
        runner = bench.runner(f"http://127.0.0.1:{port}", "[preview]\ndeadline_s = 3\n")
        bench.checkpoint(1)
        worker = threading.Thread(target=bench.work_off, args=(runner,))
        worker.start()
        told = bench.run.runner_state_file
        wait_until(
            lambda: (
                f"127.0.0.1:{port} cannot be reached" in (told.read_text() if told.exists() else "")
            )
        )
        worker.join(timeout=60)
        (ended,) = bench.rounds()
        assert ended.outcome == "failed"
        assert "cannot be reached" in str(ended.reason) and "3 s were over" in str(ended.reason)

    def test_a_server_that_is_away_is_waited_for(self, bench: Bench, serve: Serve) -> None:
        port = free_port()
        bench.checkpoint(1)
        runner = bench.runner(f"http://127.0.0.1:{port}")
        worker = threading.Thread(target=bench.work_off, args=(runner,))
        worker.start()
        wait_until(bench.run.runner_state_file.exists, 10, "the round's beginning")
        serve(port=port)
        worker.join(timeout=30)
        assert not worker.is_alive()
        assert all(record.exact_match for record in bench.previews())
        assert len(bench.previews()) == EXAMPLES

    def test_a_deadline_ends_a_round_with_what_it_has(self, bench: Bench, serve: Serve) -> None:
        async def slow(body: dict[str, Any]) -> Response:
            await asyncio.sleep(0.1)
            return completion("4")

        server = serve(slow)
        bench.checkpoint(1)
        bench.work_off(
            bench.runner(
                server.url,
                f"[preview]\nexamples = {EXAMPLES}\ndeadline_s = 0.6\n",
                server="concurrency = 1",
            )
        )
        (ended,) = bench.rounds()
        assert ended.outcome == "deadline"
        assert ended.answered == len(bench.previews()) < EXAMPLES

    def test_a_token_budget_ends_a_round(self, bench: Bench, serve: Serve) -> None:
        server = serve()
        bench.checkpoint(1)
        bench.work_off(
            bench.runner(
                server.url,
                f"[preview]\nexamples = {EXAMPLES}\ntoken_budget = 30\n",
                server="concurrency = 1",
            )
        )
        (ended,) = bench.rounds()
        assert (ended.outcome, ended.answered) == ("budget", 5)  # six tokens each


class TestWhichCheckpointAnswers:
    def test_the_daemon_trainers_server_loads_it_first(self, bench: Bench, serve: Serve) -> None:
        server = serve()
        bench.checkpoint(5)
        bench.work_off(bench.runner(server.url, server='load = "set_active"'))
        assert server.active_model == "checkpoint-5"
        assert bench.previews()[0].requested_checkpoint_id is None

    @pytest.mark.parametrize(
        ("load", "path"),
        [
            ("reload", "/srv/models/{checkpoint}"),
            ("reload", "/srv/runs/mine/step_{step}"),  # which it then calls step_5
            ("pool", "/srv/runs/mine/step_{step}"),
            ("pool", None),
        ],
    )
    def test_the_daemon_trainers_server_loads_it_by_its_path(
        self, bench: Bench, serve: Serve, load: str, path: str | None
    ) -> None:
        told = (path or "/models/{checkpoint}").replace("{step}", "5")
        server = serve(
            lambda body: completion("4", model=body["model"]),
            models={told.replace("{checkpoint}", "checkpoint-5")},
            active_model="Qwen3-0.6B",  # whatever its pool holds
        )
        bench.checkpoint(5)
        settings = f'load = "{load}"\nload_timeout_s = 5\n'
        settings += "" if path is None else f'model_path = "{path}"\n'
        for _ in range(2):  # the second time it is there already
            bench.run.round_request_file.parent.mkdir(exist_ok=True)
            bench.run.round_request_file.write_text("{}")
            began = time.monotonic()
            bench.work_off(bench.runner(server.url, server=settings))
            assert time.monotonic() - began < 5, "its health tells nothing of the pool"
        for ended in (*bench.rounds(), *bench.rounds("request")):
            assert (ended.outcome, ended.reason) == ("completed", None)
        assert {each.checkpoint_id for each in bench.previews()} == {"checkpoint-5"}
        assert {each.requested_checkpoint_id for each in bench.previews()} == {None}

    @pytest.mark.parametrize("load", ["reload", "pool"])
    def test_a_checkpoint_that_it_cannot_load_fails_the_round_with_its_reason(
        self, bench: Bench, serve: Serve, load: str
    ) -> None:
        server = serve(models=set())
        bench.checkpoint(5)
        bench.work_off(
            bench.runner(server.url, server=f'load = "{load}"\nmodel_path = "/srv/{{checkpoint}}"')
        )
        (ended,) = bench.rounds()
        assert ended.outcome == "failed"
        assert "/srv/checkpoint-5 (server.model_path)" in str(ended.reason)
        assert ("not found" if load == "reload" else "Failed to load") in str(ended.reason)
        assert server.bodies == []

    def test_a_model_that_it_has_not_loaded_ends_the_round(
        self, bench: Bench, serve: Serve
    ) -> None:
        server = serve(models=set())
        bench.checkpoint(5)
        bench.work_off(bench.runner(server.url, server="concurrency = 1"))
        (ended,) = bench.rounds()
        assert ended.outcome == "failed"
        assert "'checkpoint-5' not loaded" in str(ended.reason)
        assert "server.load" in str(ended.reason)
        assert (len(server.bodies), bench.previews()) == (1, [])

    def test_an_older_one_that_still_serves_is_told(self, bench: Bench, serve: Serve) -> None:
        server = serve(active_model="checkpoint-3", loads=False)
        bench.checkpoint(5)
        runner = bench.runner(server.url, server='load = "set_active"\nload_timeout_s = 0.2')
        bench.work_off(runner)
        record = bench.previews()[0]
        assert (record.checkpoint_id, record.step) == ("checkpoint-3", 3)
        assert record.requested_checkpoint_id == "checkpoint-5"
        assert "answered as checkpoint-3" in str(bench.rounds()[0].reason)
        told = json.loads(bench.run.runner_state_file.read_text())
        assert any("answered as checkpoint-3" in problem for problem in told["problems"])

    @pytest.mark.parametrize(
        ("told", "served"),
        [
            ("checkpoint-5", "checkpoint-5"),
            ("/models/checkpoint-5@main", "checkpoint-5"),
            ("checkpoint-5.gguf", "checkpoint-5"),
            ("checkpoint-55", "checkpoint-55"),
            ("base", "base"),
        ],
    )
    def test_the_model_that_a_server_names_is_the_one_that_answered(
        self, bench: Bench, serve: Serve, told: str, served: str
    ) -> None:
        server = serve(lambda body: completion("4", model=told))
        bench.checkpoint(5)
        bench.work_off(bench.runner(server.url))
        assert bench.previews()[0].checkpoint_id == served

    def test_a_model_name_that_does_not_change_is_trusted(self, bench: Bench, serve: Serve) -> None:
        server = serve()
        bench.checkpoint(5)
        bench.work_off(bench.runner(server.url, server='model = "my-model"'))
        assert bench.previews()[0].checkpoint_id == "checkpoint-5"
        assert server.bodies[0]["model"] == "my-model"


class TestGivingWay:
    def test_the_newest_wins_and_the_overtaken_are_recorded_as_skipped(
        self, bench: Bench, serve: Serve
    ) -> None:
        server = serve()
        bench.checkpoint(1)
        runner = bench.runner(server.url)
        bench.work_off(runner)
        bench.checkpoint(2)
        runner.look()  # it waits
        bench.checkpoint(3, 4)
        bench.work_off(runner)
        outcomes = {each.checkpoint_id: each.outcome for each in bench.rounds()}
        assert outcomes == {
            "checkpoint-1": "completed",
            "checkpoint-2": "skipped",
            "checkpoint-3": "skipped",
            "checkpoint-4": "completed",
        }
        assert "checkpoint-4 came" in str(
            next(each.reason for each in bench.rounds() if each.checkpoint_id == "checkpoint-2")
        )

    def test_a_run_that_is_met_late_begins_with_its_newest(
        self, bench: Bench, serve: Serve
    ) -> None:
        bench.checkpoint(*range(1, 30))
        bench.work_off(bench.runner(serve().url))
        assert [each.checkpoint_id for each in bench.rounds()] == ["checkpoint-29"]

    def test_evals_come_less_often_and_are_logged_as_evaluations(
        self, bench: Bench, serve: Serve
    ) -> None:
        more = f"[eval]\nexamples = {EXAMPLES}\nevery = 3\n"
        runner = bench.runner(serve().url, more)
        for step in range(1, 9):
            bench.checkpoint(step)
            bench.work_off(runner)
        assert [each.step for each in bench.rounds("eval")] == [1, 4, 7]
        assert [(each.step, each.em, each.count) for each in bench.evals()] == [
            (1, 1.0, EXAMPLES),
            (4, 1.0, EXAMPLES),
            (7, 1.0, EXAMPLES),
        ]

    def test_a_round_of_samples_asks_each_example_several_times(
        self, bench: Bench, serve: Serve
    ) -> None:
        more = "[samples]\nexamples = 3\nevery = 1\nsamples = 4\ntemperature = 0.7\n"
        bench.checkpoint(1)
        bench.work_off(bench.runner(serve().url, more))
        (ended,) = bench.rounds("samples")
        assert (ended.outcome, ended.examples, ended.answered) == ("completed", 12, 12)
        drawn = [each for each in bench.previews() if each.source_pool == "samples"]
        assert sorted((each.sample_index or 0) for each in drawn) == sorted([0, 1, 2, 3] * 3)
        assert {each.temperature for each in drawn} == {0.7}
        greedy = [each for each in bench.previews() if each.source_pool != "samples"]
        assert {each.temperature for each in greedy} == {0.0}

    def test_a_resumed_round_asks_what_it_set_out_to_ask(self, bench: Bench, serve: Serve) -> None:
        bench.checkpoint(1)
        bench.work_off(bench.runner(serve(lambda _: completion("wrong")).url))
        failures = open_failures(bench.run, 9)
        assert failures
        round_id = bench.rounds()[0].round_id
        assert open_failures(bench.run, 9, but_not_of=round_id) == []

    def test_a_round_can_be_asked_for(self, bench: Bench, serve: Serve) -> None:
        bench.checkpoint(1)
        runner = bench.runner(serve().url)
        bench.work_off(runner)
        bench.run.round_request_file.parent.mkdir()
        bench.run.round_request_file.write_text("{}")
        bench.work_off(runner)
        (asked,) = bench.rounds("request")
        assert (asked.outcome, asked.answered) == ("completed", EXAMPLES)
        assert not bench.run.round_request_file.exists()


def test_failures_are_asked_again_until_they_are_right(bench: Bench, serve: Serve) -> None:
    wrong = {"7?"}

    def answer(body: dict[str, Any]) -> Response:
        return completion("5" if body["messages"][0]["content"] in wrong else "4")

    more = "[preview]\nexamples = 5\nfailures = 3\nseed = 1\n"
    runner = bench.runner(
        serve(answer).url, more + f"[eval]\nexamples = {EXAMPLES}\nevery = 1000\n"
    )
    for step in (1, 2, 3):
        if step == 3:
            wrong.clear()
        bench.checkpoint(step)
        bench.work_off(runner)
    again = [
        (record.step, record.example_id, record.exact_match)
        for record in bench.previews()
        if record.source_pool == "failures"
    ]
    assert again == [(2, "e7", False), (3, "e7", True)]


def test_examples_that_are_not_there_fail_the_round_with_the_reason(
    bench: Bench, serve: Serve
) -> None:
    (bench.run.path / "set.jsonl").unlink()
    bench.checkpoint(1)
    bench.work_off(bench.runner(serve().url))
    (ended,) = bench.rounds()
    assert ended.outcome == "failed"
    assert "set.jsonl cannot be read" in str(ended.reason)


def test_told_to_stop_it_ends_soon_and_goes_on_later(bench: Bench, serve: Serve) -> None:
    gate = threading.Event()

    async def gated(body: dict[str, Any]) -> Response:
        while not gate.is_set():
            await asyncio.sleep(0.01)
        return completion("4")

    server = serve(gated)
    bench.checkpoint(1)
    runner = bench.runner(server.url, server="concurrency = 2")
    worker = threading.Thread(target=bench.work_off, args=(runner,))
    worker.start()
    wait_until(lambda: len(server.bodies) >= 2, 10, "questions")
    runner.stop()
    gate.set()
    worker.join(timeout=20)
    assert not worker.is_alive()
    assert len(bench.previews()) == 2, "those that were out"
    assert bench.rounds() == []
    bench.work_off(bench.runner(server.url))
    assert set(server.asked.values()) == {1}
    assert len(bench.previews()) == EXAMPLES
    assert bench.rounds()[0].answered == EXAMPLES


def test_it_works_where_an_event_loop_is_running(bench: Bench, serve: Serve) -> None:
    bench.checkpoint(1)
    runner = bench.runner(serve().url)

    async def notebook() -> None:
        bench.work_off(runner)

    run_async(notebook())
    assert len(bench.previews()) == EXAMPLES


def test_the_state_file_tells_progress(bench: Bench, serve: Serve) -> None:
    bench.checkpoint(1)
    runner = bench.runner(serve().url)
    bench.work_off(runner)
    runner.close()
    told = json.loads(bench.run.runner_state_file.read_text())
    assert told["round"] is None
    assert told["last_round"]["outcome"] == "completed"
    assert told["pending"] == {}
    assert math.isclose(told["updated_at"], time.time(), abs_tol=60)
    assert told["last_latency_ms"] > 0
