"""Augmentation: what each operation keeps and changes, in English and Chinese, and that nothing comes out empty."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, strategies as st

from inkstone.errors import RecipeError, TextError
from inkstone.text.augmentation import (
    Pieces,
    augmented,
    delete_words,
    is_negation,
    replace_words,
    swap_words,
    variants,
)
from inkstone.text.words import words

ENGLISH = "The old brush, which nobody used, writes fine lines on the paper; it isn't broken."
CHINESE = "这方砚台的石质很好，但是盖子坏了，没有人会修。"
NEAR = {"brush": ["pen", "quill"], "lines": ["strokes"], "paper": ["silk", "paper"], "砚台": ["墨盒"], "盖子": ["罩子"]}
TEXTS = st.one_of(
    st.text(max_size=60), st.text(alphabet="ab ,.'\n墨砚不好A", max_size=40), st.sampled_from([ENGLISH, CHINESE])
)
SHARES = st.floats(0.01, 0.99)


def near(word: str) -> list[str]:
    return NEAR.get(word, [])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(TEXTS)
def test_the_pieces_of_a_text_are_its_words_and_make_it_again(text):
    pieces = Pieces.of(text)
    assert list(pieces.words) == words(text) and len(pieces.gaps) == len(pieces.words) + 1
    rebuilt = pieces.text()
    assert rebuilt.replace(" ", "") == text.replace(" ", "") and len(rebuilt) >= len(text)


@pytest.mark.parametrize("text", [ENGLISH, CHINESE, "用iPhone拍照", " one\n\ntwo ", "", "!?"])
def test_usual_texts_come_back_as_they_are(text):
    assert Pieces.of(text).text() == text


@given(TEXTS, SHARES, st.integers(0, 99))
def test_deletion_leaves_some_of_the_words_in_their_order(text, share, seed):
    before = Pieces.of(text)
    after = delete_words(before, share, rng(seed))
    assert len(after.gaps) == len(after.words) + 1
    rest = iter(before.words)
    assert all(word in rest for word in after.words)  # a subsequence
    assert bool(after.words) == bool(before.words)
    assert [word for word in after.words if is_negation(word)] == [word for word in before.words if is_negation(word)]


@given(TEXTS, SHARES, st.integers(0, 99))
def test_swapping_keeps_every_word_and_what_stands_between(text, share, seed):
    before = Pieces.of(text)
    after = swap_words(before, share, rng(seed))
    assert Counter(after.words) == Counter(before.words) and after.gaps == before.gaps
    for old, new in zip(before.words, after.words, strict=True):
        assert is_negation(old) == is_negation(new)


@given(TEXTS, SHARES, st.integers(0, 99))
def test_replacing_changes_as_many_words_as_asked_to_neighbours_of_theirs(text, share, seed):
    before = Pieces.of(text)
    after = replace_words(before, share, near, rng(seed))
    changed = [(old, new) for old, new in zip(before.words, after.words, strict=True) if old != new]
    assert len(changed) <= max(1, np.ceil(share * len(before.words))) and after.gaps == before.gaps
    assert all(new in NEAR[old] for old, new in changed)


@given(TEXTS, SHARES, st.integers(0, 6), st.integers(0, 99))
def test_variants_are_other_texts_with_words(text, share, number, seed):
    made = variants(text, number, rng(seed), share=share, neighbours=near)
    assert len(made) <= number and len({text, *made}) == 1 + len(made)
    assert all(words(variant) for variant in made)
    assert made == variants(text, number, rng(seed), share=share, neighbours=near)


def test_each_word_is_deleted_with_the_given_probability():
    pieces = Pieces.of(" ".join(f"w{number}" for number in range(2000)))
    generator = rng()
    left = np.mean([len(delete_words(pieces, 0.3, generator).words) / 2000 for _ in range(20)])
    assert abs(left - 0.7) < 0.01


def test_of_a_text_all_of_whose_words_would_go_one_stays():
    pieces = Pieces.of("ink stone brush")
    stayed = {delete_words(pieces, 0.9999, rng(seed)).words for seed in range(60)}
    assert stayed == {("ink",), ("stone",), ("brush",)}


def test_the_number_of_swaps_and_replacements_is_the_share_of_the_words():
    pieces = Pieces.of(" ".join(f"w{number}" for number in range(40)))
    moved = sum(a != b for a, b in zip(pieces.words, swap_words(pieces, 0.1, rng()).words, strict=True))
    assert 5 <= moved <= 8  # four swaps, some of one word twice
    replaced = replace_words(pieces, 0.1, lambda word: [f"{word}x"], rng())
    assert sum(a != b for a, b in zip(pieces.words, replaced.words, strict=True)) == 4


def test_deletion_leaves_no_doubled_blank_or_comma():
    text = Pieces.of("Ink, stone, brush and paper.")
    assert text.without({1}).text() == "Ink, brush and paper."
    assert text.without({0}).text() == "stone, brush and paper."
    assert text.without({4}).text() == "Ink, stone, brush and."
    assert Pieces.of("好，坏，行").without({1}).text() == "好，行"
    assert Pieces.of("用iPhone拍").without({1}).text() == "用拍"
    assert Pieces.of("ink砚stone").without({1}).text() == "ink stone"


def test_negations_and_function_words_are_never_replaced_and_capitals_stay():
    def always(word: str) -> list[str]:
        return ["pebble"]

    changed = replace_words(Pieces.of("The STONE is not the Stone of the stone"), 0.99, always, rng()).text()
    assert changed == "The PEBBLE is not the Pebble of the pebble"
    assert replace_words(Pieces.of("好 不"), 0.99, lambda word: ["不", "", "好"], rng()).text() == "好 不"


def test_neighbours_are_asked_in_lower_case_when_the_word_as_it_stands_is_not_known():
    assert replace_words(Pieces.of("Brush"), 0.5, near, rng()).text() in ("Pen", "Quill")


def test_word_vectors_give_neighbours():
    from inkstone.vectors.word_vectors import WordVectors

    vectors = WordVectors(["ink", "dye", "wall"], np.array([[1, 0.1], [1, 0.2], [-1, 0.5]], dtype=np.float32))

    def neighbours(word: str) -> list[str]:
        return [other for other, _ in vectors.neighbours(word, 1)] if word in vectors else []

    assert replace_words(Pieces.of("ink runs"), 0.9, neighbours, rng()).text() == "dye runs"


def test_examples_keep_their_labels():
    texts, labels = augmented([ENGLISH, "", CHINESE], [1, 2, 3], 3, rng(), share=0.2, neighbours=near)
    assert len(texts) == len(labels) == 9 and labels == [1] * 4 + [2] + [3] * 4
    assert texts[0] == ENGLISH and texts[4] == "" and texts[5] == CHINESE
    with pytest.raises(TextError, match="2 texts but 1 labels"):
        augmented(["a", "b"], [1], 1, rng())


@pytest.mark.parametrize("wrong", [dict(share=0.0), dict(share=1.0), dict(number=-1)])
def test_settings_that_cannot_hold_are_refused(wrong):
    with pytest.raises(RecipeError, match=next(iter(wrong))):
        variants("ink", wrong.pop("number", 1), rng(), **wrong)
