"""ROUGE equals the package rouge-score on English; Chinese is counted by hand."""

import json
import lzma
from functools import cache

import numpy as np
import pytest
import regex
from hypothesis import given, strategies as st
from nltk.stem.porter import PorterStemmer
from rouge_score.rouge_scorer import RougeScorer

from inkstone.errors import MissingExtraError, TextError
from inkstone.evaluation import rouge_tokens as tokens_file
from inkstone.evaluation.intervals import figure_interval, ratio
from inkstone.evaluation.rouge import RougeScore, rouge_score, rouge_scores
from inkstone.evaluation.rouge_tokens import rouge_tokens

KINDS = {"ROUGE-1": "rouge1", "ROUGE-2": "rouge2", "ROUGE-L": "rougeL", "ROUGE-Lsum": "rougeLsum"}
NOTHING = RougeScore(0.0, 0.0, 0.0)
WHOLE = RougeScore(1.0, 1.0, 1.0)
PIECES = [
    *(
        "the",
        "The",
        "ink",
        "inks",
        "stones",
        "running",
        "ran",
        "generalizations",
        "U.S.",
        "don’t",
        "naïve",
        "3.5",
        "x-y",
    ),
    *(".", ",", "—", "β", "\n", "\n\n", "\r\n", "\r", "\u2028", "\t", "_", "İ", "ﬁne", "Чернила", "dying", "sky"),
]
ENGLISH = st.one_of(
    st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join),
    st.text(st.characters(max_codepoint=0x24F), max_size=60),
)


@cache
def package(stem: bool) -> RougeScorer:
    return RougeScorer(list(KINDS.values()), use_stemmer=stem)


def theirs(text: str, references: list[str], stem: bool = False) -> dict[str, RougeScore]:
    found = package(stem).score_multi(references, text)
    return {kind: RougeScore(*map(float, found[name])) for kind, name in KINDS.items()}


@given(ENGLISH, st.lists(ENGLISH, min_size=1, max_size=3), st.booleans())
def test_equals_rouge_score_on_english(text, references, stem):
    assert rouge_score(text, references, list(KINDS), stem=stem) == theirs(text, references, stem)


@pytest.mark.data
def test_equals_rouge_score_on_summaries_of_papers(data_mirror):
    with lzma.open(data_mirror / "summ-scitldr-a" / "dev.jsonl.xz", "rt", encoding="utf-8") as lines:
        papers = [json.loads(line) for line, _ in zip(lines, range(60), strict=False)]
    for paper in papers:
        text = "\n".join(paper["source"])
        for stem in (False, True):
            assert rouge_score(text, paper["target"], list(KINDS), stem=stem) == theirs(text, paper["target"], stem)


@given(ENGLISH)
def test_a_text_is_the_best_summary_of_itself(text):
    found = rouge_score(text, [text], list(KINDS))
    own = rouge_tokens(text)
    expected = {kind: WHOLE if len(own) > (kind == "ROUGE-2") else NOTHING for kind in KINDS}
    assert found == expected


def test_chinese_is_counted_by_characters():
    # 端 砚 产 于 广 东 肇 庆 beside 肇 庆 出 产 端 砚: six of them shared, the pairs 端砚 and 肇庆, and in order two
    found = rouge_score("端砚产于广东肇庆。", ["肇庆出产端砚！"], list(KINDS))
    assert (found["ROUGE-1"].precision, found["ROUGE-1"].recall) == (5 / 8, 5 / 6)
    assert (found["ROUGE-2"].precision, found["ROUGE-2"].recall) == (2 / 7, 2 / 5)
    assert (found["ROUGE-L"].precision, found["ROUGE-L"].recall) == (2 / 8, 2 / 6)
    assert found["ROUGE-L"].f1 == pytest.approx(2 * 2 / (8 + 6))


def test_latin_words_and_numbers_inside_chinese_stay_whole():
    # 用 bert 做 2 类 beside 用 bert 分 2 类: 4 of 5, the pairs 用bert and 2类
    found = rouge_score("用BERT做2类", ["用ＢＥＲＴ分２类"], list(KINDS))
    assert found["ROUGE-1"] == found["ROUGE-L"] == found["ROUGE-Lsum"]
    assert found["ROUGE-1"].f1 == pytest.approx(4 / 5)
    assert found["ROUGE-2"].f1 == pytest.approx(2 / 4)


def test_lines_of_a_chinese_summary_may_stand_in_another_order():
    text, reference = "墨出徽州\n砚出端溪", "砚出端溪\n墨出徽州"
    found = rouge_score(text, [reference], ["ROUGE-L", "ROUGE-Lsum"])
    assert found["ROUGE-Lsum"] == WHOLE
    assert found["ROUGE-L"].f1 == 4 / 8  # of one text only one of the two lines is in order


def test_nothing_but_a_line_feed_ends_a_line():
    halves = {end: rouge_score("b a", [f"a{end}b"], ["ROUGE-Lsum"])["ROUGE-Lsum"].f1 for end in ("\n", "\r", "\u2028")}
    assert halves == {"\n": 1.0, "\r": 0.5, "\u2028": 0.5}


def test_of_several_references_the_best_counts_for_each_kind_by_itself():
    found = rouge_score("砚墨纸笔", ["笔纸墨砚", "砚墨"], ["ROUGE-1", "ROUGE-L"])
    assert found["ROUGE-1"] == WHOLE  # of the first
    assert found["ROUGE-L"] == RougeScore(0.5, 1.0, 2 / 3)  # of the second


@pytest.mark.parametrize("text", ["", " \n", "。……", "!?", "\n\n"])
def test_nothing_scores_nothing(text):
    for pair in ((text, "砚"), ("砚", text), (text, text)):
        assert set(rouge_score(pair[0], [pair[1]], list(KINDS)).values()) == {NOTHING}


def test_scores_of_many_texts_have_their_intervals():
    texts, references = ["砚台", "墨", "a b", "a", "纸", "笔"], [["砚"], ["墨"], ["a b", "c"], ["b"], ["纸张"], ["笔"]]
    scores = rouge_scores(texts, references)
    singly = [rouge_score(*pair)["ROUGE-1"] for pair in zip(texts, references, strict=True)]
    assert scores.each["ROUGE-1"].tolist() == [[own.precision, own.recall, own.f1] for own in singly]
    statistics = scores.statistics("ROUGE-1")
    assert ratio(statistics.sum(0)) == pytest.approx(scores.mean("ROUGE-1").f1) == np.mean([own.f1 for own in singly])
    low, high = figure_interval(statistics, ratio, generator=np.random.default_rng(0))
    assert 0 <= low < scores.mean("ROUGE-1").f1 < high <= 1


def test_other_letters_belong_to_words_only_where_that_is_wanted():
    assert rouge_tokens("naïve façades") == ["na", "ve", "fa", "ades"]
    assert rouge_tokens("Naïve Façades хорошо हिन्दी", letters="all") == ["naïve", "façades", "хорошо", "हिन्दी"]
    assert rouge_score("Тушь хорошая", ["хорошая тушь"])["ROUGE-1"] == NOTHING
    assert rouge_score("Тушь хорошая", ["хорошая тушь"], letters="all")["ROUGE-1"] == WHOLE


@pytest.mark.parametrize("letters", ["a-z", "all"])
def test_characters_of_scripts_without_blanks_stand_alone(letters):
    assert rouge_tokens("墨汁が々ある・ノート、〇๕ไทย", letters=letters) == list("墨汁が々あるノート〇๕ไทย")


def test_all_chinese_characters_are_known():
    han = regex.compile(r"(?V1)[\p{Han}&&[\p{L}\p{N}]]")
    codes = [*range(0x3000, 0x10000), *range(0x20000, 0x40000)]
    characters = [character for character in map(chr, codes) if han.match(character)]
    assert len(characters) > 90_000
    assert not [character for character in characters if rouge_tokens(character) != [character]]


def test_stems_are_those_of_porter_and_short_words_stay():
    assert rouge_tokens("Generalizations was dying", stem=True) == [
        PorterStemmer().stem("generalizations"),
        "was",
        "die",
    ]


def test_stems_without_nltk_name_the_way_to_it(monkeypatch):
    def missing():
        raise MissingExtraError("nltk", "rouge", "ROUGE over stems")

    monkeypatch.setattr(tokens_file, "_stemmer", missing)
    tokens_file._stem.cache_clear()
    with pytest.raises(MissingExtraError, match=r"inkstone\[rouge\]"):
        rouge_tokens("running", stem=True)


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(TextError, match="did you mean 'ROUGE-L"):
        rouge_score("a", ["a"], ["ROUGE-LS"])
    with pytest.raises(TextError, match="at least one"):
        rouge_score("a", [])
    with pytest.raises(TextError, match="at least one"):
        rouge_score("a", "a")
    with pytest.raises(TextError, match="2 predictions for 1"):
        rouge_scores(["a", "b"], [["a"]])
