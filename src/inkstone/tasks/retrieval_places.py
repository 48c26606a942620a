"""At which place each text finds the one that belongs to it, among those of a whole part; and correlations of two scores.

Everything is given for each example alone, so that intervals can be drawn (`evaluation/intervals.py`).
"""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int, Num

from inkstone.tasks.base import Answer
from inkstone.tasks.related_texts import Related
from inkstone.text.bm25 import BM25, terms

AT_ONCE = 256  # texts whose similarities are held together


def own_places(examples: Sequence[Related], answers: Sequence[Answer]) -> Int[np.ndarray, " n"]:
    """The place, from 1, of each example's own text: as an answer says, else by the similarity of its vectors."""
    if "place" in answers[0]:
        return np.array([answer["place"] for answer in answers])
    asked, wanted = (
        np.array([a["vectors"][side + e.alone] for e, a in zip(examples, answers, strict=True)], dtype=np.float32)
        for side in (0, 1)
    )
    first_rows: dict[str, int] = {}
    for row, example in enumerate(examples):
        first_rows.setdefault(example.asked_and_wanted[1], row)
    candidates = wanted[list(first_rows.values())].T
    return _places(examples, lambda rows: asked[rows] @ candidates)


def places_by_words(examples: Sequence[Related]) -> list[Answer]:
    """The same as answers, by BM25."""
    texts = list(dict.fromkeys(example.asked_and_wanted[1] for example in examples))
    index = BM25.of(texts)

    def scores(rows: np.ndarray) -> np.ndarray:
        return np.stack([index.scores(examples[int(row)].asked_and_wanted[0]) for row in rows])

    return [{"place": int(place)} for place in _places(examples, scores)]


def _places(examples: Sequence[Related], scores: Callable[[np.ndarray], np.ndarray]) -> Int[np.ndarray, " n"]:
    """Places by the scores of rows of examples against all different texts that are wanted.

    Others that belong to the same text asked are passed over; equal scores count against it.
    """
    numbers: dict[str, int] = {}
    wanted_by: dict[str, list[int]] = {}
    own = np.zeros(len(examples), dtype=np.int64)
    for row, example in enumerate(examples):
        asked, wanted = example.asked_and_wanted
        own[row] = numbers.setdefault(wanted, len(numbers))
        wanted_by.setdefault(asked, []).append(int(own[row]))
    places = []
    for begin in range(0, len(examples), AT_ONCE):
        rows = np.arange(begin, min(begin + AT_ONCE, len(examples)))
        for row, found in zip(rows.tolist(), scores(rows), strict=True):
            mine = found[own[row]]
            others = set(wanted_by[examples[int(row)].asked_and_wanted[0]]) - {int(own[row])}
            places.append(int((found >= mine).sum()) - sum(found[other] >= mine for other in others))
    return np.array(places)


def words_alike(train: Sequence[Related], examples: Sequence[Related]) -> list[Answer]:
    """How alike the two texts of each example are by the cosine of their TF–IDF; frequencies are of the training part."""
    texts = list(dict.fromkeys(text for example in train for text in example.texts))
    having = Counter(term for text in texts for term in set(terms(text)))

    def weights(text: str) -> dict[str, float]:
        found = {t: n * (np.log((1 + len(texts)) / (1 + having[t])) + 1) for t, n in Counter(terms(text)).items()}
        length = sum(weight**2 for weight in found.values()) ** 0.5
        return {term: weight / length for term, weight in found.items()}

    answers = []
    for example in examples:
        one, other = weights(example.texts[0]), weights(example.texts[1])
        answers.append({"similarity": float(sum(weight * other.get(term, 0.0) for term, weight in one.items()))})
    return answers


def rank_statistics(first: Num[np.ndarray, " n"], second: Num[np.ndarray, " n"]) -> Float[np.ndarray, "n 6"]:
    """What each pair of scores adds to the sums of which `rank_correlation` is a function; ties share their mean rank."""
    x, y = (_ranks(values) / len(values) - 0.5 for values in (first, second))
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=1)


def rank_correlation(sums: Float[np.ndarray, "*rest 6"]) -> Float[np.ndarray, "*rest"]:
    """Spearman's correlation; 0 where all scores of a side are equal. Resamples keep the ranks that all pairs have."""
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    spread = np.maximum(n * xx - x * x, 0) * np.maximum(n * yy - y * y, 0)
    return np.where(spread > 1e-12, (n * xy - x * y) / np.sqrt(np.maximum(spread, 1e-12)), 0.0)


def _ranks(values: Num[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[place]
