"""Operations of the network whose gradients are written out by hand.

Autograd differentiates everything else; these would cost it several times the memory traffic.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from autograd.extend import defvjp, primitive
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]

_EPSILON = 1e-6


def log_probs(logits: Floats, ids: Ids) -> Floats:
    """The log-probability of each id under its logits (last axis)."""
    top = logits.max(axis=-1, keepdims=True)
    log_total = np.log(np.exp(logits - top).sum(axis=-1)) + top[..., 0]
    chosen = np.take_along_axis(logits, ids[..., None], axis=-1)[..., 0]
    result: Floats = chosen - log_total
    return result


def _embed(table: Floats, ids: Ids) -> Floats:
    return table[ids]


def _embed_vjp(_: Floats, table: Floats, ids: Ids) -> Callable[[Floats], Floats]:
    def vjp(grad: Floats) -> Floats:
        one_hot = np.zeros((ids.size, table.shape[0]), np.float32)
        one_hot[np.arange(ids.size), ids.reshape(-1)] = 1
        result: Floats = one_hot.T @ grad.reshape(ids.size, -1)
        return result

    return vjp


def _inverse_rms(x: Floats) -> Floats:
    result: Floats = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + _EPSILON)
    return result


def _normalize(x: Floats) -> Floats:
    return x * _inverse_rms(x)


def _normalize_vjp(ans: Floats, x: Floats) -> Callable[[Floats], Floats]:
    scale = _inverse_rms(x)
    return lambda grad: scale * (grad - ans * np.mean(grad * ans, axis=-1, keepdims=True))


def _softmax(scores: Floats) -> Floats:
    shifted: Floats = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shifted /= shifted.sum(axis=-1, keepdims=True)
    return shifted


def _softmax_vjp(ans: Floats, _: Floats) -> Callable[[Floats], Floats]:
    return lambda grad: ans * (grad - np.sum(grad * ans, axis=-1, keepdims=True))


def _rotate(x: Floats, cos: Floats, sin: Floats) -> Floats:
    left, right = np.split(x, 2, axis=-1)
    return np.concatenate([left * cos - right * sin, left * sin + right * cos], axis=-1)


def _rotate_vjp(_: Floats, __: Floats, cos: Floats, sin: Floats) -> Callable[[Floats], Floats]:
    return lambda grad: _rotate(grad, cos, -sin)


def _cross_entropy(logits: Floats, targets: Ids, weights: Floats) -> np.float32:
    total: np.float32 = np.sum(-log_probs(logits, targets) * weights)
    return total


def _cross_entropy_vjp(
    _: np.float32, logits: Floats, targets: Ids, weights: Floats
) -> Callable[[np.float32], Floats]:
    def vjp(grad: np.float32) -> Floats:
        result = _softmax(logits)
        index = targets[..., None]
        chosen = np.take_along_axis(result, index, axis=-1)
        np.put_along_axis(result, index, chosen - 1, axis=-1)
        result *= weights[..., None] * np.float32(grad)
        return result

    return vjp


# Any: given an array they return an array, and while autograd traces, a box around one.

embed: Callable[[Any, Ids], Any] = primitive(_embed)
"""Rows of the table for each id."""

normalize: Callable[[Any], Any] = primitive(_normalize)
"""Division by the root mean square of the last axis (Zhang and Sennrich 2019)."""

softmax: Callable[[Any], Any] = primitive(_softmax)
"""Over the last axis."""

rotate: Callable[[Any, Floats, Floats], Any] = primitive(_rotate)
"""Rotary position embedding of the last axis' halves (Su et al. 2021, arXiv:2104.09864)."""

cross_entropy: Callable[[Any, Ids, Floats], Any] = primitive(_cross_entropy)
"""Weighted sum of the targets' negative log-probabilities, in nats."""

defvjp(embed, _embed_vjp, argnums=[0])
defvjp(normalize, _normalize_vjp)
defvjp(softmax, _softmax_vjp)
defvjp(rotate, _rotate_vjp, argnums=[0])
defvjp(cross_entropy, _cross_entropy_vjp, argnums=[0])
