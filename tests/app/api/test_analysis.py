"""What the analysis pages show, over the API: the numbers are those of the questions."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from app.api.answers import model_of
from app.api.heads import Heads
from control_room import Recorder
from control_room.history.filters import CHOICES, PreviewFilter
from control_room.history.queries import choices, reject_counts
from control_room.history.questions import aggregates, learning
from control_room.history.questions.comparison import Flip, PairOfSides, Side
from control_room.history.questions.data_files import file_effects
from control_room.history.questions.drift import drift, verdict
from control_room.history.questions.evaluations import evaluations, gap_points
from control_room.history.questions.heads import head_diagnostics
from control_room.history.questions.notes import notes
from control_room.history.questions.reliability import Binning, reliability
from control_room.history.questions.samples import PASS_AT, example_samples, pass_at
from control_room.statistics.calibration import (
    expected_calibration_error,
    maximum_calibration_error,
)
from control_room.statistics.overfitting import overfitting_onset
from tests.app.api.conftest import Analysed, log_everything, watched
from tests.support import wait_until

EVERYTHING = PreviewFilter()
ODD = PreviewFilter(pattern="odd")


def as_json(value: Any) -> Any:
    """A dataclass of a question as the API writes it."""
    kind: type = type(value)
    return model_of(kind).model_validate(value).model_dump(mode="json")


def all_as_json(values: Any) -> list[Any]:
    return [as_json(value) for value in values]


def pair(analysed: Analysed, a: PreviewFilter, b: PreviewFilter) -> PairOfSides:
    return PairOfSides(Side(analysed.cursor(), a), Side(analysed.cursor(), b))


def test_two_checkpoints_are_compared(analysed: Analysed) -> None:
    answer = analysed.answer("/api/compare?a=checkpoint-200&b=checkpoint-500")
    compared = pair(
        analysed,
        PreviewFilter(checkpoint_id="checkpoint-200"),
        PreviewFilter(checkpoint_id="checkpoint-500"),
    ).comparison()
    assert (answer["by"], answer["a"], answer["b"]) == (
        "checkpoint",
        "checkpoint-200",
        "checkpoint-500",
    )
    expected = as_json(compared)
    assert {**answer["comparison"], "patterns": None} == {**expected, "patterns": None}
    by_group = {each["group"]: each for each in answer["comparison"]["patterns"]}
    assert by_group == {each["group"]: each for each in expected["patterns"]}
    assert answer["comparison"]["fixed"] == 3
    assert answer["comparison"]["p_value"] == compared.p_value
    assert answer["comparison"]["difference"] == compared.difference
    assert compared.interval is not None
    low, high = compared.interval
    assert answer["comparison"]["interval"] == {"low": low, "high": high}
    assert answer["comparison"]["fixed_modes"] == {"wrong_content": 3}


def test_without_names_the_first_is_compared_with_the_last(analysed: Analysed) -> None:
    answer = analysed.answer("/api/compare")
    assert (answer["a"], answer["b"]) == ("checkpoint-100", "checkpoint-600")
    sides = analysed.answer("/api/compare/sides?limit=2")
    assert (sides["sides"], sides["total"]) == (["checkpoint-500", "checkpoint-600"], 6)


def test_patterns_with_most_flips_come_first_and_no_more_than_wanted(analysed: Analysed) -> None:
    (first,) = analysed.answer("/api/compare?limit=1")["comparison"]["patterns"]
    assert (first["group"], first["fixed"]) == ("odd", 3)


def test_flips_are_told_with_both_answers_and_their_ids(analysed: Analysed) -> None:
    answer = analysed.answer("/api/compare/flips?turned=fixed&limit=2")
    expected = pair(
        analysed,
        PreviewFilter(checkpoint_id="checkpoint-100"),
        PreviewFilter(checkpoint_id="checkpoint-600"),
    ).flips(fixed=True, limit=2)
    assert (answer["count"], answer["total"]) == (2, 5)

    def read(flip: Flip) -> tuple[str, str, str, str]:
        before, after = flip.before, flip.after
        return before.id, before.model_answer, after.id, after.model_answer

    assert [
        tuple(flip[side][name] for side in ("before", "after") for name in ("id", "model_answer"))
        for flip in answer["flips"]
    ] == [read(flip) for flip in expected]
    whole = analysed.answer(f"/api/preview/{answer['flips'][0]['after']['id']}")
    assert whole["model_answer"] == answer["flips"][0]["after"]["model_answer"]


def test_two_runs_are_compared_where_the_settings_name_them(analysed: Analysed) -> None:
    answer = analysed.answer("/api/compare?by=run&a=run&b=other")
    comparison = answer["comparison"]
    assert (comparison["a"]["correct"], comparison["b"]["correct"]) == (6, 1)
    assert (comparison["fixed"], comparison["broken"]) == (0, 5)
    flips = analysed.answer("/api/compare/flips?by=run&a=run&b=other&turned=broken")
    assert flips["total"] == 5


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("b=checkpoint-7", "no checkpoint 'checkpoint-7'"),
        ("by=run&a=nobody", "no run 'nobody'"),
        ("by=regime", "not two regimes"),
    ],
)
def test_a_side_that_is_not_there_is_named(analysed: Analysed, query: str, said: str) -> None:
    for address in ("/api/compare", "/api/compare/flips"):
        answer = analysed.client.get(f"{address}?{query}")
        assert answer.status_code == 404
        assert said in answer.json()["detail"]


def test_what_was_learned_when(analysed: Analysed) -> None:
    cursor = analysed.cursor()
    answer = analysed.answer("/api/stability/learning?pattern=odd&limit=2")
    assert answer["summary"] == as_json(learning.learning_summary(cursor, ODD))
    assert [
        (point["step"], point["learned"], point["examples"]) for point in answer["over_steps"]
    ] == learning.learned_over_steps(cursor, ODD)
    expected = learning.example_lives(cursor, ODD, "flips", limit=2)
    assert answer["examples"] == all_as_json(expected)
    assert len(expected) == 2


def test_other_runs_are_compared_where_the_main_one_has_logged_nothing(tmp_path: Path) -> None:
    (tmp_path / "main" / "status").mkdir(parents=True)
    for name in ("one", "two"):
        log_everything(tmp_path / name)
    with watched(tmp_path / "main", str(tmp_path / "*"), has_logs=False) as served:
        sides = served.answer("/api/compare/sides?by=run")
        assert sides["sides"] == ["main", "one", "two"]
        assert served.answer("/api/compare?by=run&a=one&b=two")["comparison"]["fixed"] == 0
        assert served.client.get("/api/compare?by=run").status_code == 503  # the first is main


@pytest.mark.parametrize(("ranking", "step"), [("forgotten", None), ("sure", 600), ("flips", 300)])
def test_a_ranking_is_narrowed_to_what_was_right_at_a_step(
    analysed: Analysed, ranking: learning.Ranking, step: int | None
) -> None:
    query = f"ranking={ranking}" + ("" if step is None else f"&right_at_step={step}")
    answer = analysed.answer(f"/api/stability/learning?{query}")
    expected = learning.example_lives(
        analysed.cursor(), EVERYTHING, ranking, limit=100, right_at_step=step
    )
    assert answer["examples"] == all_as_json(expected)


def test_timelines_are_the_answers_of_the_first_examples(analysed: Analysed) -> None:
    cursor = analysed.cursor()
    lives = learning.example_lives(cursor, EVERYTHING, "flips", limit=3)
    expected = learning.timelines(cursor, EVERYTHING, lives)
    answer = analysed.answer("/api/stability/timelines?limit=3&answers=4")
    assert [line["example_id"] for line in answer["timelines"]] == [x.example_id for x in lives]
    for line, life in zip(answer["timelines"], lives, strict=True):
        own = [(e.step, e.right) for e in expected if e.newest_seq == life.newest_seq]
        assert [(each["step"], each["right"]) for each in line["answers"]] == own[-4:]
        assert line["total"] == len(own) == 6


def test_form_and_content_drift(analysed: Analysed) -> None:
    bins = drift(analysed.cursor(), EVERYTHING, bins=6)
    answer = analysed.answer("/api/stability/drift?bins=6")
    assert answer["bins"] == all_as_json(bins)
    change = verdict(bins)
    assert change is not None
    assert answer["verdict"]["text"] == change.said
    assert answer["verdict"]["changes"] == {
        kind: {"difference": difference, "interval": {"low": low, "high": high}}
        for kind, (difference, low, high) in change.changed.items()
    }
    assert analysed.answer("/api/stability/drift?bins=1")["verdict"] is None


def test_several_samples_of_an_example(analysed: Analysed) -> None:
    cursor = analysed.cursor()
    answer = analysed.answer("/api/stability/samples?limit=3")
    assert answer["pass_at_k"] == all_as_json(pass_at(cursor, EVERYTHING, PASS_AT, least=2))
    expected = example_samples(cursor, EVERYTHING, limit=3, newest=True)
    assert answer["examples"] == all_as_json(expected)
    assert [each["k"] for each in answer["pass_at_k"]] == [1, 2, 3]


def test_what_the_data_between_checkpoints_did(analysed: Analysed) -> None:
    answer = analysed.answer("/api/stability/data_files?checkpoints=4")
    told = [
        (
            stretch["first_step"],
            stretch["last_step"],
            tuple((file["name"], file["steps"]) for file in stretch["files"]),
            *(pattern[name] for name in ("pattern", "common", "fixed", "broken")),
        )
        for stretch in answer["stretches"]
        for pattern in stretch["patterns"]
    ]
    expected = file_effects(analysed.cursor(), EVERYTHING, checkpoints=4)
    assert told == [tuple(getattr(e, field.name) for field in fields(e)) for e in expected]
    assert len(answer["stretches"]) == 3


@pytest.mark.parametrize("binning", ["equal width", "equal count"])
def test_reliability_with_its_figures(analysed: Analysed, binning: Binning) -> None:
    expected = reliability(analysed.cursor(), EVERYTHING, binning=binning, bins=5)
    name = binning.replace(" ", "_")
    answer = analysed.answer(f"/api/reliability?binning={name}&bins=5")
    assert answer == {
        "bins": all_as_json(expected.bins),
        "count": expected.count,
        "without_confidence": expected.without,
        "expected_calibration_error": expected_calibration_error(expected.bins),
        "maximum_calibration_error": maximum_calibration_error(expected.bins),
        "brier_score": expected.brier,
    }
    assert answer["brier_score"] == pytest.approx(0.055)


def test_evaluations_over_the_steps(analysed: Analysed) -> None:
    answer = analysed.answer("/api/evals")
    assert answer["evaluations"] == all_as_json(evaluations(analysed.cursor()))
    assert answer["domains"] == 1
    assert {each["domain"] for each in answer["evaluations"]} == {None, "sums"}
    few = analysed.answer("/api/evals?points=2&limit=0")
    assert few["evaluations"] == [
        as_json(each) for each in evaluations(analysed.cursor(), most=2) if each.domain is None
    ]


def test_where_it_begins_to_overfit(analysed: Analysed) -> None:
    points = gap_points(analysed.cursor())
    answer = analysed.answer("/api/evals/overfitting?points=3")
    assert answer["onset_step"] == overfitting_onset(points)
    assert answer["total"] == len(points) == 6
    assert answer["points"] == all_as_json(points[1::2])


def test_heads_of_the_newest_step_or_of_one(analysed: Analysed) -> None:
    newest = analysed.answer("/api/heads")
    diagnostics = head_diagnostics(analysed.cursor(), 600)
    assert diagnostics is not None
    assert newest["step"] == 600
    assert newest["values"]["attention_entropy"] == [[2.0, 1.9], [1.8, 0.01]]
    assert newest["values"]["weight_norm"] is None
    assert [(each["layer"], each["head"], each["rule"]) for each in newest["warnings"]] == [
        (1, 1, "collapsed")
    ]
    chosen = analysed.answer("/api/heads?step=200&limit=2")
    assert (chosen["step"], chosen["steps"], chosen["total_steps"]) == (200, [500, 600], 6)
    assert analysed.client.get("/api/heads?step=201").status_code == 404


def test_notes_of_the_run(analysed: Analysed) -> None:
    answer = analysed.answer("/api/notes")
    assert answer["notes"] == all_as_json(notes(analysed.cursor()))
    assert [(note["step"], note["text"]) for note in answer["notes"]] == [(250, "lowered lr")]


def test_rates_as_the_analytics_page_draws_them(analysed: Analysed) -> None:
    cursor = analysed.cursor()
    assert analysed.answer("/api/analytics/rates?pattern=odd") == as_json(
        aggregates.statistics(cursor, ODD)
    )
    over_steps = aggregates.em_over_steps(cursor, EVERYTHING, group="pattern", bins=3)
    answer = analysed.answer("/api/analytics/steps?group=pattern&bins=3")
    assert answer["rates"] == all_as_json(over_steps)
    one_group = analysed.answer("/api/analytics/steps?group=pattern&bins=3&limit=1")["rates"]
    assert len({each["group"] for each in one_group}) == 1
    shares = aggregates.failure_modes(cursor, EVERYTHING, bins=2)
    assert analysed.answer("/api/analytics/failures?bins=2")["shares"] == all_as_json(shares)


def test_curves_and_throughput_as_the_analytics_page_draws_them(tmp_path: Path) -> None:
    with Recorder(tmp_path / "run") as recorder:
        for step in range(40):
            recorder.log_preview(
                step=step,
                prompt="p",
                golden="g",
                model_answer="a",
                exact_match=step % 2 == 0,
                model_tokens=step,
                ce=step / 10,
            )
            recorder.log_throughput(step=step, tokens_per_sec=100.0 + step, batch_size=8)
    with watched(tmp_path / "run") as served:
        cursor = served.cursor()
        lengths = all_as_json(aggregates.em_by_answer_length(cursor, EVERYTHING))
        assert served.answer("/api/analytics/curve")["bins"] == lengths
        losses = all_as_json(aggregates.em_by_ce(cursor, EVERYTHING))
        assert served.answer("/api/analytics/curve?by=ce")["bins"] == losses
        assert len(lengths) == 2
        assert len(losses) > 2
        throughput = served.answer("/api/throughput?points=5")
        points = aggregates.throughput_points(cursor, limit=5)
        assert throughput["points"] == all_as_json(points.drawn)
        assert throughput["total"] == points.total == 40
        assert throughput["settings"] == all_as_json(aggregates.throughput_settings(cursor))


def test_what_is_no_finite_number_is_null_and_described_so(tmp_path: Path) -> None:
    with Recorder(tmp_path / "run") as recorder:
        recorder.log_heads(step=1, grad_norm=[[0.5, math.nan], [math.inf, 0.5]])
        recorder.log_eval(step=1, kind="fixed", em=0.5, ce=math.inf, ece=math.nan)
    with watched(tmp_path / "run") as served:
        heads = served.answer("/api/heads")
        assert heads["values"]["grad_norm"] == [[0.5, None], [None, 0.5]]
        (evaluation,) = served.answer("/api/evals")["evaluations"]
        assert (evaluation["em"], evaluation["ce"], evaluation["ece"]) == (0.5, None, None)
        schemas = served.answer("/api/openapi.json")["components"]["schemas"]
    values = schemas[Heads.__name__]["properties"]["values"]["additionalProperties"]
    numbers = values["anyOf"][0]["items"]["items"]
    assert numbers == {"anyOf": [{"type": "number"}, {"type": "null"}]}


EMPTY = {
    "/api/stability/learning": ("examples", "over_steps"),
    "/api/stability/timelines": ("timelines",),
    "/api/stability/drift": ("bins",),
    "/api/stability/samples": ("pass_at_k", "examples"),
    "/api/stability/data_files": ("stretches",),
    "/api/reliability": ("bins",),
    "/api/evals": ("evaluations",),
    "/api/evals/overfitting": ("points",),
    "/api/notes": ("notes",),
    "/api/analytics/steps": ("rates",),
    "/api/analytics/failures": ("shares",),
    "/api/analytics/curve": ("bins",),
    "/api/throughput": ("points", "settings"),
    "/api/compare/sides": ("sides",),
    "/api/preview/choices": ("values",),
    "/api/rejects": ("files",),
    "/api/runs/curve": ("points",),
}


def test_a_run_that_has_logged_nothing_of_it_has_empty_answers(tmp_path: Path) -> None:
    with Recorder(tmp_path / "run") as recorder:
        recorder.log_metrics(step=1, learning_rate=0.5)
    with watched(tmp_path / "run") as served:
        for address, names in EMPTY.items():
            answer = served.answer(address)
            assert [answer[name] for name in names] == [[] for _ in names], address
        assert served.answer("/api/analytics/rates")["overall"]["em"] is None
        for address in ("/api/heads", "/api/compare", "/api/compare/flips"):
            assert served.client.get(address).status_code == 404


def test_a_run_without_logs_is_not_ready(tmp_path: Path) -> None:
    (tmp_path / "run" / "status").mkdir(parents=True)
    with watched(tmp_path / "run", has_logs=False) as served:
        for address in (*EMPTY, "/api/heads", "/api/compare", "/api/analytics/rates"):
            answer = served.client.get(address)
            assert (answer.status_code, answer.headers.get("retry-after")) == (503, "1"), address
            assert "Nothing has been logged" in answer.json()["detail"]
        assert served.answer("/api/runs")["runs"][0]["name"] == "run"


def test_what_previews_can_be_filtered_by(analysed: Analysed) -> None:
    answer = analysed.answer("/api/preview/choices?column=pattern&limit=1")
    assert answer == {"column": "pattern", "values": ["even"], "total": 2}
    for column in CHOICES:
        values = choices(analysed.cursor(), column)
        assert analysed.answer(f"/api/preview/choices?column={column}")["values"] == values


def test_lines_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    with Recorder(tmp_path / "run") as recorder:
        recorder.log_metrics(step=1, loss=1.0)
    (log,) = (tmp_path / "run" / "logs" / "metrics").glob("*.jsonl")
    with log.open("a") as file:
        file.write("{}\nno JSON\n")
    with watched(tmp_path / "run") as served:
        answer = served.answer("/api/rejects")
        ((file_name, lines, newest, reason),) = reject_counts(served.cursor())
    assert answer["files"] == [
        {"file": file_name, "lines": lines, "newest_line": newest, "reason": reason}
    ]
    assert (lines, newest, answer["total"]) == (2, 3, 1)


def test_weights_that_are_kept_and_the_best_of_them(tmp_path: Path) -> None:
    log_everything(tmp_path / "run")
    with watched(tmp_path / "run") as served:
        wait_until(lambda: served.monitor.sources["snapshots"].reading is not None)
        answer = served.answer("/api/evals/kept?limit=2")
        reading = served.monitor.sources["snapshots"].reading
        assert reading is not None
    newest = sorted(reading.snapshots, key=lambda each: -each.step)
    assert answer["snapshots"] == all_as_json(newest[:2])
    assert [each["step"] for each in answer["snapshots"]] == [30, 20]
    assert answer["best_by"] == {"EM": newest[1].name}


HOSTILE = (
    ("/api/preview/choices?column=prompt", "column"),
    ("/api/rejects?limit=0", "limit"),
    ("/api/evals/kept?limit=0", "limit"),
    ("/api/compare?by=colour", "by"),
    ("/api/compare?limit=0", "limit"),
    ("/api/compare?c=1", "c"),
    ("/api/compare/flips?turned=sideways", "turned"),
    ("/api/compare/flips?limit=1001", "limit"),
    ("/api/compare/sides?limit=1.0", "limit"),
    ("/api/stability/learning?ranking=luck", "ranking"),
    ("/api/stability/learning?right_at_step=-1", "right_at_step"),
    ("/api/stability/learning?limit=1_0", "limit"),
    ("/api/stability/timelines?limit=101", "limit"),
    ("/api/stability/timelines?answers=1e3", "answers"),
    ("/api/stability/drift?bins=0", "bins"),
    ("/api/stability/drift?bins=1&bins=2", "bins"),
    ("/api/stability/samples?min_step=x", "min_step"),
    ("/api/stability/data_files?checkpoints=1", "checkpoints"),
    ("/api/reliability?binning=equal%20width", "binning"),
    ("/api/reliability?bins=1", "bins"),
    ("/api/evals?points=1", "points"),
    ("/api/evals?kind=micro", "kind"),
    ("/api/evals/overfitting?points=10001", "points"),
    ("/api/heads?step=99999999999999999999", "step"),
    ("/api/notes?limit=", "limit"),
    ("/api/runs?limit=x", "limit"),
    ("/api/runs/curve?curve=em;DROP", "curve"),
    ("/api/analytics/steps?group=prompt", "group"),
    ("/api/analytics/curve?by=prompt", "by"),
    ("/api/throughput?points=x", "points"),
)


@pytest.mark.parametrize(("address", "named"), HOSTILE)
def test_a_parameter_that_cannot_be_is_named(analysed: Analysed, address: str, named: str) -> None:
    answer = analysed.client.get(address)
    assert answer.status_code == 422
    assert [error["loc"][-1] for error in answer.json()["detail"]] == [named]
