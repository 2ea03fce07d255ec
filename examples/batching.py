"""Batches of similar lengths, each with about as many tokens as the others."""

from __future__ import annotations

import random
from collections.abc import Sequence

from examples.tasks import Example
from examples.tokens import Tokenizer

# Lengths are blurred by this many tokens, so that patterns of nearby lengths share batches.
_BLUR_TOKENS = 8.0


def token_budget(step: int) -> int:
    """Tokens per batch: more later, in place of a steeper decay of the learning rate.

    Smith et al. 2018, "Don't decay the learning rate, increase the batch size", arXiv:1711.00489.
    """
    return min(1600, 600 + step // 20)


def in_batches(
    examples: Sequence[Example], tokenizer: Tokenizer, rng: random.Random, *, budget: int
) -> list[list[Example]]:
    """The examples, each once, in batches of at most ``budget`` tokens, padding included.

    An example that alone is longer than that has a batch of its own.
    """
    encode = tokenizer.encode
    sized = [(len(encode(each.prompt)) + len(encode(each.golden)), each) for each in examples]
    sized.sort(key=lambda pair: pair[0] + rng.uniform(0, _BLUR_TOKENS))
    batches: list[list[Example]] = []
    longest = 0
    for length, example in sized:
        longest = max(longest, length)
        if not batches or longest * (len(batches[-1]) + 1) > budget:
            batches.append([])
            longest = length
        batches[-1].append(example)
    rng.shuffle(batches)
    return batches
