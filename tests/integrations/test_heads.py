"""Attention heads of a real (tiny) Llama, beside what plain PyTorch says of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from control_room import RunDir
from tests.integrations.readback import read_back
from tests.integrations.test_huggingface import train
from tests.integrations.tiny import make_tokenizer

torch = pytest.importorskip("torch", reason="make test-integrations brings it")
transformers = pytest.importorskip("transformers")

LAYERS, HEADS, KV_HEADS = 2, 4, 2


@pytest.fixture
def model() -> Any:
    transformers.set_seed(0)
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=300,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=LAYERS,
            num_attention_heads=HEADS,
            num_key_value_heads=KV_HEADS,
            max_position_embeddings=64,
        )
    )


@pytest.fixture
def batch() -> Any:
    tokenizer = make_tokenizer()
    return tokenizer(["what is 2 + 2?", "3"], return_tensors="pt", padding=True)


def test_attention_is_that_of_the_model(model: Any, batch: Any) -> None:
    from control_room.integrations.heads import collect_heads

    found = collect_heads(model, batch)
    model.set_attn_implementation("eager")
    with torch.no_grad():
        attentions = model(**batch, output_attentions=True).attentions
    for layer, weights in enumerate(attentions):
        for head in range(HEADS):
            entropies, firsts = [], []
            for row, mask in enumerate(batch["attention_mask"].bool()):
                first = int(mask.nonzero()[0])
                for query in mask.nonzero().flatten().tolist():
                    line = weights[row, head, query].tolist()
                    entropies.append(-sum(p * math.log(p) for p in line if p > 0))
                    firsts.append(line[first])
            assert found["attention_entropy"][layer][head] == pytest.approx(
                sum(entropies) / len(entropies), rel=1e-4
            )
            assert found["first_token_attention"][layer][head] == pytest.approx(
                sum(firsts) / len(firsts), rel=1e-4
            )


def test_norms_are_those_of_the_heads_own_weights(model: Any, batch: Any) -> None:
    from control_room.integrations.heads import collect_heads

    assert "grad_norm" not in collect_heads(model, batch)
    model(**batch, labels=batch["input_ids"]).loss.backward()
    found = collect_heads(model, batch)
    width = 32 // HEADS
    for layer in range(LAYERS):
        attention = model.model.layers[layer].self_attn
        for head in range(HEADS):
            own, group = slice(head * width, (head + 1) * width), head // (HEADS // KV_HEADS)
            shared = slice(group * width, (group + 1) * width)
            parts: list[Any] = [
                attention.q_proj.weight[own],
                attention.k_proj.weight[shared],
                attention.v_proj.weight[shared],
                attention.o_proj.weight[:, own],
            ]
            norm = math.sqrt(sum(part.detach().pow(2).sum().item() for part in parts))
            assert found["weight_norm"][layer][head] == pytest.approx(norm, rel=1e-4)
            gradients: list[Any] = [
                attention.q_proj.weight.grad[own],
                attention.k_proj.weight.grad[shared],
                attention.v_proj.weight.grad[shared],
                attention.o_proj.weight.grad[:, own],
            ]
            norm = math.sqrt(sum(part.pow(2).sum().item() for part in gradients))
            assert found["grad_norm"][layer][head] == pytest.approx(norm, rel=1e-4)


def test_the_model_is_left_as_it_was(model: Any, batch: Any) -> None:
    from control_room.integrations.heads import collect_heads

    model.train()
    before = model.config._attn_implementation
    collect_heads(model, batch)
    assert model.training
    assert model.config._attn_implementation == before
    assert not any(m._forward_hooks for m in model.modules())


def test_a_model_without_such_attention_is_refused(batch: Any) -> None:
    from control_room.integrations.heads import collect_heads

    with pytest.raises(ValueError, match="Linear has no attention with q_proj"):
        collect_heads(torch.nn.Linear(2, 2), batch)


def test_a_trainer_records_them(tmp_path: Path) -> None:
    from control_room.integrations.heads import HeadsCallback

    run = RunDir(tmp_path / "run")
    train(tmp_path, HeadsCallback(run.path, texts=["what is 2 + 2?"], every_steps=4))
    rows = read_back(run, "SELECT step, layers, heads, len(grad_norm) FROM heads ORDER BY step")
    assert rows == [(4, 2, 2, 4), (8, 2, 2, 4), (12, 2, 2, 4)]
