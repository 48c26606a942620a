"""Word vectors as the start of a model's embedding: tokens that are whole words begin where those words lie."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from inkstone.errors import RecipeError
from inkstone.tokens.tokenizer import Tokenizer
from inkstone.vectors.word_vectors import WordVectors

BLANKS = " ▁Ġ"  # what tokenizers write for a blank before a word
FIRST_HAN = 0x2E80  # from here on, scripts that are written without blanks


@dataclass(frozen=True)
class WholeWords:
    """Ids of the tokens that are whole words, (n,), and the vectors of those words, (n, width)."""

    ids: np.ndarray  # int64
    vectors: np.ndarray  # float32


def whole_words(tokenizer: Tokenizer, vectors: WordVectors) -> WholeWords:
    """The tokens that are words with a vector.

    A token of byte-pair encoding or a unigram model is a whole word when it begins with a blank, or is written in a script
    without blanks: "in" may be a part of "within", " in" is not.
    """
    ids: list[int] = []
    rows: list[int] = []
    for number in range(tokenizer.vocab_size):
        if number in tokenizer.special_ids:
            continue
        text = tokenizer.token_text(number)
        word = text.strip(BLANKS)
        whole = tokenizer.kind in ("word", "character") or text[:1] in BLANKS or word[:1] >= chr(FIRST_HAN)
        row = vectors.find(word) if word and whole else None
        if row is not None:
            ids.append(number)
            rows.append(row)
    return WholeWords(np.array(ids, np.int64), vectors.vectors[rows])


def start_from_words(embedding: Tensor, tokenizer: Tokenizer, vectors: WordVectors) -> int:
    """Write the vectors of words into the rows of a fresh `embedding` (vocabulary, width); returns how many rows.

    Wider vectors are projected onto their leading directions, narrower ones fill the first columns, the rest staying as
    drawn. What is written is centred and given the mean size of the numbers that stood there, so that the model's first
    steps see nothing unusual.

    Raises RecipeError where no token is a word with a vector, and where the vectors tell the words not apart.
    """
    found = whole_words(tokenizer, vectors)
    if not len(found.ids):
        raise RecipeError(
            "no token of this tokenizer is a word that has a vector; were they learned from the same language?"
        )
    values = found.vectors - found.vectors.mean(axis=0)
    if not np.isfinite(values).all() or not values.any():
        many = f"the {len(found.ids)} tokens that are words with a vector" if len(found.ids) > 1 else "one word"
        raise RecipeError(
            f"the vectors of {many} hold numbers that are not finite, or are all the same; "
            "an embedding can only begin at vectors that differ"
        )
    if values.shape[1] > embedding.shape[1]:
        _, _, directions = np.linalg.svd(values, full_matrices=False)
        values = values @ directions[: embedding.shape[1]].T
    rows, columns = torch.from_numpy(found.ids).to(embedding.device), values.shape[1]
    with torch.no_grad():
        size = embedding[rows, :columns].square().mean().sqrt()
        start = torch.from_numpy(np.ascontiguousarray(values)).to(embedding)
        embedding[rows, :columns] = start * (size / start.square().mean().sqrt().clamp_min(1e-12))
    return len(found.ids)
