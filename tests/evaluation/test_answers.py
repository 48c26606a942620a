"""Answers are scored as the official scripts score them: SQuAD by torchmetrics, CMRC 2018 by its rules with NLTK's words."""

import json
import lzma
from functools import cache

import numpy as np
import pytest
from hypothesis import given, strategies as st
from nltk.tokenize.destructive import NLTKWordTokenizer
from torchmetrics.functional.text import squad

from inkstone.errors import TextError
from inkstone.evaluation.answer_segments import cmrc_characters, cmrc_segments, squad_words
from inkstone.evaluation.answers import answer_score, answer_scores, longest_run, no_answer_threshold

WORDS = st.lists(st.sampled_from(["ink", "Ink,", "the", "a", "stone", "U.S.", "—", "墨", "'s", "an"]), max_size=6)
ANSWERS = WORDS.map(" ".join)
MIXED = st.lists(
    st.sampled_from(
        [*"砚台墨，。《》…‘’“”-", "can", "not", "'s", "n't", " ", "1", ",", ".", '"', "(", ")", "%", "é", "Ink"]
    )
).map("".join)

SIGNS = set("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")  # what the script drops, sign by sign


@cache
def script_segments(text: str) -> tuple[str, ...]:
    """The script's segmentation written as it reads: one character after another, the rest by NLTK."""
    segments, rest = [], ""
    for character in text.lower().strip():
        if character in SIGNS:
            continue
        if "一" <= character <= "龥":
            segments += [*NLTKWordTokenizer().tokenize(rest), character]
            rest = ""
        else:
            rest += character
    return (*segments, *NLTKWordTokenizer().tokenize(rest))


def script_run(first, second) -> int:
    """The longest common run by the table of all pairs of places."""
    ending = np.zeros((len(first) + 1, len(second) + 1), dtype=int)
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            ending[i + 1, j + 1] = ending[i, j] + 1 if one == other else 0
    return int(ending.max())


def script_f1(answer: str, gold: list[str]) -> float:
    best = 0.0
    for other in gold:
        given_, wanted = script_segments(answer), script_segments(other)
        run = script_run(given_, wanted)
        if run:
            precision, recall = run / len(given_), run / len(wanted)
            best = max(best, 2 * precision * recall / (precision + recall))
    return best


@given(ANSWERS, st.lists(ANSWERS.filter(squad_words), min_size=1, max_size=3))
def test_english_answers_are_scored_as_by_torchmetrics(answer, gold):
    theirs = squad(
        {"prediction_text": answer, "id": "q"}, {"answers": {"answer_start": [0] * len(gold), "text": gold}, "id": "q"}
    )
    ours = answer_score(answer, gold)
    assert 100 * ours.exact == pytest.approx(float(theirs["exact_match"]))
    assert 100 * ours.f1 == pytest.approx(float(theirs["f1"]), rel=1e-5)


@given(MIXED)
def test_chinese_is_cut_as_by_the_script(text):
    assert tuple(cmrc_segments(text)) == script_segments(text)


@given(MIXED, st.lists(MIXED.filter(cmrc_segments), min_size=1, max_size=3))
def test_chinese_answers_are_scored_as_by_the_script(answer, gold):
    ours = answer_score(answer, gold, "cmrc")
    assert ours.f1 == pytest.approx(script_f1(answer, gold))
    plain = ["".join(c for c in text.lower().strip() if c not in SIGNS) for text in (answer, *gold)]
    assert ours.exact == (plain[0] in plain[1:])
    assert answer_score(answer, gold, "segments").f1 >= ours.f1 - 1e-12


@given(st.lists(st.sampled_from("abc"), max_size=7), st.lists(st.sampled_from("abc"), max_size=7))
def test_the_longest_run_is_that_of_trying_all(first, second):
    runs = {tuple(first[i:j]) for i in range(len(first)) for j in range(i + 1, len(first) + 1)}
    runs &= {tuple(second[i:j]) for i in range(len(second)) for j in range(i + 1, len(second) + 1)}
    assert longest_run(first, second) == script_run(first, second) == max(map(len, runs), default=0)


def test_every_sign_of_the_script_is_dropped_and_no_other():
    for code in (
        *range(0x21, 0x7F),
        *range(0xA0, 0x100),
        *range(0x2010, 0x2030),
        *range(0x3000, 0x3020),
        *range(0xFF00, 0xFFEF),
    ):
        character = chr(code)
        assert (cmrc_characters(f"a{character}b") == "ab") == (character in SIGNS), character


def test_figures_that_were_worked_out_by_hand():
    """红楼梦 in 《红楼梦》的作者: a run of 3 of 6 segments; 1791年 shares 1791 with 1791."""
    assert answer_score("《红楼梦》的作者", ["红楼梦"], "cmrc").f1 == pytest.approx(2 * 3 / 9)
    assert answer_score("于1791年", ["1791", "乾隆"], "cmrc").f1 == pytest.approx(2 * 1 / 4)
    swapped = [answer_score("台砚", ["砚台"], rule).f1 for rule in ("cmrc", "segments")]
    assert swapped == [0.5, 1.0]
    assert cmrc_characters("“Ink”, a·b") == "ink, ab"
    assert answer_score("The Ink", ["ink", "pen"]).exact == 1.0 and answer_score("ink pen", ["pen"]).f1 == 2 / 3


@pytest.mark.parametrize("rule", ["squad", "cmrc", "segments"])
def test_unanswerable_questions_want_the_empty_answer(rule):
    assert answer_score("", [], rule).exact == answer_score("", [], rule).f1 == 1.0
    assert answer_score("墨 ink", [], rule).exact == answer_score("墨 ink", [], rule).f1 == 0.0
    assert answer_score("", ["墨 ink"], rule).exact == answer_score("", ["墨 ink"], rule).f1 == 0.0


def test_the_means_with_and_without_an_answer():
    scores = answer_scores(["ink", "", "ink stone", "x"], [["ink"], [], ["stone"], []])
    assert (scores.questions, scores.exact, scores.f1) == (4, 0.5, pytest.approx((1 + 1 + 2 / 3 + 0) / 4))
    assert (scores.answerable, scores.answerable_exact, scores.answerable_f1) == (2, 0.5, pytest.approx(5 / 6))
    assert scores.unanswerable_right == 0.5 and [score.exact for score in scores.each] == [1, 1, 0, 0]
    assert answer_scores(["ink"], [["ink"]]).unanswerable_right is None


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.booleans()), min_size=1, max_size=12))
def test_the_threshold_is_the_best_of_all(questions):
    scores, no_answer, answerable = (np.array(column) for column in zip(*questions, strict=True))
    scores = scores / 4

    def mean(threshold: float) -> float:
        return float(np.where(no_answer > threshold, ~answerable, scores * answerable).mean())

    threshold, figure = no_answer_threshold(scores, no_answer.astype(float), answerable)
    assert figure == pytest.approx(mean(threshold))
    assert figure == pytest.approx(max(mean(level) for level in (-1, *no_answer)))


def test_what_is_refused():
    with pytest.raises(TextError, match="did you mean 'squad'"):
        answer_score("", [], "squat")
    with pytest.raises(TextError, match="2 predictions for 1 gold"):
        answer_scores(["a", "b"], [["a"]])


@pytest.mark.data
def test_real_answers_are_cut_and_scored_as_by_the_script(data_mirror):
    """Every fifth question of the trial part; the answer given is a stretch of text around the first gold one."""
    with lzma.open(data_mirror / "qa-cmrc2018/cmrc2018_trial.json.xz", "rt", encoding="utf-8") as file:
        articles = json.load(file)["data"]
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    questions = [(paragraph["context"], question) for paragraph in paragraphs for question in paragraph["qas"]][::5]
    differing = 0
    for context, question in questions:
        gold = [answer["text"] for answer in question["answers"]]
        at = context.find(gold[0])
        given_ = context[max(0, at - 3) : at + len(gold[0]) - 1]
        assert tuple(cmrc_segments(given_)) == script_segments(given_)
        score = answer_score(given_, gold, "cmrc")
        assert score.f1 == pytest.approx(script_f1(given_, gold))
        differing += 0 < score.f1 < 1
    assert len(questions) == 201 and differing > 150
