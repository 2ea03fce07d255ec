"""The model: gradients agree with finite differences, it learns, and its answers are its own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from examples.model import (
    Batch,
    ModelConfig,
    Params,
    answer_ce,
    generate,
    init_params,
    loss_and_gradients,
    make_batch,
)
from examples.optimizer import PEAK_LEARNING_RATE, Adam, learning_rate_at

PAD, ANSWER, END = 0, 1, 2
CONFIG = ModelConfig(vocab_size=12, width=16, layers=2, heads=2, feed_forward=24)
PROMPTS = [[3, 4, 5], [6, 7], [8], [9, 10, 11, 3]]


def batch(prompts: list[list[int]], answers: list[list[int]]) -> Batch:
    return make_batch(prompts, answers, pad_id=PAD, answer_id=ANSWER, end_id=END)


@pytest.fixture
def learned() -> Params:
    """Weights that have learned to repeat the first token of a prompt, twice."""
    params = init_params(CONFIG, seed=1)
    optimizer = Adam(params)
    examples = batch(PROMPTS, [[prompt[0]] * 2 for prompt in PROMPTS])
    for _ in range(60):
        _, gradients = loss_and_gradients(params, CONFIG, examples)
        optimizer.step(params, gradients, 0.01)
    return params


def test_gradients_agree_with_finite_differences() -> None:
    # In double precision, as single is too coarse to difference by.
    params: Any = {name: value.astype(np.float64) for name, value in init_params(CONFIG, 0).items()}
    examples = batch(PROMPTS, [[5], [4, 3], [7, 7, 7], []])
    _, gradients = loss_and_gradients(params, CONFIG, examples)
    for name, value in params.items():
        at = tuple(size // 2 for size in value.shape)
        step = 1e-5
        losses = []
        for sign in (1, -1):
            value[at] += sign * step
            losses.append(loss_and_gradients(params, CONFIG, examples)[0])
            value[at] -= sign * step
        assert gradients[name][at] == pytest.approx(
            (losses[0] - losses[1]) / (2 * step), rel=1e-4, abs=1e-6
        ), name


def test_everything_stays_in_single_precision() -> None:
    params = init_params(CONFIG, 0)
    _, gradients = loss_and_gradients(params, CONFIG, batch(PROMPTS, PROMPTS))
    assert {value.dtype for value in gradients.values()} == {np.dtype(np.float32)}
    Adam(params).step(params, gradients, 0.01)
    assert {value.dtype for value in params.values()} == {np.dtype(np.float32)}


def test_the_loss_is_the_mean_of_the_answers_cross_entropies() -> None:
    params = init_params(CONFIG, 0)
    examples = batch(PROMPTS, [[5], [4, 3], [7, 7, 7], [6]])
    loss, _ = loss_and_gradients(params, CONFIG, examples)
    assert loss == pytest.approx(np.mean(answer_ce(params, CONFIG, examples)), rel=1e-5)
    assert loss == pytest.approx(math.log(CONFIG.vocab_size), abs=1.0)


def test_padding_does_not_change_an_answer(learned: Params) -> None:
    answers = [[prompt[0]] for prompt in PROMPTS]
    together = answer_ce(learned, CONFIG, batch(PROMPTS, answers))
    alone = [
        answer_ce(learned, CONFIG, batch([prompt], [answer]))[0]
        for prompt, answer in zip(PROMPTS, answers, strict=True)
    ]
    assert together == pytest.approx(alone, abs=1e-4)


def test_it_learns_and_answers_greedily(learned: Params) -> None:
    made = generate(learned, CONFIG, batch(PROMPTS, []), end_id=END, max_tokens=6)
    assert [each.ids for each in made] == [[prompt[0]] * 2 for prompt in PROMPTS]
    assert not any(each.hit_token_limit for each in made)
    assert all(each.time_ms > 0 for each in made)


def test_the_cached_log_probabilities_are_those_of_the_whole_sequence(learned: Params) -> None:
    made = generate(learned, CONFIG, batch(PROMPTS, []), end_id=END, max_tokens=6)
    whole = answer_ce(learned, CONFIG, batch(PROMPTS, [each.ids for each in made]))
    assert [-np.mean(each.log_probs) for each in made] == pytest.approx(whole, abs=1e-4)


def test_an_answer_that_does_not_end_says_so(learned: Params) -> None:
    made = generate(learned, CONFIG, batch(PROMPTS, []), end_id=END, max_tokens=1)
    assert [each.ids for each in made] == [[prompt[0]] for prompt in PROMPTS]
    assert all(each.hit_token_limit for each in made)


def test_the_reported_gradient_norm_is_that_before_clipping() -> None:
    params: Params = {"weight": np.zeros(4, np.float32)}
    gradients: Params = {"weight": np.full(4, 50, np.float32)}
    assert Adam(params).step(params, gradients, 0.01) == pytest.approx(100)


def test_the_learning_rate_warms_up_and_decays_without_an_end() -> None:
    rates = [learning_rate_at(step) for step in (1, 50, 1000, 4000, 100_000)]
    assert rates[0] < rates[1] == rates[2] == PEAK_LEARNING_RATE
    assert rates[3] == pytest.approx(PEAK_LEARNING_RATE / 2)
    assert 0 < rates[4] < rates[3]
