"""Adam, and the learning rate over a run."""

from __future__ import annotations

import math

import numpy as np

from examples.model import Params

PEAK_LEARNING_RATE = 3e-3

_WARMUP_STEPS, _DECAY_FROM_STEP = 50, 1000
_BETA1, _BETA2, _EPSILON = 0.9, 0.98, 1e-8


def learning_rate_at(step: int) -> float:
    """Linear warm-up, a plateau, then the inverse square root of the step: it needs no end."""
    decay = math.sqrt(_DECAY_FROM_STEP / max(step, _DECAY_FROM_STEP))
    return PEAK_LEARNING_RATE * min(1.0, step / _WARMUP_STEPS) * decay


class Adam:
    """Adam (Kingma and Ba 2015) with clipping of the gradients' global norm."""

    def __init__(self, params: Params, *, clip_norm: float = 1.0) -> None:
        self.clip_norm = clip_norm
        self.steps = 0
        self.first = {name: np.zeros_like(value) for name, value in params.items()}
        self.second = {name: np.zeros_like(value) for name, value in params.items()}

    def step(self, params: Params, gradients: Params, learning_rate: float) -> float:
        """Update ``params`` in place; returns the gradients' norm before clipping."""
        self.steps += 1
        norm = math.sqrt(sum(float(np.vdot(each, each)) for each in gradients.values()))
        shrink = min(1.0, self.clip_norm / (norm + _EPSILON))
        rate = learning_rate * (1 - _BETA2**self.steps) ** 0.5 / (1 - _BETA1**self.steps)
        for name, gradient in gradients.items():
            clipped = gradient * shrink
            first, second = self.first[name], self.second[name]
            first += (1 - _BETA1) * (clipped - first)
            second += (1 - _BETA2) * (clipped * clipped - second)
            params[name] -= rate * first / (np.sqrt(second) + _EPSILON)
        return norm
