"""The model of excerpts: its minimum against the sums written out, what it learns, its folders, what it refuses."""

from collections import Counter

import numpy as np
import pytest

from inkstone.errors import CheckpointError, RunError, TextError
from inkstone.models.excerpts import FEWEST, TAU, Excerpts, fit
from inkstone.text.stretches import SIDES, Stretches

COLOURS, THINGS = ("black", "white", "red", "green"), ("ink", "stone", "paper", "brush", "seal")
LONGEST = 4


def stories(number, seed):
    """Texts, and the worth of each stretch: how many of the two words after "that" it has, less what else it has."""
    draw = np.random.default_rng(seed)
    texts, worths, right = [], [], []
    for _ in range(number):
        wanted = f"{draw.choice(COLOURS)} {draw.choice(THINGS)}"
        text = Stretches.of(f"We saw a {draw.choice(THINGS)}. Mark that {wanted} is here. Nobody spoke.", LONGEST)
        own = [set(text.words(at).split()) for at in range(len(text))]
        texts.append(text)
        worths.append(np.array([2 * len(words & set(wanted.split())) / (2 + len(words)) for words in own]))
        right.append(wanted)
    return texts, worths, right


TEXTS, WORTHS, _ = stories(60, 0)


@pytest.fixture(scope="module")
def model() -> Excerpts:
    return fit(TEXTS, WORTHS, LONGEST)


def test_it_finds_in_new_texts_what_it_has_seen_the_place_of(model):
    texts, _, right = stories(40, 1)
    told = [model.best(text.text)[0][0] for text in texts]
    assert np.mean([one == other for one, other in zip(told, right, strict=True)]) > 0.9
    chances = model.log_chances(texts[0])
    assert np.exp(chances).sum() == pytest.approx(1, abs=1e-5)
    (first, chance), second = model.best(texts[0].text, 2)
    assert chance == pytest.approx(chances.max()) and second[1] <= chance and first != second[0]
    assert model.best("...") == []


def test_the_minimum_is_that_of_the_formula():
    """Where the gradient is zero, w = C Σ (q − p) · how often the feature stands in the stretch."""
    texts, worths = TEXTS[:8], WORTHS[:8]
    model = fit(texts, worths, LONGEST, c=0.5, evaluations=400)
    gradient: dict[str, Counter] = {side: Counter() for side in SIDES}
    lengths = np.zeros(LONGEST + 1)
    for text, worth in zip(texts, worths, strict=True):
        q = np.exp(worth / TAU) / np.exp(worth / TAU).sum()
        for number, share in enumerate((q - np.exp(model.log_chances(text))).tolist()):
            i, j = int(text.first[number]), int(text.last[number])
            lengths[int(text.lengths[number])] += share
            for side, units in (("first", [i]), ("last", [j]), ("inside", range(i, j + 1))):
                for name in (name for unit in units for name in text.features[side][unit]):
                    gradient[side][name] += share
    np.testing.assert_allclose(model.lengths.numpy(), 0.5 * lengths, atol=2e-3)
    for side in SIDES:
        found = Counter(name for text in texts for unit in text.features[side] for name in unit)
        assert set(model.names[side]) == {name for name, times in found.items() if times >= FEWEST}
        own = [model.weights[side][at].item() for at in model.names[side].values()]
        np.testing.assert_allclose(own, [0.5 * gradient[side][name] for name in model.names[side]], atol=2e-3)
        assert model.weights[side][0] == 0


def test_a_folder_holds_all_of_it(model, tmp_path):
    model.save(tmp_path / "a")
    again = Excerpts.load(tmp_path / "a")
    np.testing.assert_array_equal(again.log_chances(TEXTS[0]), model.log_chances(TEXTS[0]))
    fit(TEXTS[:30], WORTHS[:30], LONGEST).save(tmp_path / "b")
    (tmp_path / "b" / "features.json").replace(tmp_path / "a" / "features.json")
    with pytest.raises(CheckpointError, match="not equally many"):
        Excerpts.load(tmp_path / "a")
    (tmp_path / "a" / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(CheckpointError, match="damaged"):
        Excerpts.load(tmp_path / "a")
    (tmp_path / "a" / "config.json").write_text('{"model_type": "other"}')
    with pytest.raises(RunError, match="no model of excerpts"):
        Excerpts.load(tmp_path / "a")


def test_texts_without_words_are_refused():
    empty = Stretches.of("...", LONGEST)
    with pytest.raises(TextError, match="nothing to learn"):
        fit([empty], [np.zeros(0)], LONGEST)
    fit([empty, *TEXTS[:2]], [np.zeros(0), *WORTHS[:2]], LONGEST)
