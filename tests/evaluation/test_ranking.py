"""Rankings are scored as trec_eval (pytrec_eval) scores them, correlations as scipy does."""

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given, settings, strategies as st
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import average_precision_score, ndcg_score

from inkstone.errors import TextError
from inkstone.evaluation.ranking import average_precision, ndcg, pearson, recall, reciprocal_rank, spearman

ITEMS = [f"d{number}" for number in range(12)]


@st.composite
def queries(draw):
    ranked = draw(st.permutations(ITEMS))[: draw(st.integers(1, len(ITEMS)))]
    return ranked, draw(st.dictionaries(st.sampled_from(ITEMS), st.integers(0, 3), min_size=1))


@settings(max_examples=60)
@given(queries())
def test_figures_are_those_of_trec_eval(query):
    ranked, gains = query
    relevant = {item for item, gain in gains.items() if gain > 0}
    measures = {"ndcg", "ndcg_cut.3", "recall.5", "map", "recip_rank"}
    run = {item: float(-place) for place, item in enumerate(ranked)}
    theirs = pytrec_eval.RelevanceEvaluator({"q": gains}, measures).evaluate({"q": run})["q"]
    ours = {
        "ndcg": ndcg(ranked, gains),
        "ndcg_cut_3": ndcg(ranked, gains, 3),
        "recall_5": recall(ranked, relevant, 5),
        "map": average_precision(ranked, relevant),
        "recip_rank": reciprocal_rank(ranked, relevant),
    }
    if relevant:
        assert ours == pytest.approx(theirs)
    else:
        assert set(ours.values()) == {None}  # trec_eval says 0: nothing could have been found


def test_figures_are_those_of_scikit_learn():
    random = np.random.default_rng(0)
    gains, scores = random.integers(0, 4, size=20), random.random(20)
    ranked = np.argsort(-scores).tolist()
    by_item = dict(enumerate(gains.tolist()))
    assert ndcg(ranked, by_item, 7) == pytest.approx(ndcg_score([gains], [scores], k=7))
    relevant = np.flatnonzero(gains >= 2).tolist()
    assert average_precision(ranked, relevant) == pytest.approx(average_precision_score(gains >= 2, scores))


def test_an_item_returned_twice_counts_once():
    assert recall(["a", "a", "b"], {"a", "b"}, 2) == 1.0
    assert average_precision(["a", "a"], {"a"}) == 1.0 == ndcg(["a", "a", "b"], {"a": 1, "b": 1}, 2)
    assert reciprocal_rank(["x", "x", "a"], {"a"}) == 0.5 and reciprocal_rank(["x", "a"], {"a"}, 1) == 0.0


@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=2, max_size=30))
def test_correlations_are_those_of_scipy_with_ties(pairs):
    left, right = (np.array(side, float) for side in zip(*pairs, strict=True))
    if np.ptp(left) == 0 or np.ptp(right) == 0:
        assert pearson(left, right) is None and spearman(left, right) is None
    else:
        assert pearson(left, right) == pytest.approx(pearsonr(left, right)[0], abs=1e-12)
        assert spearman(left, right) == pytest.approx(spearmanr(left, right)[0], abs=1e-12)


def test_a_correlation_needs_pairs():
    with pytest.raises(TextError, match="needs pairs"):
        pearson(np.ones(2), np.ones(3))
