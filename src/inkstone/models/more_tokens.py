"""The same model for a tokenizer that has tokens added to it."""

from dataclasses import replace

import torch
from torch import Tensor

from inkstone.models.encoder_decoder import EncoderDecoder
from inkstone.tokens.tokenizer import Tokenizer

NOISE = 0.1  # of the spread of the rows there are: new ones begin near the mean, and differ


@torch.no_grad()
def with_more_tokens(model: EncoderDecoder, tokenizer: Tokenizer, generator: torch.Generator) -> EncoderDecoder:
    """An encoder-decoder with the weights of `model` and rows for the ids that `tokenizer` has beyond its vocabulary.

    The new rows are the mean of the old ones and a little noise; sentinels move up behind them. A model that has rows for
    all ids already keeps its shape.
    """
    old = model.settings.vocab_size
    new = max(0, tokenizer.vocab_size - old)
    larger = EncoderDecoder(replace(model.settings, vocab_size=old + new), tokenizer)

    def grown(rows: Tensor) -> Tensor:  # a matrix, or a bias
        words = rows[:old]
        spread = NOISE * words.std(0) if words.dim() > 1 else torch.zeros_like(words.mean(0))
        noise = torch.randn((new, *rows.shape[1:]), generator=generator).to(rows)
        return torch.cat((words, words.mean(0) + spread * noise, rows[old:]))

    weights = model.state_dict()
    for name in ("embedding.weight", "source_embedding.weight", "head.weight", "bias"):
        if name in weights and new:
            weights[name] = grown(weights[name])
    larger.load_state_dict(weights)
    return larger.to(model.embedding.weight.device)
