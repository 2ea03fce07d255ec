"""What each attention head of the model does, for ``Recorder.log_heads``."""

from __future__ import annotations

import numpy as np

from examples.model import Batch, ModelConfig, Params, attention_weights
from examples.operations import Floats


def head_diagnostics(
    params: Params, gradients: Params, config: ModelConfig, batch: Batch
) -> dict[str, Floats]:
    """Arrays of layers x heads: attention over the batch, norms of weights and their gradients.

    Means are over the queries that are not padding; the first token is the first that is not.
    """
    real = batch.ids != batch.pad_id
    first = real.argmax(axis=1)
    entropies, firsts = [], []
    for weights in attention_weights(params, config, batch):
        entropy = -(weights * np.log(np.maximum(weights, 1e-30))).sum(axis=-1)
        on_first = np.take_along_axis(weights, first[:, None, None, None], axis=-1)[..., 0]
        entropies.append(_mean_of_real(entropy, real))
        firsts.append(_mean_of_real(on_first, real))
    return {
        "attention_entropy": np.array(entropies),
        "first_token_attention": np.array(firsts),
        "grad_norm": _head_norms(gradients, config),
        "weight_norm": _head_norms(params, config),
    }


def _mean_of_real(values: Floats, real: np.ndarray) -> Floats:
    """Of shape (examples, heads, queries), the mean for each head."""
    weights = real[:, None, :]
    mean: Floats = (values * weights).sum(axis=(0, 2)) / weights.sum()
    return mean


def _head_norms(params: Params, config: ModelConfig) -> Floats:
    """The Euclidean norm of what belongs to each head: its queries, keys, values and output."""
    norms = []
    for layer in range(config.layers):
        qkv = params[f"{layer}.qkv"].reshape(config.width, 3, config.heads, -1)
        out = params[f"{layer}.attention_out"].reshape(config.heads, -1)
        squares = (qkv**2).sum(axis=(0, 1, 3)) + (out**2).sum(axis=1)
        norms.append(np.sqrt(squares))
    return np.array(norms)
