"""A small language model and its tokenizer, made on the spot; nothing is downloaded."""

from __future__ import annotations

from typing import Any

TEXTS = ["what is 2 + 2? 4", "what is 3 + 4? 7", "what is 5 + 1? 6"] * 40


def make_tokenizer() -> Any:
    """A tokenizer of single bytes."""
    import tokenizers
    import transformers

    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: place for place, piece in enumerate(["<pad>", "</s>", *letters])}
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, []))
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="</s>"
    )


def make_model(vocabulary: int) -> Any:
    """A Llama of two small layers."""
    import transformers

    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=128,
            eos_token_id=1,
            pad_token_id=0,
        )
    )
