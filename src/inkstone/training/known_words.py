"""What a body is to know before its first step: from the start the words of the examples and those that have vectors."""

from collections.abc import Sequence
from typing import Any

import torch

from inkstone.errors import RecipeError
from inkstone.models.headed import LearnsToBeAsked, LearnsWords
from inkstone.recipe import TrainSection
from inkstone.tokens.example_batches import Encoded
from inkstone.training.fitting import embeddings
from inkstone.training.planner import Choice
from inkstone.vectors.embedding_start import start_from_words
from inkstone.vectors.formats import file_of, read_vectors


def begin_to_be_asked(body: Any, inputs: Sequence[Encoded], train: TrainSection) -> list[Choice]:
    """Let a body that was trained for something else be asked about single words, if the inputs do so."""
    if not isinstance(body, LearnsToBeAsked):
        return []
    told = body.learn_focus(inputs, torch.Generator().manual_seed(train.seed))
    return (
        [Choice("fresh layers", told, "of the words as they are seen from the one that is asked about")] if told else []
    )


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
