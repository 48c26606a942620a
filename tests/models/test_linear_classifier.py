"""The linear classifier: its answers against scikit-learn's, its folders, what it refuses, and real data."""

import lzma
from pathlib import Path

import numpy as np
import pytest

from inkstone.errors import CheckpointError, RecipeError, RunError, TextError
from inkstone.models import linear_classifier
from inkstone.models.linear_classifier import LinearClassifier, LinearSettings, choose_c, fit
from inkstone.text.ngram_rows import NgramRows

GOOD, BAD = ["fine", "lovely", "rich", "好", "漂亮"], ["dull", "poor", "broken", "坏", "难看"]
THINGS = ["ink", "stone", "brush", "paper", "砚台", "毛笔"]


def reviews(number: int = 200, seed: int = 0) -> tuple[list[str], list[str]]:
    """Two opinions, and undecided ones; in both languages."""
    draw = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(number):
        label = str(draw.choice(["good", "bad", "mixed"]))
        words = {"good": GOOD, "bad": BAD, "mixed": GOOD + BAD}[label]
        chosen = [str(word) for word in [*draw.choice(words, 3), *draw.choice(THINGS, 3)]]
        texts.append(" ".join(draw.permutation(chosen)))
        labels.append(label)
    return texts, labels


TEXTS, LABELS = reviews()
DECIDED = [(text, label) for text, label in zip(TEXTS, LABELS, strict=True) if label != "mixed"]
SEVERAL = [
    [kind for kind, words in (("praise", GOOD), ("blame", BAD)) if any(w in text for w in words)] for text in TEXTS
]


def two_labels() -> LinearClassifier:
    return fit([text for text, _ in DECIDED], [label for _, label in DECIDED])


def pairs() -> tuple[list[tuple[str, str]], list[str]]:
    """Whether the second says what the first says, in another order; and pairs of other words."""
    draw = np.random.default_rng(3)
    made, labels = [], []
    for number in range(200):
        mine = draw.permutation(THINGS + GOOD)[:4]
        theirs = (
            draw.permutation(mine) if number % 2 else draw.permutation([w for w in THINGS + GOOD if w not in mine])[:4]
        )
        made.append((" ".join(mine), " ".join(theirs)))
        labels.append("same" if number % 2 else "other")
    return made, labels


MODELS = {
    "two": two_labels,
    "three": lambda: fit(TEXTS, LABELS, LinearSettings(c=3.0, fewest=2)),
    "several": lambda: fit(TEXTS, SEVERAL),
    "pairs": lambda: fit(*pairs()),
    "letters": lambda: fit(TEXTS, LABELS, LinearSettings(letters=4, ratios=0.5)),
    "pairs by letters": lambda: fit(*pairs(), LinearSettings(letters=3)),
}


@pytest.fixture(scope="module", params=MODELS)
def model(request) -> LinearClassifier:
    return MODELS[request.param]()


def inputs(model: LinearClassifier) -> list:
    return pairs()[0][:20] if model.rows.pairs else [*reviews(20, seed=8)[0], "", "words never seen 从来没见过"]


@pytest.mark.parametrize("kind", ["two", "three", "several"])
def test_probabilities_are_those_of_scikit_learn(kind):
    peers = pytest.importorskip("sklearn.linear_model")
    model = MODELS[kind]()
    texts = [text for text, _ in DECIDED] if kind == "two" else TEXTS
    _, x = NgramRows.learn(texts, model.settings)
    new = model.rows(reviews(30, seed=5)[0])
    peer = peers.LogisticRegression(C=model.settings.c, tol=1e-8, max_iter=5000)
    if kind == "several":
        columns = [[name in labels for labels in SEVERAL] for name in model.labels]
        theirs = np.stack([peer.fit(x.dense(), column).predict_proba(new.dense())[:, 1] for column in columns], axis=1)
    else:
        theirs = peer.fit(x.dense(), [label for _, label in DECIDED] if kind == "two" else LABELS).predict_proba(
            new.dense()
        )
        assert model.labels == list(peer.classes_)
    np.testing.assert_allclose(model.predict_proba(reviews(30, seed=5)[0]), theirs, atol=1e-3)


def test_probabilities_are_there_for_any_text(model):
    chances = model.predict_proba(inputs(model))
    assert chances.shape == (len(inputs(model)), len(model.labels)) and ((chances > 0) & (chances < 1)).all()
    if not model.several:
        np.testing.assert_allclose(chances.sum(axis=1), 1)
        assert model.predict(inputs(model)) == [model.labels[best] for best in chances.argmax(axis=1)]
    alone = np.concatenate([model.predict_proba([text]) for text in inputs(model)])
    np.testing.assert_allclose(alone, chances, atol=1e-6)
    assert model.predict_proba([]).shape == (0, len(model.labels)) and model.predict([]) == []


def test_it_learns():
    texts, labels = reviews(60, seed=9)
    assert np.mean([a == b for a, b in zip(MODELS["three"]().predict(texts), labels, strict=True)]) > 0.8
    both = fit(TEXTS, SEVERAL).predict(["a fine stone, a dull brush", "ink and paper", "砚台漂亮"])
    assert (both[0], both[2]) == (["blame", "praise"], ["praise"])
    texts, labels = pairs()
    model = fit(texts[:150], labels[:150])
    assert model.predict(texts[150:]) == labels[150:]


def test_the_heaviest_words_of_a_label_are_those_that_speak_for_it():
    model = two_labels()
    best = {label: [name for name, _ in model.top_features(label, 5)] for label in model.labels}
    assert set(best["good"]) <= {*GOOD, "漂", "亮"} and set(best["bad"]) <= {*BAD, "难", "看"}
    weights = [weight for _, weight in model.top_features("good", 50)]
    assert weights == sorted(weights, reverse=True) and min(weights) > 0
    assert "shared of all" in [name for name, _ in fit(*pairs()).top_features("same", 3)]
    with pytest.raises(TextError, match=r"'fair'.*bad, good"):
        model.top_features("fair")


def test_a_folder_opens_again_with_the_same_answers(model, tmp_path):
    model.save(tmp_path / "yardstick")
    again = LinearClassifier.load(tmp_path / "yardstick")
    np.testing.assert_array_equal(again.predict_proba(inputs(model)), model.predict_proba(inputs(model)))
    assert again.settings == model.settings and again.top_features(again.labels[0]) == model.top_features(
        model.labels[0]
    )
    assert [path.name for path in tmp_path.iterdir()] == ["yardstick"]


@pytest.mark.parametrize("damage", ["config.json", "words.json", "model.safetensors"])
def test_a_damaged_folder_is_named(tmp_path, damage):
    two_labels().save(tmp_path / "yardstick")
    path = tmp_path / "yardstick" / damage
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(CheckpointError, match="yardstick"):
        LinearClassifier.load(tmp_path / "yardstick")


def test_files_of_two_classifiers_are_told_apart(tmp_path):
    two_labels().save(tmp_path / "one")
    MODELS["three"]().save(tmp_path / "other")
    (tmp_path / "other" / "model.safetensors").replace(tmp_path / "one" / "model.safetensors")
    with pytest.raises(CheckpointError, match="not of one classifier"):
        LinearClassifier.load(tmp_path / "one")


def test_a_folder_without_a_classifier_is_named(tmp_path):
    with pytest.raises(RunError, match=r"has no config\.json"):
        LinearClassifier.load(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "qwen3"}')
    (tmp_path / "words.json").write_text("{}")
    with pytest.raises(RunError, match="not a linear classifier"):
        LinearClassifier.load(tmp_path)


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        ([], [], "no text has a label"),
        (["a", "b"], ["x"], "2 texts but 1 labels"),
        (["a", "b"], ["x", "x"], "all 2 texts have the label 'x'"),
        (["a", "b"], [[], []], "no text has a label"),
        (["a", "b"], [["x"], "y"], "text 2 has the label 'y'"),
        (["a", ("b", "c")], ["x", "y"], "text 2 and text 1"),
    ],
)
def test_examples_that_teach_nothing_are_refused(texts, labels, message):
    with pytest.raises(TextError, match=message):
        fit(texts, labels)


def test_letters_tell_a_word_by_its_parts():
    texts = [f"{word}{end}" for word in ("walk", "talk", "jump", "look", "cook") for end in ("ing", "able", "less")]
    labels = [end for _ in range(5) for end in ("doing", "can", "not")]
    new, gold = ["drinkable", "singing", "endless"], ["can", "doing", "not"]
    assert fit(texts, labels, LinearSettings(letters=4)).predict(new) == gold
    assert len(set(fit(texts, labels).predict(new))) == 1  # words that were never seen


@pytest.mark.parametrize("ratios", [-0.5, 3.0, float("nan")])
def test_a_power_that_cannot_hold_is_refused(ratios):
    with pytest.raises(RecipeError, match="ratios = "):
        LinearSettings(ratios=ratios)


@pytest.mark.parametrize("c", [0.0, -1.0, float("inf"), float("nan")])
def test_a_c_that_cannot_hold_is_refused(c):
    with pytest.raises(RecipeError, match="c = "):
        LinearSettings(c=c)


def test_c_is_the_one_under_which_what_was_kept_aside_is_likeliest(monkeypatch):
    seen: list[str] = []
    chosen = choose_c(TEXTS, LABELS, candidates=(0.01, 1.0, 100.0), report=seen.append)
    nats = {float(line.split(" = ")[1].split(":")[0]): float(line.split(": ")[1].split()[0]) for line in seen}
    assert chosen == min(nats, key=lambda c: nats[c]) and len(nats) == 3 and chosen != 0.01
    assert chosen == choose_c(TEXTS, LABELS, candidates=(0.01, 1.0, 100.0))
    noise = ["bad" if number % 3 else "good" for number in range(len(TEXTS))]
    assert choose_c(TEXTS, noise, candidates=(0.001, 100.0)) == 0.001
    assert choose_c(TEXTS, SEVERAL, candidates=(0.01, 10.0)) == 10.0
    with pytest.raises(RecipeError, match="no candidate"):
        choose_c(TEXTS, LABELS, candidates=())


def test_c_is_chosen_on_examples_that_nothing_was_learned_from(monkeypatch):
    learned: list[set[str]] = []
    learn = NgramRows.learn

    def watched(texts, settings):
        learned.append(set(texts))
        return learn(texts, settings)

    monkeypatch.setattr(linear_classifier.NgramRows, "learn", watched)
    texts = [f"{text} number{row // 2}" for row, text in enumerate(TEXTS)]
    choose_c(texts, LABELS, candidates=(1.0,), groups=[row // 2 for row in range(len(texts))])
    (inner,) = learned
    assert abs(len(inner) - 0.8 * len(texts)) <= 4
    for first, second in zip(texts[::2], texts[1::2], strict=True):
        assert (first in inner) == (second in inner)


def labelled(path: Path, label_first: bool) -> tuple[list[str], list[str]]:
    lines = lzma.decompress(path.read_bytes()).decode().removesuffix("\n").split("\n")
    rows = [line.split("\t", 1) if label_first else line.rsplit("\t", 1)[::-1] for line in lines[label_first:]]
    return [row[1] for row in rows if len(row) == 2], [row[0] for row in rows if len(row) == 2]


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "label_first", "floor"), [("sentiment-sst2", False, 0.785), ("sentiment-chnsenticorp", True, 0.89)]
)
def test_real_opinions_are_told_as_scikit_learn_tells_them(data_mirror, name, label_first, floor):
    """On the dev parts, with the same n-grams: at least 99.5 % of the answers are the same, and as many are right."""
    peers = pytest.importorskip("sklearn.linear_model")
    sparse = pytest.importorskip("scipy.sparse")
    (texts, labels), (new, gold) = (
        labelled(data_mirror / name / f"{part}.tsv.xz", label_first) for part in ("train", "dev")
    )
    model = fit(texts, labels)
    _, x = NgramRows.learn(texts, model.settings)
    theirs = peers.LogisticRegression(C=model.settings.c, max_iter=1000)
    as_csr = lambda rows: sparse.csr_matrix((rows.values, rows.columns, rows.begins), (len(rows), rows.width))  # noqa: E731
    theirs.fit(as_csr(x), labels)
    ours, their = np.array(model.predict(new)), theirs.predict(as_csr(model.rows(new)))
    assert np.mean(ours == their) > 0.995
    assert abs(np.mean(ours == gold) - np.mean(their == gold)) < 0.003
    assert np.mean(ours == gold) > floor
