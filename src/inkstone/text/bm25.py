"""BM25: how well a passage fits a question, by the words that both have (Robertson and Walker 1994; Robertson, Zaragoza 2009).

    score(q, d) = Σ_{w in q}  ln(1 + (N − n_w + ½) / (n_w + ½)) · f (k₁ + 1) / (f + k₁ (1 − b + b |d| / mean length))

N passages, n_w of them with the word w, f times in d. A word that the question has twice counts twice. The 1 inside the
logarithm, as Lucene has it, keeps the weight of words that stand in most passages above zero.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import regex
from jaxtyping import Float, Int

from inkstone.text.words import lemma

K1 = 1.2
B = 0.75
WORD = regex.compile(r"(?P<han>\p{Han}+)|[\p{L}\p{M}\p{N}--\p{Han}]+", regex.V1)


def terms(text: str) -> list[str]:
    """What is counted of a text: the dictionary forms of its words; of Chinese every character and every two neighbours.

    Pairs need no dictionary and match inside any word. On questions about paragraphs (DRCD) they find more than the words of
    a segmenter do.

    >>> terms("The stones of 端溪砚")
    ['the', 'stone', 'of', '端', '溪', '砚', '端溪', '溪砚']
    """
    found = []
    for match in WORD.finditer(text.lower()):
        word = match[0]
        if match["han"] is None:
            found.append(_form(word))
        else:
            found += word
            found += [word[at : at + 2] for at in range(len(word) - 1)]
    return found


@lru_cache(maxsize=1 << 17)
def _form(word: str) -> str:
    return lemma(word, "en").lower() if word.isascii() and word.isalpha() else word


@dataclass(frozen=True)
class BM25:
    """The passages that each term stands in, and what it adds to their scores."""

    numbers: dict[str, int]  # of each term
    starts: Int[np.ndarray, "terms+1"]  # where the passages of each term begin
    passages: Int[np.ndarray, " n"]
    weights: Float[np.ndarray, " n"]
    size: int  # passages

    @classmethod
    def of(cls, texts: Sequence[str], k1: float = K1, b: float = B) -> "BM25":
        """Count the passages."""
        numbers: dict[str, int] = {}
        of_term, of_passage, times, lengths = [], [], [], np.zeros(len(texts))
        for passage, text in enumerate(texts):
            counts = Counter(terms(text))
            lengths[passage] = counts.total()
            of_term += [numbers.setdefault(term, len(numbers)) for term in counts]
            of_passage += [passage] * len(counts)
            times += counts.values()
        term, passages = np.array(of_term, dtype=np.int64), np.array(of_passage, dtype=np.int64)
        order = np.argsort(term, kind="stable")
        term, passages, f = term[order], passages[order], np.array(times, dtype=np.float64)[order]
        having = np.bincount(term, minlength=len(numbers))
        rarity = np.log1p((len(texts) - having + 0.5) / (having + 0.5))
        mean = max(float(lengths.mean()) if len(texts) else 0.0, 1e-9)
        weights = rarity[term] * f * (k1 + 1) / (f + k1 * (1 - b + b * lengths[passages] / mean))
        starts = np.concatenate([[0], np.cumsum(having)]).astype(np.int64)
        return cls(numbers, starts, passages.astype(np.int32), weights.astype(np.float32), len(texts))

    def scores(self, question: str) -> Float[np.ndarray, " passages"]:
        """The score of every passage."""
        totals = np.zeros(self.size)
        for term, times in Counter(terms(question)).items():
            number = self.numbers.get(term)
            if number is not None:
                held = slice(self.starts[number], self.starts[number + 1])
                totals[self.passages[held]] += times * self.weights[held]
        return totals

    def save(self, path: Path) -> None:
        """Write the counts to a file, without running any code when they are read."""
        names = np.frombuffer(json.dumps(list(self.numbers), ensure_ascii=False).encode(), np.uint8)
        with open(path, "wb") as file:
            np.savez(
                file, terms=names, starts=self.starts, passages=self.passages, weights=self.weights, size=self.size
            )

    @classmethod
    def load(cls, path: Path) -> "BM25":
        """Read what `save` wrote. Raises ValueError, OSError or KeyError where it is something else."""
        with np.load(path, allow_pickle=False) as found:
            names = json.loads(found["terms"].tobytes())
            numbers = {name: number for number, name in enumerate(names)}
            return cls(numbers, found["starts"], found["passages"], found["weights"], int(found["size"]))


def best(scores: Float[np.ndarray, " n"], most: int) -> list[int]:
    """The numbers of the highest scores above zero, best first; equal ones in their order."""
    above = np.flatnonzero(scores > 0)
    if len(above) > 4 * most:
        above = above[scores[above] >= np.partition(scores[above], -most)[-most]]
    return above[np.lexsort((above, -scores[above]))][:most].tolist()
