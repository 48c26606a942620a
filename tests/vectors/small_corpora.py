"""Made-up text in which words of one topic stand together, so that their vectors must."""

import numpy as np

from inkstone.vectors.corpus import Corpus, corpus_of

TOPICS = (("ink", "brush", "stone", "paper", "desk", "scroll"), ("rice", "tea", "bowl", "soup", "noodle", "spoon"))


def two_topics(documents: int = 60, length: int = 30, seed: int = 0) -> Corpus:
    generator = np.random.default_rng(seed)
    texts = []
    for number in range(documents):
        topic = TOPICS[number % 2]
        texts.append([topic[i] for i in generator.integers(0, len(topic), length)])
    return corpus_of(texts, min_count=1)


def random_corpus(words: int = 40, documents: int = 20, seed: int = 0) -> Corpus:
    """Words of falling frequency and documents of all lengths, single words among them."""
    generator = np.random.default_rng(seed)
    lengths = [1, 2, *generator.integers(1, 30, documents).tolist()]
    return corpus_of([[f"w{i}" for i in (words * generator.random(n) ** 3).astype(int)] for n in lengths], min_count=1)


def separation(vectors) -> float:
    """Mean cosine of two words of one topic less that of two words of different topics."""
    rows = [[vectors.unit[vectors.row(word)] for word in topic] for topic in TOPICS]
    inside = np.mean([a @ b for topic in rows for i, a in enumerate(topic) for b in topic[:i]])
    across = np.mean([a @ b for a in rows[0] for b in rows[1]])
    return float(inside - across)
