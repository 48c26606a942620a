"""The linear classifier: the solution that scikit-learn finds on the same features, saved and opened, and errors in words."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.linear_model import LogisticRegression

from inkstone.errors import RunError, TextError
from inkstone.models.linear_classifier import LinearClassifier, LinearSettings, choose_c, fit

WORDS = {
    "good": ["fine", "lovely", "好看", "great"],
    "bad": ["dull", "awful", "难看", "weak"],
    "odd": ["strange", "queer", "奇怪", "weird"],
}


def examples(n, labels=("good", "bad", "odd"), seed=0):
    draw = np.random.default_rng(seed)
    texts, given = [], []
    for at in range(n):
        label = labels[at % len(labels)]
        word = WORDS[label][draw.integers(4)] if draw.random() < 0.8 else WORDS[labels[(at + 1) % len(labels)]][0]
        texts.append(f"the film number {draw.integers(50)} is {word} in its way")
        given.append(label)
    return texts, given


@pytest.mark.parametrize("labels", [("good", "bad"), ("good", "bad", "odd")])
def test_the_probabilities_are_those_of_scikit_learn(labels):
    texts, given = examples(150, labels)
    ours = fit(texts, given, LinearSettings(c=2.0))
    rows = ours.rows(texts)
    x = scipy.sparse.csr_matrix((rows.values, rows.columns, rows.begins), shape=(len(rows), rows.width))
    theirs = LogisticRegression(C=2.0, max_iter=5000, tol=1e-9).fit(x, given)
    assert list(theirs.classes_) == ours.labels
    np.testing.assert_allclose(ours.predict_proba(texts), theirs.predict_proba(x), atol=3e-3)


def test_several_labels_are_regressions_of_their_own():
    texts, given = examples(90)
    sets = [[label] if n % 3 else [label, "all"] for n, label in enumerate(given)]
    model = fit(texts, sets)
    alone = fit(texts, ["all" if "all" in names else "none" for names in sets])
    at = alone.labels.index("all")
    np.testing.assert_allclose(
        model.predict_proba(texts)[:, model.labels.index("all")], alone.predict_proba(texts)[:, at], atol=2e-3
    )


def test_it_learns_says_why_and_comes_back_from_the_disk(tmp_path):
    texts, given = examples(200)
    model = fit(texts, given, LinearSettings(c=choose_c(texts, given, seed=0)))
    fresh, gold = examples(100, seed=7)
    assert np.mean([a == b for a, b in zip(model.predict(fresh), gold, strict=True)]) > 0.7
    assert any(
        "dull" in name or "awful" in name or "难" in name or "weak" in name for name, _ in model.top_features("bad", 5)
    )
    model.save(tmp_path / "linear")
    again = LinearClassifier.load(tmp_path / "linear")
    np.testing.assert_array_equal(again.predict_proba(fresh), model.predict_proba(fresh))
    (tmp_path / "linear" / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RunError):
        LinearClassifier.load(tmp_path / "linear")


def test_pairs_are_told_apart_by_their_sides():
    pairs = [("ink", "stone") if n % 2 else ("stone", "ink") for n in range(40)]
    model = fit(pairs, [str(n % 2) for n in range(40)])
    assert model.predict(pairs[:4]) == ["0", "1", "0", "1"]


def test_nothing_to_tell_apart_is_refused():
    with pytest.raises(TextError):
        fit(["a", "b"], ["x", "x"])
    with pytest.raises(TextError, match="2 texts but 1"):
        fit(["a", "b"], ["x"])
    with pytest.raises(TextError, match="there is no label"):
        fit(["a", "b"], ["x", "y"]).top_features("z")
