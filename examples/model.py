"""A tiny transformer decoder, trained with autograd on NumPy in float32.

Prompts are padded on the left and answers on the right, so that every answer of a batch starts in
the same column: the loss is one slice, and greedy decoding is one batch with a key-value cache.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd import value_and_grad

from examples.operations import (
    Floats,
    Ids,
    cross_entropy,
    embed,
    log_probs,
    normalize,
    rotate,
    softmax,
)

Params = dict[str, Floats]

_MASKED = -1e9


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Sizes of the network. ``width`` divides by ``heads``, and their quotient is even."""

    vocab_size: int
    width: int = 48
    layers: int = 3
    heads: int = 4
    feed_forward: int = 128


@dataclass(frozen=True, slots=True)
class Batch:
    """Token ids, shape (examples, prompt columns + answer columns), and where answers start."""

    ids: Ids
    answer_column: int
    pad_id: int

    @property
    def token_count(self) -> int:
        """Tokens that are not padding."""
        return int(np.count_nonzero(self.ids != self.pad_id))


def make_batch(
    prompts: Sequence[Sequence[int]],
    answers: Sequence[Sequence[int]],
    *,
    pad_id: int,
    answer_id: int,
    end_id: int,
) -> Batch:
    """Lay out encoded prompts and answers; an empty list of answers leaves room for none."""
    start = max(map(len, prompts)) + 1
    length = start + max((len(answer) + 1 for answer in answers), default=0)
    ids = np.full((len(prompts), length), pad_id, dtype=np.int64)
    for row, prompt in enumerate(prompts):
        ids[row, start - 1 - len(prompt) : start - 1] = prompt
    ids[:, start - 1] = answer_id
    for row, answer in enumerate(answers):
        ids[row, start : start + len(answer)] = answer
        ids[row, start + len(answer)] = end_id
    return Batch(ids, start, pad_id)


def init_params(config: ModelConfig, seed: int) -> Params:
    """Random weights; the layers that write into the residual stream start smaller."""
    rng = np.random.default_rng(seed)
    width, hidden = config.width, config.feed_forward

    def normal(rows: int, columns: int, scale: float) -> Floats:
        return (rng.standard_normal((rows, columns)) * scale).astype(np.float32)

    residual_scale = width**-0.5 / (2 * config.layers) ** 0.5
    params: Params = {
        "embedding": normal(config.vocab_size, width, width**-0.5),
        "final_gain": np.ones(width, np.float32),
    }
    for layer in range(config.layers):
        params[f"{layer}.attention_gain"] = np.ones(width, np.float32)
        params[f"{layer}.qkv"] = normal(width, 3 * width, width**-0.5)
        params[f"{layer}.attention_out"] = normal(width, width, residual_scale)
        params[f"{layer}.feed_gain"] = np.ones(width, np.float32)
        params[f"{layer}.feed_in"] = normal(width, hidden, width**-0.5)
        params[f"{layer}.feed_out"] = normal(hidden, width, residual_scale)
    return params


def _rotations(config: ModelConfig, start: int, stop: int) -> tuple[Floats, Floats]:
    half = config.width // config.heads // 2
    frequencies = 1000.0 ** (-np.arange(half) / half)
    angles = np.arange(start, stop)[:, None] * frequencies
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def _hidden(
    params: Any,
    config: ModelConfig,
    ids: Ids,
    mask: Floats,
    rotations: tuple[Floats, Floats],
    cache: list[tuple[Floats, Floats]] | None = None,
    attention: list[Floats] | None = None,
) -> Any:
    """Final hidden states of the columns in ``ids``, shape (examples, columns, width).

    With a cache, keys and values of earlier columns are taken from it and those of ``ids`` added.
    Into ``attention`` go each layer's weights, shape (examples, heads, queries, keys).
    """
    rows, columns = ids.shape
    x = embed(params["embedding"], ids)
    for layer in range(config.layers):
        normal = normalize(x) * params[f"{layer}.attention_gain"]
        qkv = anp.dot(normal, params[f"{layer}.qkv"])
        qkv = anp.reshape(qkv, (rows, columns, 3, config.heads, -1))
        qkv = anp.transpose(qkv, (2, 0, 3, 1, 4))
        query, key, value = rotate(qkv[0], *rotations), rotate(qkv[1], *rotations), qkv[2]
        if cache is not None:
            if len(cache) > layer:
                key = np.concatenate([cache[layer][0], key], axis=2)
                value = np.concatenate([cache[layer][1], value], axis=2)
                cache[layer] = (key, value)
            else:
                cache.append((key, value))
        scale = (config.width // config.heads) ** -0.5
        scores = anp.matmul(query * scale, anp.swapaxes(key, -1, -2)) + mask
        weights = softmax(scores)
        if attention is not None:
            attention.append(weights)
        mixed = anp.transpose(anp.matmul(weights, value), (0, 2, 1, 3))
        mixed = anp.reshape(mixed, (rows, columns, config.width))
        x = x + anp.dot(mixed, params[f"{layer}.attention_out"])
        normal = normalize(x) * params[f"{layer}.feed_gain"]
        wide = anp.dot(normal, params[f"{layer}.feed_in"])
        x = x + anp.dot(wide * (wide > 0), params[f"{layer}.feed_out"])
    return normalize(x) * params["final_gain"]


def _causal_mask(ids: Ids, pad_id: int) -> Floats:
    columns = ids.shape[1]
    later = np.triu(np.full((columns, columns), _MASKED, np.float32), 1)
    padding = np.where(ids == pad_id, np.float32(_MASKED), np.float32(0))
    mask: Floats = np.maximum(later + padding[:, None, :], np.float32(_MASKED))[:, None]
    return mask


def _answer_logits(params: Any, config: ModelConfig, batch: Batch) -> Any:
    ids = batch.ids[:, :-1]
    hidden = _hidden(
        params, config, ids, _causal_mask(ids, batch.pad_id), _rotations(config, 0, ids.shape[1])
    )
    return anp.dot(hidden[:, batch.answer_column - 1 :], params["embedding"].T)


def _loss(params: Any, config: ModelConfig, batch: Batch) -> Any:
    targets = batch.ids[:, batch.answer_column :]
    weights = (targets != batch.pad_id).astype(np.float32)
    weights /= weights.sum(axis=1, keepdims=True) * len(weights)
    return cross_entropy(_answer_logits(params, config, batch), targets, weights)


_loss_and_gradients = value_and_grad(_loss)


def loss_and_gradients(params: Params, config: ModelConfig, batch: Batch) -> tuple[float, Params]:
    """The mean of the answers' cross-entropies per token, in nats, and its gradients."""
    loss, gradients = _loss_and_gradients(params, config, batch)
    return float(loss), gradients


def attention_weights(params: Params, config: ModelConfig, batch: Batch) -> list[Floats]:
    """Each layer's attention, shape (examples, heads, queries, keys)."""
    attention: list[Floats] = []
    mask = _causal_mask(batch.ids, batch.pad_id)
    rotations = _rotations(config, 0, batch.ids.shape[1])
    _hidden(params, config, batch.ids, mask, rotations, attention=attention)
    return attention


def answer_ce(params: Params, config: ModelConfig, batch: Batch) -> list[float]:
    """Each example's mean cross-entropy of its golden answer's tokens, in nats."""
    targets = batch.ids[:, batch.answer_column :]
    weights = targets != batch.pad_id
    found = log_probs(_answer_logits(params, config, batch), targets)
    means = -(found * weights).sum(axis=1) / weights.sum(axis=1)
    return [float(value) for value in means]


@dataclass(frozen=True, slots=True)
class Generation:
    """One answer. ``time_ms`` runs from the batch's start to this answer's end."""

    ids: list[int]
    log_probs: list[float]
    hit_token_limit: bool
    time_ms: float


def generate(
    params: Params,
    config: ModelConfig,
    batch: Batch,
    *,
    end_id: int,
    max_tokens: int,
    temperature: float = 0.0,
) -> list[Generation]:
    """Answers to a batch that was made without answers: greedy, or drawn at a temperature."""
    rng = np.random.default_rng()
    started = time.perf_counter()
    rows, columns = batch.ids.shape
    cache: list[tuple[Floats, Floats]] = []
    mask = _causal_mask(batch.ids, batch.pad_id)
    hidden = _hidden(params, config, batch.ids, mask, _rotations(config, 0, columns), cache)
    answers: list[list[int]] = [[] for _ in range(rows)]
    answer_log_probs: list[list[float]] = [[] for _ in range(rows)]
    ended_ms: dict[int, float] = {}
    step_mask = mask[:, :, -1:, :]
    for offset in range(max_tokens):
        logits = hidden[:, -1] @ params["embedding"].T
        noise = rng.gumbel(size=logits.shape) * temperature if temperature else 0.0
        chosen = (logits + noise).argmax(axis=-1)  # the Gumbel-max trick: a draw, without a loop
        chosen_log_probs = log_probs(logits, chosen)
        for row in range(rows):
            if row in ended_ms:
                continue
            answer_log_probs[row].append(float(chosen_log_probs[row]))
            if chosen[row] == end_id:
                ended_ms[row] = (time.perf_counter() - started) * 1000
            else:
                answers[row].append(int(chosen[row]))
        if len(ended_ms) == rows:
            break
        step_mask = np.concatenate([step_mask, np.zeros((rows, 1, 1, 1), np.float32)], axis=-1)
        rotations = _rotations(config, columns + offset, columns + offset + 1)
        hidden = _hidden(params, config, chosen[:, None], step_mask, rotations, cache)
    total_ms = (time.perf_counter() - started) * 1000
    return [
        Generation(
            answers[row], answer_log_probs[row], row not in ended_ms, ended_ms.get(row, total_ms)
        )
        for row in range(rows)
    ]
