"""A run folder made by hand: a tiny random decoder, its tokenizer, and held-out text as shards."""

import random
from pathlib import Path

import tokenizers
import torch
from tokenizers import decoders, models, pre_tokenizers

from inkstone.hub.folder import save
from inkstone.models.decoder import Decoder, DecoderSettings
from inkstone.recipe import Recipe
from inkstone.run import Run
from inkstone.tokens.shards import write_shards
from inkstone.tokens.tokenizer import END, Tokenizer

WORDS = ["the", "ink", "stone", "grinds", "black", "water", "墨", "砚", "笔", "纸", "slow", "and", "a", "page", "dries"]


def texts(n: int, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(5, 60))) + "." for _ in range(n)]


def byte_tokenizer() -> Tokenizer:
    """A byte-level tokenizer without merges: 256 bytes and the end."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = tokenizers.Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([END])
    return Tokenizer(backend, "byte-bpe")


def make_run(folder: Path) -> Run:
    run = Run.create(folder, Recipe())
    tokenizer = byte_tokenizer()
    settings = DecoderSettings(
        vocab_size=tokenizer.vocab_size, width=16, n_layers=1, n_heads=2, n_kv_heads=2, head_width=8, hidden=32, context=64
    )  # fmt: skip
    save(Decoder(settings, tokenizer).initialise(torch.Generator().manual_seed(0)), run.folder)
    write_shards([texts(120, seed=1)], tokenizer, run.train_shards)
    write_shards([texts(40, seed=2)], tokenizer, run.held_out_shards)
    return run
