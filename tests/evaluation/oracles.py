"""Models whose likelihoods are known in closed form, and a tokenizer of plain bytes."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from inkstone.tokens.tokenizer import Tokenizer


class ByteTokenizer(Tokenizer):
    """Token i is the byte i; token 256 ends a document."""

    vocab_size = 257
    begin: ClassVar[list[int]] = [256]

    def __init__(self):
        self.end = 256

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def decode(self, ids, *, special: bool = False) -> str:
        return bytes(i for i in ids if i < 256).decode("utf-8", errors="replace")


@dataclass
class LastToken:
    """A state that remembers the last token of each row, and how far it is."""

    ids: torch.Tensor
    length: int = 0

    def select(self, rows):
        return LastToken(self.ids[rows], self.length)


class Uniform:
    """Every token is as likely as every other."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def start(self, batch):
        return LastToken(torch.zeros(batch, dtype=torch.long))

    def step(self, ids, state, last=False):
        size = self.tokenizer.vocab_size
        length = 1 if last else ids.shape[1]
        return torch.full((ids.shape[0], length, size), -math.log(size)), LastToken(
            ids[:, -1], state.length + ids.shape[1]
        )


class SecondOrder:
    """p(token | the two before it), from a random table: only right when the state is carried over."""

    def __init__(self, tokenizer, seed: int = 0):
        generator = torch.Generator().manual_seed(seed)
        size = tokenizer.vocab_size
        self.tokenizer = tokenizer
        self.table = torch.randn(7, size, size, generator=generator).log_softmax(-1)

    def start(self, batch):
        return LastToken(torch.zeros(batch, dtype=torch.long))

    def step(self, ids, state, last=False):
        before = torch.cat([state.ids[:, None], ids[:, :-1]], dim=1)
        log_probabilities = self.table[before % 7, ids]
        return log_probabilities[:, -1:] if last else log_probabilities, LastToken(
            ids[:, -1], state.length + ids.shape[1]
        )

    def nats(self, ids) -> np.ndarray:
        """By hand, one token at a time."""
        row = [self.tokenizer.end, *ids, self.tokenizer.end]
        first = [0, *row]
        return np.array([-self.table[first[i] % 7, row[i], row[i + 1]].item() for i in range(len(row) - 1)])


class CountsContext:
    """A model with hidden states that are known: the logit of token 0 tells how many tokens stood before."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.output_weight = torch.zeros(tokenizer.vocab_size, 2)
        self.output_weight[0, 0] = 1.0
        self.seen: list[torch.Tensor] = []

    def hidden(self, ids):
        self.seen.append(ids)
        steps = torch.arange(1, ids.shape[1] + 1, dtype=torch.float32).expand(ids.shape)
        return torch.stack([steps, torch.zeros_like(steps)], dim=-1)

    def nats(self, context: int, target: int) -> float:
        logits = torch.zeros(self.tokenizer.vocab_size)
        logits[0] = context
        return -logits.log_softmax(-1)[target].item()
