"""Words that a body from the start is to know before its first step: those of the examples, and those that have vectors."""

from collections.abc import Sequence
from typing import Any

import torch

from inkstone.errors import RecipeError
from inkstone.models.headed import LearnsWords
from inkstone.recipe import TrainSection
from inkstone.tokens.example_batches import Encoded
from inkstone.training.fitting import embeddings
from inkstone.training.planner import Choice
from inkstone.vectors.embedding_start import start_from_words
from inkstone.vectors.formats import file_of, read_vectors


def begin_at_words(body: Any, inputs: Sequence[Encoded], train: TrainSection) -> list[Choice]:
    """Let the body know the words of the inputs, if it is one that must, and begin at `train.vectors`; says what came of it.

    Raises TextError and RecipeError for a file of word vectors that cannot be read, or that the body cannot begin at.
    """
    vectors = read_vectors(file_of(train.vectors)) if train.vectors else None
    if isinstance(body, LearnsWords):
        generator = torch.Generator().manual_seed(train.seed)
        told = body.learn_words(inputs, generator, None if vectors is None else (vectors.words, vectors.vectors))
        return [
            Choice(
                "vocabulary",
                told,
                "seen at least twice" if vectors is None else f"seen at least twice; {train.vectors}",
            )
        ]
    if vectors is None:
        return []
    try:
        found = [start_from_words(table.weight, body.tokenizer, vectors) for table in embeddings(body)]
    except RecipeError as error:
        raise RecipeError(f"train.vectors = {train.vectors!r}: {error}") from None
    return [Choice("embedding", f"{sum(found):,} of {body.settings.vocab_size:,} tokens", f"words of {train.vectors}")]
