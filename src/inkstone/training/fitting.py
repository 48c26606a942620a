"""How a family becomes a model: by gradient in the loop, or by counting."""

import time
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import torch
from torch import nn

from inkstone.errors import RecipeError
from inkstone.models.base import CarriesState, LearnsPieces
from inkstone.progress import LiveLine
from inkstone.recipe import Recipe
from inkstone.tokens.batches import Batches, PackedBatches
from inkstone.tokens.piece_batches import PieceBatches
from inkstone.tokens.shards import TokenShards
from inkstone.tokens.streams import StreamBatches
from inkstone.training.bigram_start import bigram_counts, start_from_bigrams
from inkstone.training.loop import Loop
from inkstone.vectors.embedding_start import start_from_words
from inkstone.vectors.formats import file_of, read_vectors


def begin(model: Any, shards: TokenShards, recipe: Recipe, say: Callable[[str], None] = lambda _: None) -> nn.Module:
    """The first weights, on the device and in the number format of the recipe; `say` is told of words with a vector.

    Raises TextError and RecipeError for a file of word vectors that cannot be read, or that the embedding cannot begin at.
    """
    train = recipe.train
    model = model.initialise(torch.Generator().manual_seed(train.seed))
    if train.start == "bigrams":
        start_from_bigrams(model, bigram_counts(shards, model.settings.vocab_size))
    if train.vectors:
        vectors = read_vectors(file_of(train.vectors))
        try:
            for embedding in embeddings(model):
                words = start_from_words(embedding.weight, model.tokenizer, vectors)
        except RecipeError as error:
            raise RecipeError(f"train.vectors = {train.vectors!r}: {error}") from None
        say(f"start  {words:,} of {model.settings.vocab_size:,} tokens are words of {train.vectors} and begin there")
    return model.to(train.device, torch.bfloat16 if train.dtype == "bfloat16" else torch.float32)


def embeddings(model: Any) -> list[nn.Embedding]:
    """The tables of a neural family's tokens: one, or where source and target have different ones, both."""
    found = [getattr(model, name, None) for name in ("embedding", "source_embedding")]
    return [table for table in found if table is not None]


def batches_of(model: nn.Module, shards: TokenShards, context: int, rows: int, seed: int) -> Batches:
    """Shuffled windows of the text; whole pieces of it for a model that learns from these; or for a model that carries its
    state the text in order.
    """
    if isinstance(model, LearnsPieces):
        return PieceBatches(shards, model.piece_ends, context=context, rows=rows, seed=seed)
    if isinstance(model, CarriesState):
        return StreamBatches(shards, context=context, rows=rows, seed=seed)
    return PackedBatches(shards, context=context, rows=rows, seed=seed)


def facts_of(loop: Loop, settings: Any, shards: TokenShards) -> dict[str, Any]:
    """What is recorded of training by gradient."""
    position = loop.position
    return {
        "steps": position.step,
        "tokens": position.tokens,
        "seconds": position.seconds,
        "tokens_per_second": position.tokens / max(position.seconds, 1e-9),
        "flops_per_token": settings.flops_per_token(),
        "parameters": sum(weight.numel() for weight in loop.model.parameters()),
        "train_bits_per_byte": loop.curves.train_loss,
        "epochs": position.tokens / shards.n_tokens,
        "skipped_steps": position.skipped,
        "rollbacks": position.rollbacks,
        "stopped": "finished",
    }


class _Documents:
    """The documents of one or several texts, to be gone through as often as needed."""

    def __init__(self, texts: Sequence[TokenShards]):
        self.texts = texts

    def __iter__(self):
        return chain.from_iterable(shards.documents() for shards in self.texts)


def count(
    model: Any, texts: Sequence[TokenShards], recipe: Recipe, seconds: float | None, line: LiveLine
) -> dict[str, Any]:
    """Estimate a model that is counted, within so many seconds; what is recorded of it."""
    started = time.perf_counter()
    generator = torch.Generator().manual_seed(recipe.train.seed)
    tokens = sum(shards.n_tokens for shards in texts)
    model.fit(_Documents(texts), seconds, generator, lambda words: line.show(words))
    took = time.perf_counter() - started
    line.clear()
    return {
        "steps": 0,
        "tokens": tokens,
        "seconds": took,
        "tokens_per_second": tokens / max(took, 1e-9),
        "parameters": model.n_parameters(),
        "epochs": 1.0,
        "stopped": "finished",
    }
