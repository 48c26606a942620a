"""Answers by words alone: it learns which runs answer which questions, and keeps to exact characters."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, strategies as st

from inkstone.tasks.answer import Question
from inkstone.tasks.answer_yardstick import FACTS, LexicalAnswers, kind_of, sentence_places

NAMES = ("Li Wen", "Wang Bo", "Zhao Ji", "Su Shi", "Mi Fu", "Huang Tingjian")


def made(number, seed=0):
    draw = np.random.default_rng(seed)
    found = []
    for at in range(number):
        year, name = str(draw.integers(1000, 1999)), NAMES[draw.integers(6)]
        context = f"Ink is black. Stone {at} was carved by {name} and sold in {year} again. Paper is white."
        for asked, answer in ((f"Who carved stone {at}?", name), (f"When was stone {at} sold?", year)):
            found.append(Question("", "", asked, context, ((answer, context.index(answer)),)))
    return found


def test_it_learns_that_who_asks_for_names_and_when_for_years():
    lexical = LexicalAnswers.fit(made(60), 200, np.random.default_rng(0))
    right = 0
    for example in made(20, seed=1):
        start, stop, confidence = lexical.answer(example.question, example.context)
        right += example.context[start:stop] == example.gold[0]
        assert 0 < confidence <= 1
    assert right >= 36  # of 40


def test_the_sentence_that_shares_most_is_looked_at():
    lexical = LexicalAnswers.fit(made(10), 200, np.random.default_rng(0))
    context = "端砚产于肇庆。歙砚产于婺源！洮砚产于临洮。"
    start, stop, _ = lexical.answer("歙砚产于哪里？", context)
    assert 7 <= start < stop <= 14


def test_the_same_seed_gives_the_same_weights_and_what_has_no_answer_teaches_nothing():
    one, other = (LexicalAnswers.fit(made(20), 200, np.random.default_rng(3)) for _ in range(2))
    assert (one.weights == other.weights).all() and one.weights.shape[1] == len(FACTS)
    silent = [Question("", "", "Who?", "Ink is black.", (), True)]
    assert not LexicalAnswers.fit(silent, 200, np.random.default_rng(0)).weights.any()


@pytest.mark.parametrize("context", ["", " \n", "。", "...", "x" * 5000, "砚" * 3000])
def test_any_context_gives_a_stretch_of_itself(context):
    start, stop, _ = LexicalAnswers.fit(made(5), 20, np.random.default_rng(0)).answer("谁?", context)
    assert 0 <= start <= stop <= len(context) and stop - start <= 20


@given(st.text(st.sampled_from('ab .!?。！\n\r”"')))
def test_sentences_hold_all_that_is_no_blank_in_order(text):
    places = sentence_places(text)
    assert "".join("".join(text[a:b].split()) for a, b in places) == "".join(text.split())
    assert all(b <= c for (_, b), (c, _) in pairwise(places))


def test_kinds_of_questions():
    kinds = {"How many are there?": "number", "共有多少回？": "number", "在哪一年建成？": "when", "In what year?": "when",
             "Who wrote it?": "who", "作者是誰？": "who", "位於何處？": "where", "Which?": "other"}  # fmt: skip
    assert {asked: kind_of(asked) for asked in kinds} == kinds
