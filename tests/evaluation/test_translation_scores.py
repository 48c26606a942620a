"""BLEU and chrF: the figures of sacrebleu, from sums over sentences; intervals, signatures, and its absence."""

import sys

import numpy as np
import pytest
import sacrebleu

from inkstone.errors import InkstoneError, TextError
from inkstone.evaluation import translation_scores
from inkstone.evaluation.intervals import figure_interval
from inkstone.evaluation.translation_scores import bleu, bleu_statistics, chrf, chrf_statistics, signatures

WORDS = [
    *["the", "ink", "is", "ground", "on", "a", "stone", "and", "brush", "waits", "Two", "men", "walk"],
    *",.!%",
    "3.14",
    "It's",
]
CHARACTERS = "墨在砚上磨，纸等着。两个人 walk 走路！3月"


def corpus(seed, number, tokens, between, most=14):
    """References, one to two each, and translations that share some of them."""
    draw = np.random.default_rng(seed)
    texts, references = [], []
    for _ in range(number):
        reference = [tokens[n] for n in draw.integers(len(tokens), size=draw.integers(0, most))]
        text = [token if draw.random() < 0.7 else tokens[draw.integers(len(tokens))] for token in reference]
        texts.append(between.join(text))
        references.append(between.join(reference))
    return texts, references


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("language", "tokens", "between"), [("de", WORDS, " "), ("zh", CHARACTERS, ""), ("ja", CHARACTERS, "")]
)
def test_they_are_those_of_sacrebleu(seed, language, tokens, between):
    texts, references = corpus(seed, 60, tokens, between)
    tokenize = {"de": "13a", "zh": "zh", "ja": "char"}[language]
    theirs = sacrebleu.BLEU(tokenize=tokenize).corpus_score(texts, [references]).score
    mine = bleu(bleu_statistics(texts, [[r] for r in references], language).sum(0))
    assert 100 * mine == pytest.approx(theirs, abs=1e-9) and theirs > 1
    theirs = sacrebleu.CHRF().corpus_score(texts, [references]).score
    assert 100 * chrf(chrf_statistics(texts, [[r] for r in references]).sum(0)) == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_they_are_those_of_sacrebleu_where_little_or_nothing_is_right(seed):
    """Few short sentences: no 4-grams, none right, nothing written at all."""
    texts, references = corpus(seed, 1 + seed % 3, WORDS, " ", most=6)
    texts = texts if seed % 4 else ["" for _ in texts]
    mine = bleu(bleu_statistics(texts, [[r] for r in references], "en").sum(0))
    assert 100 * mine == pytest.approx(sacrebleu.BLEU().corpus_score(texts, [references]).score, abs=1e-9)
    mine = chrf(chrf_statistics(texts, [[r] for r in references]).sum(0))
    assert 100 * mine == pytest.approx(sacrebleu.CHRF().corpus_score(texts, [references]).score, abs=1e-9)


def test_of_several_references_each_may_help():
    texts, first = corpus(1, 40, WORDS, " ")
    _, second = corpus(2, 40, WORDS, " ")
    pairs = [list(own) for own in zip(first, second, strict=True)]
    theirs = sacrebleu.BLEU().corpus_score(texts, [first, second]).score
    assert 100 * bleu(bleu_statistics(texts, pairs).sum(0)) == pytest.approx(theirs, abs=1e-9)
    theirs = sacrebleu.CHRF().corpus_score(texts, [first, second]).score
    assert 100 * chrf(chrf_statistics(texts, pairs).sum(0)) == pytest.approx(theirs, abs=1e-9)


def test_an_interval_holds_the_figure_and_narrows_with_more_sentences():
    widths = []
    for number in (40, 400):
        texts, references = corpus(3, number, WORDS, " ")
        statistics = bleu_statistics(texts, [[r] for r in references])
        low, high = figure_interval(statistics, bleu, generator=np.random.default_rng(0))
        assert low < bleu(statistics.sum(0)) < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_signatures_say_how_the_figures_were_come_by():
    told = signatures("zh")
    assert told["BLEU"].startswith("nrefs:1|case:mixed|eff:no|tok:zh|smooth:exp|version:")
    assert told["chrF"].startswith("nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:")
    assert "tok:13a" in signatures(None)["BLEU"] and "tok:char" in signatures("ja")["BLEU"]


def test_unequal_numbers_are_refused():
    with pytest.raises(TextError):
        bleu_statistics(["a"], [["a"], ["b"]])


def test_without_the_package_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    translation_scores._bleu.cache_clear()
    with pytest.raises(InkstoneError, match=r"pip install 'inkstone\[translate\]'"):
        bleu_statistics(["a"], [["a"]], "en")
    translation_scores._bleu.cache_clear()
