"""Models whose next-token distribution is known from a table, and a tokenizer of letters."""

import itertools
import string
from dataclasses import dataclass

import torch


@dataclass
class LetterStream:
    spell: dict[int, str]

    def push(self, number: int) -> str:
        return self.spell[number]

    def finish(self) -> str:
        return ""


class LetterTokenizer:
    """Token i is the i-th letter; the last token ends a document."""

    def __init__(self, letters: int):
        self.end = letters
        self.vocab_size = letters + 1
        self.begin = [self.end]
        self.spell = {**dict(enumerate(string.ascii_letters[:letters])), self.end: ""}

    def encode(self, text: str) -> list[int]:
        return [string.ascii_letters.index(letter) for letter in text]

    def decode(self, ids) -> str:
        return "".join(self.spell[int(number)] for number in ids)

    def stream(self) -> LetterStream:
        return LetterStream(self.spell)


@dataclass
class Position:
    length: int

    def select(self, rows):
        return self


class Markov:
    """p(next | last token) is a row of a table of log-probabilities, (v, v)."""

    def __init__(self, tokenizer, table: torch.Tensor):
        self.tokenizer = tokenizer
        self.table = table.log_softmax(-1)
        self.widest = 0  # the most tokens that one step was given

    @classmethod
    def random(cls, letters: int, seed: int, scale: float = 1.0) -> "Markov":
        tokenizer = LetterTokenizer(letters)
        generator = torch.Generator().manual_seed(seed)
        return cls(tokenizer, scale * torch.randn(tokenizer.vocab_size, tokenizer.vocab_size, generator=generator))

    def start(self, batch: int) -> Position:
        return Position(0)

    def step(self, ids, state, last=False):
        self.widest = max(self.widest, ids.shape[1])
        return self.table[ids[:, -1:] if last else ids], Position(state.length + ids.shape[1])


def scripted(text: str, letters: int = 26) -> Markov:
    """A model that writes `text`, whose letters must differ, and then ends."""
    tokenizer = LetterTokenizer(letters)
    table = torch.full((tokenizer.vocab_size, tokenizer.vocab_size), -50.0)
    path = [tokenizer.end, *tokenizer.encode(text), tokenizer.end]
    for now, following in itertools.pairwise(path):
        table[now, following] = 0.0
    return Markov(tokenizer, table)
