"""TF–IDF rows against scikit-learn's TfidfVectorizer on the same n-grams, and the blocks of pairs."""

import itertools

import numpy as np
import pytest

from inkstone.errors import RecipeError, TextError
from inkstone.text.ngram_rows import SHARED, NgramRows, are_pairs
from inkstone.text.ngrams import NgramSettings
from inkstone.text.words import words

TEXTS = [
    "The ink is good, the stone is not.",
    "Good ink! Good ink! Good INK!",
    "",
    "墨好，砚台不好。",
    "好墨不如好砚 with iPhone pictures",
    "the stone, the stone and the brush",
]


def analyse(text: str) -> list[str]:
    import re

    runs = re.findall("[\u4e00-\u9fff]+", text)
    inside = words(re.sub("[\u4e00-\u9fff]+", " ", text.lower()))
    found = [run[at : at + n] for run in runs for n in (1, 2, 3) for at in range(len(run) - n + 1)]
    return found + inside + [f"{a} {b}" for a, b in itertools.pairwise(inside)]


@pytest.mark.parametrize("fewest", [1, 2])
def test_rows_are_those_of_scikit_learn(fewest):
    sklearn = pytest.importorskip("sklearn.feature_extraction.text")
    peer = sklearn.TfidfVectorizer(analyzer=analyse, sublinear_tf=True, min_df=fewest)
    theirs = peer.fit_transform(TEXTS).toarray()
    rows, learned = NgramRows.learn(TEXTS, NgramSettings(fewest=fewest))
    order = [peer.vocabulary_[name] for name in rows.names()]
    assert sorted(order) == list(range(theirs.shape[1]))
    np.testing.assert_allclose(learned.dense(), theirs[:, order], atol=1e-12)
    new = ["good paper and good ink", "砚台好不好", "nothing that is known"]
    np.testing.assert_allclose(rows(new).dense(), peer.transform(new).toarray()[:, order], atol=1e-12)


def test_letters_are_those_of_scikit_learn_beside_the_words():
    sklearn = pytest.importorskip("sklearn.feature_extraction.text")
    texts = ["the ink, the inkwell", "unwell", "drøm, дом and inks"]
    peer = sklearn.TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True)
    theirs = peer.fit_transform([text.replace(",", "") for text in texts]).toarray()
    rows, learned = NgramRows.learn(texts, NgramSettings(words=1, characters=0, letters=4))
    first = rows.index.first_letters
    letters, table = rows.names()[first:], learned.dense()
    assert sorted(letters) == sorted(peer.vocabulary_)
    order = [peer.vocabulary_[name] for name in letters]
    np.testing.assert_allclose(table[:, first:] * np.sqrt(2), theirs[:, order], atol=1e-12)
    np.testing.assert_allclose((table[:, :first] ** 2).sum(axis=1), 0.5)
    new = rows(["inkwells 墨 한"]).dense()[0]
    known = {name for name, value in zip(rows.names(), new, strict=True) if value}
    assert {" ink", "well", "ls"} & known == {" ink", "well"} and "s " in known


@pytest.mark.parametrize("letters", [1, 6, -1])
def test_letters_that_make_no_ngrams_are_refused(letters):
    with pytest.raises(RecipeError, match="letters = "):
        NgramSettings(letters=letters)


def test_a_pair_is_a_row_of_its_sides_of_both_and_of_what_they_share():
    pairs = [("ink and stone", "stone and paper"), ("墨好", "墨砚"), ("ink", "ink")]
    rows, learned = NgramRows.learn(pairs, NgramSettings())
    table, names = learned.dense(), rows.names()
    assert table.shape == (3, rows.width) == (3, len(names))
    seen = [{name for name, value in zip(names, row, strict=True) if value} for row in table]
    assert {name for name in seen[1] if name not in SHARED} == {
        *("first: 墨", "first: 好", "first: 墨好", "second: 墨", "second: 砚", "second: 墨砚", "both: 墨")
    }
    np.testing.assert_allclose(table[:, -3:], [[1 / 2, 2 / 3, 2 / 3], [1 / 3, 1 / 2, 1 / 2], [1, 1, 1]])
    sides = [np.array([name.startswith(f"{side}: ") for name in names]) for side in ("first", "second", "both")]
    for side in sides:
        np.testing.assert_allclose(np.linalg.norm(table[:, side], axis=1), 1)
    singles, first = NgramRows.learn([a for a, _ in pairs], NgramSettings())
    of = {name: number for number, name in enumerate(names)}
    np.testing.assert_allclose(first.dense(), table[:, [of[f"first: {name}"] for name in singles.names()]])


def test_words_that_were_never_seen_count_as_shared_but_not_in_a_length():
    rows, _ = NgramRows.learn([("ink", "stone"), ("brush", "ink")], NgramSettings())
    table = rows([("ink Duanzhou", "Duanzhou paper"), ("stone", "ink")]).dense()
    np.testing.assert_allclose(table[0, -3:], [1 / 3, 1 / 2, 1 / 2])
    assert table[0, rows.names().index("first: ink")] == 1
    assert not table[1, [rows.names().index("first: stone")]].any()  # no first text had it: there is no idf for it
    assert rows([]).dense().shape == (0, rows.width)


def test_texts_and_pairs_do_not_mix():
    assert are_pairs([("a", "b")]) and not are_pairs(["a"]) and not are_pairs([])
    for wrong, message in ((["a", ("b", "c")], "text 2 and text 1"), ([("a", "b", "c")], "text 1 has 3 parts")):
        with pytest.raises(TextError, match=message):
            NgramRows.learn(wrong, NgramSettings())
    rows, _ = NgramRows.learn(["ink"], NgramSettings())
    with pytest.raises(TextError, match="learned from single texts"):
        rows([("a", "b")])
    rows, _ = NgramRows.learn([("a", "b")], NgramSettings())
    with pytest.raises(TextError, match="learned from pairs"):
        rows(["ink"])
