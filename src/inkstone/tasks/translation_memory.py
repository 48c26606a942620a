"""The translation memory: of the most similar source that is known, its translation. What translators have beside them anyway.

Of the sources that BM25 finds, the one is taken that shares most words with the text, as a Dice coefficient: 2 |A ∩ B| / (|A| + |B|).
"""

from collections import Counter
from collections.abc import Sequence

from inkstone.text.bm25 import BM25, best, terms

LOOKED_AT = 20  # sources that BM25 finds, which are compared word by word


class TranslationMemory:
    """Sources and their translations, to be asked."""

    def __init__(self, sources: Sequence[str], targets: Sequence[str]):
        self.targets = targets
        self.words = [Counter(terms(source)) for source in sources]
        self.index = BM25.of(sources)

    def nearest(self, source: str) -> str:
        """The translation of the most similar source; empty where none shares a word."""
        own = Counter(terms(source))
        found = best(self.index.scores(source), LOOKED_AT)
        return self.targets[max(found, key=lambda row: _dice(own, self.words[row]))] if found else ""


def _dice(first: Counter[str], second: Counter[str]) -> float:
    return 2 * (first & second).total() / max(1, first.total() + second.total())
