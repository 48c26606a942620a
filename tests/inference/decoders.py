"""Small random decoders in each layout, with a tokenizer of bytes."""

from functools import cache

import torch

from inkstone.models.decoder import Decoder, DecoderSettings
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.tokenizer import Tokenizer


@cache
def byte_tokenizer() -> Tokenizer:
    return learn_tokenizer(iter(["一"] * 3), "byte-bpe", 260)


def decoder(layout: str = "qwen3", **changes) -> Decoder:
    """Every number is random, those of norms and biases too, so that none can be lost unseen."""
    shape = {"vocab_size": 300, "width": 48, "n_layers": 3, "n_heads": 4, "hidden": 64, "context": 96}
    shape |= {"n_kv_heads": 4, "head_width": 12} if layout == "gpt2" else {"n_kv_heads": 2, "head_width": 16}
    model = Decoder(DecoderSettings(**{**shape, "layout": layout, **changes}), byte_tokenizer())
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.initialise(generator).parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.eval()
