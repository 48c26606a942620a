"""Decoders with random weights of set shapes, saved as run folders: what benchmarks of speed give to every engine alike."""

from pathlib import Path

import torch

from inkstone.hub.folder import save
from inkstone.models.decoder import Decoder, DecoderSettings
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.tokenizer import Tokenizer

SHAPES = {
    "qwen3-1m": DecoderSettings(1024, 128, 4, 2, 1, 64, 384, 1024),  # to try a benchmark out
    "qwen3-30m": DecoderSettings(8192, 512, 8, 8, 4, 64, 1536, 1024),
    "llama-30m": DecoderSettings(8192, 512, 8, 8, 4, 64, 1536, 1024, layout="llama"),
    "qwen3-124m": DecoderSettings(50304, 768, 12, 12, 4, 64, 2304, 1024),
    "llama-124m": DecoderSettings(50304, 768, 12, 12, 12, 64, 2048, 1024, layout="llama"),
}
WORDS = ["the ink on the stone", "a stone in the ink", "on and on it goes"] * 4


def tokenizer_of(rows: int) -> Tokenizer:
    """A byte-level tokenizer with so many tokens: a few are learned, as llama.cpp opens none without, and the rest are words."""
    learned = learn_tokenizer(iter(WORDS), "byte-bpe", 280)
    learned.backend.add_tokens([f" word{number}" for number in range(learned.vocab_size, rows)])
    return type(learned)(learned.backend, learned.kind, learned.end)


def random_folder(shape: str, folder: Path) -> int:
    """Save a model of this shape in which no matrix is zero; how many weights it has."""
    settings = SHAPES[shape]
    generator = torch.Generator().manual_seed(0)
    model = Decoder(settings, tokenizer_of(settings.vocab_size)).initialise(generator)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.02)
    save(model, folder)
    return model.n_parameters()


def random_prompts(rows: int, length: int, seed: int = 1) -> list[list[int]]:
    """Prompts of bytes, each another, so that none is a beginning of another."""
    return torch.randint(0, 256, (rows, length), generator=torch.Generator().manual_seed(seed)).tolist()
