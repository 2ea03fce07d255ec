"""What each attention head of a Hugging Face model does: collected with hooks, layer by layer.

    trainer.add_callback(HeadsCallback("runs/my-run", texts=["..."], every_steps=500))

or, in a loop of your own, between ``backward`` and the optimizer's step:

    recorder.log_heads(step=step, **collect_heads(model, tokenizer(texts, return_tensors="pt")))

Works for models whose attention modules have ``q_proj``, ``k_proj``, ``v_proj`` and ``o_proj``:
Llama, Qwen, Mistral, Gemma and their like.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from control_room.extra import MissingExtra
from control_room.recording.recorder import Recorder

try:
    import torch
    from transformers import TrainerCallback
except ModuleNotFoundError as error:
    raise MissingExtra(
        f"{error.name} is missing: this is for `pip install transformers torch`"
    ) from None

log = logging.getLogger(__name__)

_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")
_TEXT_TOKENS = 256  # of each text, at most: attention takes memory by its square


def collect_heads(model: Any, batch: Mapping[str, Any]) -> dict[str, Any]:
    """Arrays of layers x heads, for :meth:`Recorder.log_heads`.

    ``attention_entropy`` (nats) and ``first_token_attention`` are means over the queries of
    ``batch`` (``input_ids`` and, with padding, ``attention_mask``), from one forward pass without
    gradients; ``weight_norm`` and, where gradients are there, ``grad_norm`` are Euclidean norms of
    what belongs to a head: its queries and output, and the keys and values of its group.

    Raises ``ValueError`` for a model without such attention modules, or one that computes no
    attention weights.
    """
    modules = _attention_modules(model)
    if not modules:
        raise ValueError(f"{type(model).__name__} has no attention with {', '.join(_PROJECTIONS)}")
    found = _attention(model, modules, batch)
    found["weight_norm"] = [_norms(module, lambda weight: weight) for module in modules]
    weights = (getattr(module, name).weight for module in modules for name in _PROJECTIONS)
    if all(_gradient(weight) is not None for weight in weights):
        found["grad_norm"] = [_norms(module, _gradient) for module in modules]
    return found


class HeadsCallback(TrainerCallback):
    """Records the heads every ``every_steps`` steps, over the same few ``texts``.

    It takes a forward pass each time, which needs the whole model in this process: in a distributed
    run nothing is recorded. Nothing raises into training.
    """

    def __init__(
        self,
        run_dir: str | Path,
        *,
        texts: Sequence[str],
        every_steps: int = 500,
        run_id: str | None = None,
    ) -> None:
        if not texts or every_steps < 1:
            raise ValueError("HeadsCallback: give texts, and every_steps from 1")
        self._recorder = Recorder(run_dir, run_id=run_id)
        self._texts = list(texts)
        self._every = every_steps
        self._given_up = False

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        step = state.global_step + 1
        if self._given_up or step % self._every:
            return
        if args.world_size > 1:
            log.warning("no heads: the model is spread over %d processes", args.world_size)
            self._given_up = True
            return
        model, tokenizer = kwargs.get("model"), kwargs.get("processing_class")
        try:
            batch = tokenizer(  # type: ignore[misc]  # what is none, is told below
                self._texts,
                return_tensors="pt",
                padding=True,
                truncation=True,
                max_length=_TEXT_TOKENS,
                return_token_type_ids=False,
            ).to(model.device)  # type: ignore[union-attr]  # as above
            self._recorder.log_heads(step=step, **collect_heads(model, batch))
        except Exception:
            # Whatever a model cannot do here is no reason to end its training.
            log.exception("the attention heads are given up for this run")
            self._given_up = True


def _attention_modules(model: Any) -> list[Any]:
    return [
        module
        for module in model.modules()
        if all(hasattr(getattr(module, name, None), "weight") for name in _PROJECTIONS)
    ]


def _attention(
    model: Any, modules: Sequence[Any], batch: Mapping[str, Any]
) -> dict[str, list[list[float]]]:
    ids = batch["input_ids"]
    mask = batch.get("attention_mask")
    real = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask.bool()
    first = real.int().argmax(dim=1)
    told: dict[int, tuple[list[float], list[float]]] = {}

    def reduce(place: int, weights: Any) -> None:
        """Of shape (examples, heads, queries, keys): nothing of that size is kept."""
        weights = weights.float()
        entropy = torch.special.entr(weights).sum(-1)
        on_first = weights.gather(
            -1, first[:, None, None, None].expand(*weights.shape[:-1], 1)
        ).squeeze(-1)
        queries = real[:, None, :].float()
        told[place] = (
            ((entropy * queries).sum((0, 2)) / queries.sum()).tolist(),
            ((on_first * queries).sum((0, 2)) / queries.sum()).tolist(),
        )

    def hook_of(place: int) -> Any:
        def hook(_: Any, __: Any, output: Any) -> None:
            if isinstance(output, tuple) and len(output) > 1 and output[1] is not None:
                reduce(place, output[1])

        return hook

    handles = [module.register_forward_hook(hook_of(i)) for i, module in enumerate(modules)]
    try:
        with _eager(model), torch.no_grad():
            model(**batch)
    finally:
        for handle in handles:
            handle.remove()
    if len(told) < len(modules):
        raise ValueError(f"{type(model).__name__} gives no attention weights")
    return {
        "attention_entropy": [told[place][0] for place in range(len(modules))],
        "first_token_attention": [told[place][1] for place in range(len(modules))],
    }


@contextmanager
def _eager(model: Any) -> Iterator[None]:
    """Attention that computes its weights, and no dropout, for the length of the block."""
    before, was_training = model.config._attn_implementation, model.training
    model.set_attn_implementation("eager")
    model.eval()
    try:
        yield
    finally:
        model.set_attn_implementation(before)
        model.train(was_training)


def _gradient(weight: Any) -> Any:
    return weight.grad


def _norms(module: Any, of: Any) -> list[float]:
    """One for each query head."""
    width = module.head_dim
    out = of(module.o_proj.weight)
    heads = out.shape[1] // width
    squares = out.float().pow(2).reshape(out.shape[0], heads, width).sum((0, 2))
    for name in ("q_proj", "k_proj", "v_proj"):
        weight = of(getattr(module, name).weight).float()
        own = weight.pow(2).reshape(-1, width, weight.shape[1]).sum((1, 2))
        squares = squares + own.repeat_interleave(heads // own.shape[0])
    norms: list[float] = squares.sqrt().tolist()
    return norms
