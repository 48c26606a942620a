"""TextRank beside the eigenvector of the same graph written out; the limits of both kinds of summary."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from inkstone.text.extractive import DAMPING, lead, sentence_ranks, textrank
from inkstone.text.overlap import content_words

WORDS = ["ink", "stone", "paper", "brush", "the", "砚台", "端溪砚", "water", "mountain", "grind"]
SENTENCES = st.lists(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join), max_size=12)


def similarities(found: list[str]) -> np.ndarray:
    """The formula, pair by pair."""
    words = [content_words(sentence) for sentence in found]
    table = np.zeros((len(found), len(found)))
    for i, one in enumerate(words):
        for j, other in enumerate(words):
            if i != j and len(one) * len(other) > 1:
                table[i, j] = len(one & other) / (math.log(len(one)) + math.log(len(other)))
    return table


def moves(found: list[str]) -> np.ndarray:
    """Similarities of each column divided by their sum; columns of sentences that resemble none stay 0."""
    table = similarities(found)
    sums = table.sum(0)
    return table / np.where(sums > 0, sums, 1)


@given(SENTENCES)
def test_ranks_solve_their_equation(found):
    expected = np.linalg.solve(np.eye(len(found)) - DAMPING * moves(found), np.full(len(found), 1 - DAMPING))
    assert sentence_ranks(found) == pytest.approx(expected, abs=1e-6)


def test_ranks_are_the_eigenvector_of_page_rank():
    generator = np.random.default_rng(0)
    found = [" ".join(generator.choice(WORDS, size=generator.integers(3, 12))) for _ in range(40)]
    table = moves(found)
    assert (table.sum(0) > 0.99).all()
    values, vectors = np.linalg.eig(DAMPING * table + (1 - DAMPING) / len(found))
    first = np.argmax(values.real)
    assert values[first].real == pytest.approx(1)
    vector = vectors[:, first].real
    assert sentence_ranks(found) == pytest.approx(vector / vector.mean(), abs=1e-6)


def test_many_lengths_and_sentences():
    generator = np.random.default_rng(1)
    vocabulary = [f"word{chr(97 + number % 26)}{chr(97 + number // 26)}" for number in range(400)]
    found = [" ".join(generator.choice(vocabulary, size=size)) for size in generator.integers(1, 250, size=150)]
    expected = np.linalg.solve(np.eye(len(found)) - DAMPING * moves(found), np.full(len(found), 1 - DAMPING))
    assert sentence_ranks(found) == pytest.approx(expected, abs=1e-6)


def test_the_central_sentences_of_a_chinese_text_in_its_order():
    text = "今天下雨了。端砚产于广东肇庆的端溪。端溪的石头做成端砚。肇庆在广东。我去喝茶。端砚是广东的名砚。"
    assert textrank(text, 1) == ["端砚产于广东肇庆的端溪。"]
    assert textrank(text, 2) == ["端砚产于广东肇庆的端溪。", "端砚是广东的名砚。"]


def test_sentences_with_nothing_in_common_rank_alike():
    assert sentence_ranks(["ink", "paper brush", "", "the of"]) == pytest.approx([1 - DAMPING] * 4)
    assert textrank(["ink", "paper brush", "stone"], 2) == ["ink", "paper brush"]


def test_a_sentence_that_stands_twice_is_taken_once():
    found = ["ink and stone", "rain on rocks", "stone and water", "ink and stone"]
    assert textrank(found, 2) == ["ink and stone", "stone and water"]


def test_sentences_too_long_for_what_is_left_are_passed_over():
    found = ["ink", "grind the ink on the stone with water", "the stone, the water", "tea"]
    assert textrank(found, 1) == [found[1]]
    assert textrank(found, None, 25) == ["ink", "the stone, the water"]
    assert textrank(found, None, 2) == [found[1]]
    assert lead(found, None, 25) == ["ink"]


@pytest.mark.parametrize("summary", [lead, textrank])
@pytest.mark.parametrize("text", ["", " \n\n", "   "])
def test_nothing_has_no_summary(summary, text):
    assert summary(text) == []
    assert summary([text]) == []


@pytest.mark.parametrize("summary", [lead, textrank])
@given(SENTENCES, st.integers(0, 4) | st.none(), st.integers(0, 60) | st.none())
def test_a_summary_is_some_of_the_sentences_within_its_limits(summary, found, most_sentences, most_characters):
    kept = summary(found, most_sentences, most_characters)
    given_ = [sentence for sentence in found if sentence]
    rest = iter(given_)
    assert all(sentence in rest for sentence in kept)  # in their order
    assert bool(kept) == bool(given_)
    if len(kept) > 1:
        assert most_sentences is None or len(kept) <= most_sentences
        assert most_characters is None or sum(map(len, kept)) <= most_characters


def test_lead_cuts_a_text_by_itself():
    text = "Mr. Smith ground ink\nfor an hour. It dried.\n\nHe ground more."
    assert lead(text, 2) == ["Mr. Smith ground ink for an hour.", "It dried."]
    assert lead("他磨了墨，\n写了字。笔坏了。", 1) == ["他磨了墨，"]
    assert lead(text, None) == ["Mr. Smith ground ink for an hour.", "It dried.", "He ground more."]
