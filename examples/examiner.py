"""Puts questions to the model: greedy answers, scored, with the golden answer's cross-entropy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from control_room import PreviewRecord
from control_room.judging.scoring import Score, score
from examples.model import (
    Batch,
    Generation,
    ModelConfig,
    Params,
    answer_ce,
    generate,
    make_batch,
)
from examples.tasks import Example
from examples.tokens import Tokenizer

MAX_ANSWER_TOKENS = 72

_CHUNK = 16


@dataclass(frozen=True, slots=True)
class Graded:
    """One example, the model's answer to it, and what became of it."""

    example: Example
    answer: str
    score: Score
    golden_ce: float
    prompt_tokens: int
    golden_tokens: int
    generation: Generation

    @property
    def confidence(self) -> float:
        """The probability that the model gives its own answer as a whole, 0 to 1."""
        return min(1.0, math.exp(sum(self.generation.log_probs)))

    def record(self, *, step: int, source_pool: str, checkpoint_id: str | None) -> PreviewRecord:
        """The preview's log line."""
        return PreviewRecord(
            step=step,
            checkpoint_id=checkpoint_id,
            example_id=self.example.example_id,
            dataset_id=self.example.dataset_id,
            regime=self.example.regime,
            source_pool=source_pool,
            pattern=self.example.pattern,
            prompt=self.example.prompt,
            golden=self.example.golden,
            model_answer=self.answer,
            **self.score.fields(),
            ce=self.golden_ce,
            prompt_tokens=self.prompt_tokens,
            golden_tokens=self.golden_tokens,
            model_tokens=len(self.generation.ids),
            generation_time_ms=round(self.generation.time_ms, 2),
            temperature=0.0,
            confidence=self.confidence,
            token_log_probs=[round(value, 4) for value in self.generation.log_probs],
        )


class Examiner:
    """Asks in small batches, so that a trainer that is told to stop need not wait for the rest."""

    def __init__(
        self, config: ModelConfig, tokenizer: Tokenizer, stopping: Callable[[], bool]
    ) -> None:
        self._config = config
        self._tokenizer = tokenizer
        self._stopping = stopping

    def batch(self, examples: Sequence[Example], *, with_answers: bool = True) -> Batch:
        """The examples as token ids."""
        encode = self._tokenizer.encode
        return make_batch(
            [encode(example.prompt) for example in examples],
            [encode(example.golden) for example in examples] if with_answers else [],
            pad_id=self._tokenizer.pad_id,
            answer_id=self._tokenizer.answer_id,
            end_id=self._tokenizer.end_id,
        )

    def grade(self, params: Params, examples: Sequence[Example]) -> list[Graded]:
        """Answers in the order of the examples; fewer when told to stop meanwhile."""
        graded: list[Graded] = []
        for chunk in self._chunks(examples):
            generations = generate(
                params,
                self._config,
                self.batch(chunk, with_answers=False),
                end_id=self._tokenizer.end_id,
                max_tokens=MAX_ANSWER_TOKENS,
            )
            ces = answer_ce(params, self._config, self.batch(chunk))
            graded += map(self._graded, chunk, generations, ces)
        return graded

    def mean_ce(self, params: Params, examples: Sequence[Example]) -> float | None:
        """Mean cross-entropy of the golden answers in nats; None when told to stop meanwhile."""
        ces: list[float] = []
        for chunk in self._chunks(examples):
            ces += answer_ce(params, self._config, self.batch(chunk))
        return sum(ces) / len(ces) if len(ces) == len(examples) else None

    def _chunks(self, examples: Sequence[Example]) -> Iterator[Sequence[Example]]:
        for start in range(0, len(examples), _CHUNK):
            if self._stopping():
                return
            yield examples[start : start + _CHUNK]

    def _graded(self, example: Example, generation: Generation, ce: float) -> Graded:
        answer = self._tokenizer.decode(generation.ids)
        return Graded(
            example=example,
            answer=answer,
            score=score(
                example.golden,
                answer,
                example.regime,
                hit_token_limit=generation.hit_token_limit,
            ),
            golden_ce=ce,
            prompt_tokens=len(self._tokenizer.encode(example.prompt)),
            golden_tokens=len(self._tokenizer.encode(example.golden)),
            generation=generation,
        )


def exact_match(graded: Sequence[Graded]) -> float:
    """The fraction that matched exactly. Raises ``ZeroDivisionError`` when there are none."""
    return sum(bool(each.score.exact_match) for each in graded) / len(graded)


def calibration_error(graded: Sequence[Graded], bins: int = 10) -> float:
    """Expected calibration error over equal bins of confidence (Guo et al. 2017, eq. 3)."""
    binned: list[list[Graded]] = [[] for _ in range(bins)]
    for each in graded:
        binned[min(bins - 1, int(each.confidence * bins))].append(each)
    gaps = [
        len(members) * abs(exact_match(members) - sum(m.confidence for m in members) / len(members))
        for members in binned
        if members
    ]
    return sum(gaps) / len(graded)
