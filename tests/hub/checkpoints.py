"""Tiny random checkpoints that transformers builds and saves, each with a byte-level tokenizer."""

import json
import os
from functools import cache
from pathlib import Path

import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from transformers.utils import logging

from inkstone.models.decoder import Decoder, DecoderSettings
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.tokenizer import Tokenizer

os.environ["HF_HUB_OFFLINE"] = "1"
logging.set_verbosity_error()
logging.disable_progress_bar()

VOCAB = 310  # more rows than the tokenizer has tokens, as many published checkpoints have
SHAPE = dict(
    vocab_size=VOCAB,
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=96,
    bos_token_id=None,
    eos_token_id=None,
)
LLAMA3 = dict(
    rope_type="llama3", rope_theta=500.0, factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
    original_max_position_embeddings=24,
)  # fmt: skip
YARN = dict(rope_type="yarn", rope_theta=500.0, factor=4.0, original_max_position_embeddings=24)
MSCALE = dict(YARN, beta_fast=8.0, beta_slow=2.0, mscale=1.0, mscale_all_dim=0.7, truncate=False)
DYNAMIC = dict(rope_type="dynamic", rope_theta=10_000.0, factor=2.0)
LINEAR = dict(rope_type="linear", rope_theta=10_000.0, factor=2.5)
GPT2 = dict(
    vocab_size=VOCAB, n_embd=32, n_layer=2, n_head=4, n_positions=96, bos_token_id=None, eos_token_id=None
)  # fmt: skip

CHECKPOINTS = {
    "qwen3-tied": lambda: Qwen3ForCausalLM(Qwen3Config(**SHAPE, head_dim=16, tie_word_embeddings=True)),
    "qwen3-untied": lambda: Qwen3ForCausalLM(Qwen3Config(**SHAPE, head_dim=16, tie_word_embeddings=False)),
    "qwen3-biases": lambda: Qwen3ForCausalLM(Qwen3Config(**SHAPE, head_dim=8, attention_bias=True, rms_norm_eps=1e-2)),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE)),
    "llama-tied": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, tie_word_embeddings=True)),
    "llama-llama3": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, rope_parameters=LLAMA3)),
    "llama-linear": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, rope_parameters=LINEAR)),
    "llama-yarn": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, rope_parameters=YARN)),
    "qwen2-yarn": lambda: Qwen2ForCausalLM(Qwen2Config(**SHAPE, rope_parameters=MSCALE)),
    "llama-dynamic": lambda: LlamaForCausalLM(
        LlamaConfig(**{**SHAPE, "max_position_embeddings": 24}, rope_parameters=DYNAMIC)
    ),
    "llama-biases": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE, attention_bias=True, mlp_bias=True)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=None)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SHAPE)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(**GPT2)),
    "gpt2-inner": lambda: GPT2LMHeadModel(GPT2Config(**GPT2, n_inner=40, layer_norm_epsilon=1e-2)),
    "gpt2-untied": lambda: GPT2LMHeadModel(GPT2Config(**GPT2, tie_word_embeddings=False)),
}

TEXTS = [
    "Ink on stone, 1957: it's the writer's.",
    "墨池飞出北溟鱼,笔锋杀尽中山兔。",
    "🖋️ and 👩‍👩‍👧 in one line",
    "  spaces\n\n\tand tabs  ",
    "<|endoftext|> and <|im_start|>user",
]


@cache
def tokenizer() -> Tokenizer:
    """A byte-level tokenizer of at most 300 tokens, learned from TEXTS."""
    return learn_tokenizer(iter(TEXTS * 20), "byte-bpe", 300)


def checkpoint(name: str) -> PreTrainedModel:
    """A checkpoint in which every number, biases and norms too, is random, so that none can be lost unseen."""
    torch.manual_seed(0)
    model = CHECKPOINTS[name]().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def save_checkpoint(model: PreTrainedModel, folder: Path, **options) -> Path:
    """Write it as transformers does, with the tokenizer."""
    model.save_pretrained(folder, **options)
    tokenizer().save(folder)
    return folder


def edit_config(folder: Path, **changes) -> None:
    """Change or (with None) take out keys of config.json."""
    path = folder / "config.json"
    config = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def decoder(layout: str, **changes) -> Decoder:
    """A decoder of ours in which every number is random."""
    shape = dict(n_kv_heads=4, head_width=8) if layout == "gpt2" else dict(n_kv_heads=2, head_width=16)
    settings = DecoderSettings(
        **{
            **dict(vocab_size=VOCAB, width=32, n_layers=2, n_heads=4, hidden=48, context=96, layout=layout),
            **shape,
            **changes,
        }
    )
    generator = torch.Generator().manual_seed(0)
    model = Decoder(settings, tokenizer()).initialise(generator).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model


def some_ids(rows: int = 2, length: int = 80) -> torch.Tensor:
    """Random token ids."""
    return torch.randint(0, VOCAB, (rows, length), generator=torch.Generator().manual_seed(1))


def greedy(model, ids: list[int], n: int) -> list[int]:
    """The likeliest continuation through `step`, one token at a time."""
    state, new = model.start(1), torch.tensor([ids])
    out = []
    with torch.no_grad():
        for _ in range(n):
            log_probabilities, state = model.step(new, state, last=True)
            out.append(int(log_probabilities[0, -1].argmax()))
            new = torch.tensor([[out[-1]]])
    return out
