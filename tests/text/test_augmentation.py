"""Augmentation: the words of a text, some gone, swapped or replaced; negations stay, and nothing is left empty."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from inkstone.errors import RecipeError
from inkstone.text.augmentation import Pieces, delete_words, is_negation, replace_words, swap_words, variants

texts = st.lists(
    st.sampled_from(["ink", "stone", "brush", "not", "paper", "grind", "no", "water", "墨", "砚台", "不", "slowly"]),
    min_size=1,
    max_size=14,
).map(" ".join)


@settings(max_examples=60)
@given(texts, st.integers(0, 9))
def test_deleting_and_swapping_take_words_only_and_leave_negations(text, seed):
    pieces, generator = Pieces.of(text), np.random.default_rng(seed)
    assert pieces.text() == text
    fewer = delete_words(pieces, 0.5, generator)
    assert fewer.words and not Counter(fewer.words) - Counter(pieces.words)
    assert sum(map(is_negation, fewer.words)) == sum(map(is_negation, pieces.words)) or len(fewer.words) == 1
    moved = swap_words(pieces, 0.3, generator)
    assert Counter(moved.words) == Counter(pieces.words)
    assert all(a == b for a, b in zip(pieces.words, moved.words, strict=True) if is_negation(a))


def test_a_word_gives_way_to_its_neighbour_in_its_capitals():
    near = {"stone": ["rock"], "ink": ["paint"]}
    changed = replace_words(
        Pieces.of("Stone and ink, not water."), 0.9, lambda w: near.get(w.lower(), []), np.random.default_rng(0)
    )
    assert changed.text() == "Rock and paint, not water."


def test_variants_differ_from_the_text_and_each_other_and_are_drawn_from_the_generator():
    text = "Grind the ink slowly with a little water on the stone."
    found = variants(text, 4, np.random.default_rng(3))
    assert len({text, *found}) == 5
    assert found == variants(text, 4, np.random.default_rng(3))
    assert found != variants(text, 4, np.random.default_rng(4))
    assert variants("不", 3, np.random.default_rng(0)) == []
    with pytest.raises(RecipeError, match="share"):
        variants(text, 1, np.random.default_rng(0), share=1.0)
