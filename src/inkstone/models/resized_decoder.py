"""The same decoder for a tokenizer with more tokens, or with a longer context."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from inkstone.errors import RecipeError
from inkstone.models.decoder import Decoder
from inkstone.tokens.tokenizer import Tokenizer


@torch.no_grad()
def resized(decoder: Decoder, tokenizer: Tokenizer, context: int, fresh: Sequence[int] = ()) -> Decoder:
    """A decoder with the weights of `decoder`, rows for every id of `tokenizer`, and so long a context.

    The rows of new ids, and of those that are `fresh` since no text held them, are the mean of the others: then each is about as likely
    as a token is in the mean, and none is an outlier that all else must make room for. Raises RecipeError for a context beyond the
    positions that a decoder has learned.
    """
    s = decoder.settings
    if s.layout == "gpt2" and context > s.context:
        raise RecipeError(
            f"model.context = {context}, but this model has learned positions for {s.context} tokens and no more"
        )
    rows = max(s.vocab_size, tokenizer.vocab_size)
    context = s.context if s.layout == "gpt2" else context
    other = Decoder(replace(s, vocab_size=rows, context=context), tokenizer)
    new = sorted({*fresh, *range(s.vocab_size, rows)})
    known = torch.ones(min(s.vocab_size, tokenizer.vocab_size), dtype=torch.bool)  # padded rows are no token
    known[[number for number in new if number < len(known)]] = False

    def grown(matrix: Tensor) -> Tensor:
        larger = torch.cat((matrix, matrix.new_zeros(rows - len(matrix), matrix.shape[1])))
        larger[new] = matrix[: len(known)][known.to(matrix.device)].float().mean(0).to(matrix)
        return larger

    weights = dict(decoder.state_dict())
    for name in ("embedding.weight", "head.weight"):
        if name in weights:
            weights[name] = grown(weights[name])
    other.load_state_dict(weights)
    return other.to(decoder.embedding.weight.device).train(decoder.training)
