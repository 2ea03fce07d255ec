"""How examples fare over the run: learned, forgotten, answered several times, and by which data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.api.answers import Interval, answered, described
from app.api.history import Count, FilterQuery, Whole, ready_cursor
from app.watch.monitor import Monitor
from control_room.history.questions import learning
from control_room.history.questions.data_files import FileEffect, file_effects
from control_room.history.questions.drift import DriftBin, drift, verdict
from control_room.history.questions.learning import ExampleLife, LearningSummary, Ranking
from control_room.history.questions.samples import (
    PASS_AT,
    ExampleSamples,
    PassAtK,
    example_samples,
    pass_at,
)

PROMPT_CHARS = 500  # as much as a table shows

Limit = Annotated[int, Query(ge=1, le=1_000), Whole]


@dataclass(frozen=True, slots=True)
class LearnedAtStep:
    """Of `examples` that were asked up to a step, `learned` were right in their newest answer."""

    step: int
    learned: int
    examples: int


@dataclass(frozen=True, slots=True)
class Learning:
    """How many examples are in each state, over the steps too, and the first of a ranking.

    A prompt is cut after 500 characters.
    """

    summary: LearningSummary
    over_steps: list[LearnedAtStep]
    examples: list[ExampleLife]


@dataclass(frozen=True, slots=True)
class StepAnswer:
    """Whether one answer was right."""

    step: int
    right: bool


@dataclass(frozen=True, slots=True)
class Timeline:
    """The newest answers to one example, oldest first, of `total`."""

    example_id: str | None
    dataset_id: str | None
    prompt: str
    answers: list[StepAnswer]
    total: int


@dataclass(frozen=True, slots=True)
class Timelines:
    """The first of a ranking, each with its answers. A prompt is cut after 500 characters."""

    timelines: list[Timeline]


@dataclass(frozen=True, slots=True)
class ShareChange:
    """By how much a share changed from the first half to the second, with its 95 % interval."""

    difference: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class DriftVerdict:
    """What changed beyond chance, in words and by kind of answer."""

    text: str
    changes: dict[str, ShareChange]


@dataclass(frozen=True, slots=True)
class Drift:
    """Stretches of steps with about as many answers each; `verdict` compares their halves."""

    bins: list[DriftBin]
    verdict: DriftVerdict | None


@dataclass(frozen=True, slots=True)
class Samples:
    """pass@k, and the examples whose answers agree least."""

    pass_at_k: list[PassAtK]
    examples: list[ExampleSamples]


@dataclass(frozen=True, slots=True)
class TrainedFile:
    """A data file, and for how many steps it was trained on."""

    name: str
    steps: int


@dataclass(frozen=True, slots=True)
class PatternEffect:
    """Of `common` examples of a pattern, how many turned right (fixed) and wrong (broken)."""

    pattern: str
    common: int
    fixed: int
    broken: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """After `first_step` up to `last_step`: what was trained on, and what it changed."""

    first_step: int
    last_step: int
    files: list[TrainedFile]
    patterns: list[PatternEffect]


@dataclass(frozen=True, slots=True)
class DataFileEffects:
    """Between each two checkpoints, oldest first; of many files and patterns the first."""

    stretches: list[Stretch]


class RankedQuery(FilterQuery):
    """Which previews, and which examples of them."""

    ranking: Annotated[
        Ranking,
        Query(
            description="Those that turn most often, that were right once and are wrong now, or "
            "whose confidence is high though they are wrong or unsettled."
        ),
    ] = "flips"
    right_at_step: Annotated[
        Count, Query(description="Only those whose newest answer up to that step was right.")
    ] = None


class LearningQuery(RankedQuery):
    """And how many of them."""

    limit: Limit = 100


class TimelinesQuery(RankedQuery):
    """And how many of them, with how many answers."""

    limit: Annotated[int, Query(ge=1, le=100), Whole] = 15
    answers: Annotated[int, Query(ge=1, le=10_000), Whole] = 1_000


class DriftQuery(FilterQuery):
    """Which previews, in how many stretches."""

    bins: Annotated[int, Query(ge=1, le=1_000), Whole] = 24


class SamplesQuery(FilterQuery):
    """Which previews, and how many examples."""

    limit: Limit = 100


class DataFilesQuery(FilterQuery):
    """Which previews, of how many checkpoints; `limit` is of files and patterns of a stretch."""

    checkpoints: Annotated[int, Query(ge=2, le=200), Whole] = 20
    limit: Limit = 100


def routes(router: APIRouter, monitor: Monitor) -> None:
    """Add ``/api/stability/…``."""

    @router.get("/api/stability/learning", **described(Learning), tags=["analysis"])
    def example_learning(request: Request, query: Annotated[LearningQuery, Query()]) -> Response:
        """When was each example learned, how often did it turn, and what is forgotten?"""
        cursor, wanted = ready_cursor(monitor), query.filter()
        answer = Learning(
            summary=learning.learning_summary(cursor, wanted),
            over_steps=[
                LearnedAtStep(*point) for point in learning.learned_over_steps(cursor, wanted)
            ],
            examples=_ranked(monitor, query, query.limit),
        )
        return answered(request, answer)

    @router.get("/api/stability/timelines", **described(Timelines), tags=["analysis"])
    def example_timelines(request: Request, query: Annotated[TimelinesQuery, Query()]) -> Response:
        """Every answer to the first examples of a ranking."""
        lives = _ranked(monitor, query, query.limit)
        answers: dict[int, list[StepAnswer]] = {life.newest_seq: [] for life in lives}
        for answer in learning.timelines(ready_cursor(monitor), query.filter(), lives):
            answers[answer.newest_seq].append(StepAnswer(answer.step, answer.right))
        timelines = [
            Timeline(
                life.example_id,
                life.dataset_id,
                life.prompt,
                answers[life.newest_seq][-query.answers :],
                len(answers[life.newest_seq]),
            )
            for life in lives
        ]
        return answered(request, Timelines(timelines))

    @router.get("/api/stability/drift", name="drift", **described(Drift), tags=["analysis"])
    def stability_drift(request: Request, query: Annotated[DriftQuery, Query()]) -> Response:
        """Does the content survive while the form dies, or is the content wrong?"""
        return answered(
            request, _drift(drift(ready_cursor(monitor), query.filter(), bins=query.bins))
        )

    @router.get("/api/stability/samples", name="samples", **described(Samples), tags=["analysis"])
    def stability_samples(request: Request, query: Annotated[SamplesQuery, Query()]) -> Response:
        """Of several answers to one example: how often is one right, and do they agree?"""
        cursor, wanted = ready_cursor(monitor), query.filter()
        answer = Samples(
            pass_at_k=pass_at(cursor, wanted, PASS_AT, least=2),
            examples=example_samples(cursor, wanted, limit=query.limit, newest=True),
        )
        return answered(request, answer)

    @router.get("/api/stability/data_files", **described(DataFileEffects), tags=["analysis"])
    def data_file_effects(request: Request, query: Annotated[DataFilesQuery, Query()]) -> Response:
        """What the data files between checkpoints cost or gained, by pattern."""
        effects = file_effects(ready_cursor(monitor), query.filter(), checkpoints=query.checkpoints)
        return answered(request, DataFileEffects(_stretches(effects, query.limit)))


def _ranked(monitor: Monitor, query: RankedQuery, limit: int) -> list[ExampleLife]:
    lives = learning.example_lives(
        ready_cursor(monitor),
        query.filter(),
        query.ranking,
        limit=limit,
        right_at_step=query.right_at_step,
    )
    return [replace(life, prompt=life.prompt[:PROMPT_CHARS]) for life in lives]


def _drift(bins: list[DriftBin]) -> Drift:
    change = verdict(bins)
    if change is None:
        return Drift(bins, None)
    changes = {
        kind: ShareChange(difference, Interval(low, high))
        for kind, (difference, low, high) in change.changed.items()
    }
    return Drift(bins, DriftVerdict(change.said, changes))


def _stretches(effects: Sequence[FileEffect], limit: int) -> list[Stretch]:
    """The patterns of each stretch, of which every effect names the files."""
    stretches = []
    for (first_step, last_step), group in groupby(
        effects, lambda effect: (effect.first_step, effect.last_step)
    ):
        own = list(group)
        files = [TrainedFile(*file) for file in own[0].files[:limit]]
        patterns = [
            PatternEffect(each.pattern, each.common, each.fixed, each.broken)
            for each in own[:limit]
        ]
        stretches.append(Stretch(first_step, last_step, files, patterns))
    return stretches
