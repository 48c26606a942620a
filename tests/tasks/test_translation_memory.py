"""The translation memory: the translation of the most similar source."""

from collections import Counter

import numpy as np

from inkstone.tasks.translation_memory import TranslationMemory, _dice
from inkstone.text.bm25 import terms

SOURCES = ["The ink is black.", "The black ink dries on the stone.", "墨在砚上磨。", "She buys paper."]
TARGETS = [
    "Die Tusche ist schwarz.",
    "Die schwarze Tusche trocknet auf dem Stein.",
    "Ink is ground.",
    "Sie kauft Papier.",
]


def test_the_nearest_is_told():
    memory = TranslationMemory(SOURCES, TARGETS)
    assert [memory.nearest(source) for source in SOURCES] == TARGETS
    assert memory.nearest("The ink is black and dry.") == TARGETS[0]
    assert memory.nearest("砚上磨墨") == TARGETS[2] and memory.nearest("zzz") == ""


def test_it_is_the_nearest_of_all_where_few_are_looked_at():
    """Against a search through all sources."""
    draw = np.random.default_rng(0)
    words = ["ink", "stone", "paper", "brush", "seal", "black", "white", "red", "buys", "sells"]
    sources = [" ".join(draw.choice(words, size=draw.integers(2, 7))) for _ in range(15)]
    memory = TranslationMemory(sources, sources)
    for _ in range(30):
        asked = " ".join(draw.choice(words, size=4))
        own = Counter(terms(asked))
        best = max(_dice(own, Counter(terms(source))) for source in sources)
        assert _dice(own, Counter(terms(memory.nearest(asked)))) == best
