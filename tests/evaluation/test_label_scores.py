"""Labels are scored as scikit-learn scores them; what never occurs is said, and not counted as a failure."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
)
from sklearn.preprocessing import MultiLabelBinarizer

from inkstone.errors import TextError
from inkstone.evaluation.label_scores import (
    Score,
    label_counts,
    label_scores,
    label_set_counts,
    label_set_scores,
    macro_f1,
    micro_f1,
)

LABELS = ["a", "b", "c", "d"]
ONE = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=30)
SETS = st.frozensets(st.sampled_from(LABELS))
SEVERAL = st.lists(st.tuples(SETS, SETS), min_size=1, max_size=30)


def or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


@settings(max_examples=30)
@given(ONE)
def test_one_label_a_text_is_scored_as_by_scikit_learn(pairs):
    gold, predicted = (list(side) for side in zip(*pairs, strict=True))
    scores = label_scores(gold, predicted)
    labels = list(scores.labels)
    assert labels == sorted({*gold, *predicted})
    assert scores.accuracy == pytest.approx(accuracy_score(gold, predicted))
    assert scores.macro_f1 == pytest.approx(f1_score(gold, predicted, average="macro", zero_division=np.nan))
    assert scores.micro_f1 == pytest.approx(f1_score(gold, predicted, average="micro")) == scores.accuracy
    confusion = label_scores(gold, predicted, LABELS).confusion
    assert (confusion == confusion_matrix(gold, predicted, labels=LABELS)).all()
    each = precision_recall_fscore_support(gold, predicted, labels=labels, zero_division=np.nan)
    for at, score in enumerate(scores.per_label.values()):
        theirs = [figure[at] for figure in each]
        ours = [or_nan(score.precision), or_nan(score.recall), or_nan(score.f1), score.gold]
        assert ours == pytest.approx(theirs, nan_ok=True)


@settings(max_examples=30)
@given(SEVERAL)
def test_several_labels_a_text_are_scored_as_by_scikit_learn(pairs):
    gold, predicted = (list(side) for side in zip(*pairs, strict=True))
    scores = label_set_scores(gold, predicted, LABELS)
    table = MultiLabelBinarizer(classes=LABELS)
    truth, guess = table.fit_transform(gold), table.transform(predicted)
    assert scores.accuracy == pytest.approx(accuracy_score(truth, guess))
    if truth.any() or guess.any():
        for average, ours in (("macro", scores.macro_f1), ("micro", scores.micro_f1)):
            assert ours == pytest.approx(f1_score(truth, guess, average=average, zero_division=np.nan))
    else:
        assert scores.macro_f1 is None and scores.micro_f1 is None


def test_a_label_that_never_occurs_is_named_and_left_out_of_the_mean():
    scores = label_scores(["a", "a", "b"], ["a", "c", "b"], ["a", "b", "c", "d"])
    assert (scores.absent, scores.never_gold, scores.never_predicted) == (("d",), ("c", "d"), ("d",))
    assert scores.per_label["d"].f1 is None
    assert scores.per_label["c"].f1 == 0.0 and scores.per_label["c"].recall is None
    assert scores.macro_f1 == pytest.approx((2 / 3 + 1 + 0) / 3)


@given(ONE)
def test_the_counts_of_each_text_add_up_to_the_figures(pairs):
    gold, predicted = (list(side) for side in zip(*pairs, strict=True))
    counts = label_counts(gold, predicted, LABELS)
    scores = label_scores(gold, predicted, LABELS)
    sums = counts.sum(0, dtype=int)
    assert [Score(*row) for row in sums.tolist()] == list(scores.per_label.values())
    stacked = np.stack([sums, 2 * sums])
    assert macro_f1(stacked) == pytest.approx([scores.macro_f1] * 2)
    assert micro_f1(stacked) == pytest.approx([scores.micro_f1] * 2)


def test_labels_named_twice_in_a_text_count_once():
    assert label_set_counts([["a", "a"]], [["a", "b", "b"]], ["a", "b"]).tolist() == [[[1, 1, 1], [0, 1, 0]]]


@pytest.mark.parametrize(
    ("gold", "predicted", "labels", "said"),
    [
        (["a"], ["a", "b"], None, "2 predictions for 1 gold items"),
        ([], [], None, "nothing to score"),
        (["positive"], ["positiv"], ["positive", "negative"], "did you mean 'positive'"),
        (["x"], ["a"], ["a"], "the gold label 'x'"),
    ],
)
def test_what_cannot_be_scored_is_said(gold, predicted, labels, said):
    with pytest.raises(TextError, match=said):
        label_scores(gold, predicted, labels)
    with pytest.raises(TextError, match=said):
        label_set_scores([[g] for g in gold], [[p] for p in predicted], labels)
