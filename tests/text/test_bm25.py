"""BM25 against its formula, written out once more, term by term."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, strategies as st

from inkstone.text.bm25 import BM25, best, terms

TEXTS = [
    "The ink is black.",
    "An inkstone, ink and more ink!",
    "端砚产于肇庆，肇庆在广东。",
    "",
    "paper",
    "the the the",
]


def by_the_formula(texts, question, k1=1.2, b=0.75):
    counted = [Counter(terms(text)) for text in texts]
    mean = sum(map(Counter.total, counted)) / len(texts)
    scores = []
    for counts in counted:
        score = 0.0
        for term in terms(question):
            n = sum(term in other for other in counted)
            if not n:
                continue
            rarity = math.log(1 + (len(texts) - n + 0.5) / (n + 0.5))
            f = counts[term]
            score += rarity * f * (k1 + 1) / (f + k1 * (1 - b + b * counts.total() / mean))
        scores.append(score)
    return scores


@pytest.mark.parametrize("question", ["ink", "the ink inks", "肇庆产什么砚？", "nothing at all", "", "Paper PAPER"])
def test_scores_are_those_of_the_formula(question):
    assert BM25.of(TEXTS).scores(question) == pytest.approx(by_the_formula(TEXTS, question), rel=1e-5)


@given(st.lists(st.text("ab 端砚.", max_size=20), min_size=1, max_size=8), st.text("ab 端砚", max_size=8))
def test_scores_are_those_of_the_formula_for_any_text(texts, question):
    if any(terms(text) for text in texts):
        assert BM25.of(texts).scores(question) == pytest.approx(by_the_formula(texts, question), rel=1e-5, abs=1e-6)


def test_the_score_of_one_word_worked_out_by_hand():
    # N = 2, n = 1: ln(1 + 1.5 / 1.5) = ln 2. Both have 2 terms, the mean: the length changes nothing. f = 1: (k1 + 1) / (1 + k1) = 1.
    assert BM25.of(["ink pen", "red pen"]).scores("ink").tolist() == pytest.approx([math.log(2), 0])


def test_no_texts_and_no_words():
    assert BM25.of([]).scores("ink").tolist() == []
    assert BM25.of(["", "..."]).scores("ink").tolist() == [0, 0]


def test_what_is_saved_comes_back(tmp_path):
    index = BM25.of(TEXTS)
    index.save(tmp_path / "words.npz")
    again = BM25.load(tmp_path / "words.npz")
    assert (again.scores("ink 肇庆") == index.scores("ink 肇庆")).all()
    (tmp_path / "words.npz").write_bytes(b"nothing of the kind")
    with pytest.raises((ValueError, OSError, KeyError)):
        BM25.load(tmp_path / "words.npz")


@given(st.lists(st.integers(0, 5), max_size=60), st.integers(1, 10))
def test_the_best_come_first_and_equal_ones_in_order(scores, most):
    wanted = sorted((at for at, score in enumerate(scores) if score > 0), key=lambda at: (-scores[at], at))[:most]
    assert best(np.array(scores, dtype=float), most) == wanted
