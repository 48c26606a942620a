"""The page of errors: well-formed, offline, in both languages; what stands in it is what was handed in."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest

from inkstone.errors import TextError
from inkstone.evaluation.error_page import (
    Case,
    ShownFigure,
    by_language,
    by_length,
    error_page,
    mix_ups,
    shown_confusion,
    worst_first,
    write_error_page,
)
from inkstone.evaluation.label_scores import label_scores
from inkstone.evaluation.phrases import LANGUAGES
from inkstone.evaluation.spans import span_scores

from .golden_facts import HOSTILE


def tree(html: str) -> ElementTree.Element:
    return ElementTree.fromstring(html.removeprefix("<!DOCTYPE html>\n"))


def words(element: ElementTree.Element, language: str) -> str:
    def seen(part: ElementTree.Element):
        if part.tag in ("style", "script") or part.get("class") in set(LANGUAGES) - {language}:
            return
        yield part.text or ""
        for child in part:
            yield from seen(child)
            yield child.tail or ""

    return re.sub(r"\s+", " ", " ".join(seen(element)))


def made(n: int = 60) -> tuple[list[Case], list[str], list[str]]:
    random = np.random.default_rng(0)
    gold = random.choice(["finance", "sports", "天气"], size=n).tolist()
    predicted = [g if random.random() < 0.7 else random.choice(["finance", "sports", "天气"]) for g in gold]
    cases = [
        Case(
            text=f"text {at} " + "word " * int(random.integers(1, 30)),
            gold=g,
            predicted=p,
            score=float(g == p),
            confidence=float(random.uniform(0.4, 1)),
            loss=float(random.exponential()),
            language="zh" if at % 3 else "en",
        )
        for at, (g, p) in enumerate(zip(gold, predicted, strict=True))
    ]
    return cases, gold, [str(p) for p in predicted]


def classifier_page(**rest) -> str:
    cases, gold, predicted = made()
    scores = label_scores(gold, predicted)
    return error_page(
        "news",
        cases,
        figures=[ShownFigure("accuracy", scores.accuracy, 0.5, 0.9), ShownFigure("my own", 0.25)],
        per_label=scores.per_label,
        confusion=(scores.labels, scores.confusion),
        **rest,
    )


def test_the_page_of_a_classifier_in_both_languages():
    page = tree(classifier_page())
    _, gold, predicted = made()
    wrong = sum(g != p for g, p in zip(gold, predicted, strict=True))
    english, chinese = words(page, "en"), words(page, "zh")
    assert re.search(rf"Of 60 texts, +{wrong} +were not wholly right", english)
    for part in ("accuracy", "0.500 – 0.900", "my own", "By language", "By length", "What is taken for what"):
        assert part in english, part
    for part in ("准确率", "按语言", "中文", "什么被当成了什么", "最差的例子", "按正确结果的损失"):
        assert part in chinese, part
    assert "最差的例子" not in english and "The worst cases" not in chinese


def test_the_confusion_is_shaded_by_the_share_of_the_row():
    _, gold, predicted = made()
    scores = label_scores(gold, predicted)
    page = tree(classifier_page())
    (table,) = [part for part in page.iter("div") if part.get("class") == "confusion"]
    rows = [[cell for cell in row.iter("td")] for row in table.find("table/tbody")]
    found = [[int((cell.text or "0").replace(",", "")) for cell in row] for row in rows]
    assert found == scores.confusion.tolist()
    for at, row in enumerate(rows):
        shares = [int(cell.get("style").removeprefix("--share:")) for cell in row]
        assert sum(shares) == pytest.approx(100, abs=2)
        assert ["right" in cell.get("class") for cell in row] == [column == at for column in range(3)]


def test_the_worst_come_first_and_the_rest_is_counted():
    cases, *_ = made()
    wrong = sorted((case for case in cases if case.score < 1), key=lambda case: -case.loss)
    page = tree(classifier_page(worst=5))
    shown = [part.find("p").text for part in page.iter("div") if part.get("class") == "case"]
    assert [text.strip() for text in shown] == [case.text.strip() for case in wrong[:5]]
    assert re.search(rf"Shown: +5 +of +{len(wrong)}", words(page, "en"))


def test_without_losses_the_surest_errors_come_first():
    cases = [Case("a", "x", "y", 0.5), Case("b", "x", "y", 0.0, 0.6), Case("c", "x", "y", 0.0, 0.9)]
    assert [case.text for case in worst_first(cases, by_loss=False)] == ["c", "b", "a"]


def test_the_page_of_a_tagger_and_of_an_answerer():
    scores = span_scores([[(0, 1, "PER")], [(1, 2, "LOC")]], [[(0, 1, "PER")], []])
    tagger = error_page("ner", [Case("a b", "LOC: b", "", 0.0, note="one span")], per_label=scores.per_label)
    english = words(tree(tagger), "en")
    assert "LOC: b" in english and "one span" in english and "taken for what" not in english
    answerer = words(tree(error_page("qa", [Case("问：谁？", "王羲之", "王", 0.5)] * 6)), "zh")
    assert "王羲之" in answerer and "得分" in answerer and "0.50" in answerer
    assert "By language" not in answerer and "按语言" not in answerer


def test_a_page_on_which_nothing_is_wrong():
    english = words(tree(error_page("fine", [Case("a", "x", "x", 1.0)])), "en")
    assert re.search("All +1 +texts were right", english) and "worst" not in english


def test_hostile_text_stays_text_and_nothing_comes_from_outside(tmp_path):
    case = Case(HOSTILE, HOSTILE, HOSTILE, 0.0, language=HOSTILE, note=HOSTILE)
    confusion = ([HOSTILE, "b"], np.array([[1, 2], [0, 1]]))
    scores = label_scores([HOSTILE, "b"], ["b", "b"]).per_label
    path = write_error_page(
        tmp_path / "errors.html", HOSTILE, [case] * 6,
        figures=[ShownFigure(HOSTILE, 0.5)], per_label=scores, confusion=confusion,
    )  # fmt: skip
    html = path.read_text(encoding="utf-8")
    parts = list(tree(html).iter())
    assert sum(part.tag == "script" for part in parts) == 1 and not any(part.tag == "img" for part in parts)
    assert not re.search(r"(?i)url\(|@import|<(link|iframe|object|embed|img|base|form)\b", re.sub("&lt;", "‹", html))
    assert "default-src 'none'" in html


def test_groups_of_length_hold_every_case_once():
    random = np.random.default_rng(0)
    for lengths in (
        [1] * 9,
        [1] * 8 + [5],
        [1] * 5 + [2] * 4,
        [*range(100)],
        [3, 1, 2],
        random.integers(1, 9, size=50).tolist(),
    ):
        cases = [Case("", "", "", 0.5, length=length) for length in lengths]
        groups = by_length(cases, random)
        if lengths in ([1] * 9, [1] * 8 + [5]):
            assert groups == []
            continue
        assert sum(group.number for group in groups) == len(lengths) and len(groups) <= 5
        ends = [[int(end) for end in group.name.split("–")] for group in groups]
        assert ends[0][0] == min(lengths) and ends[-1][-1] == max(lengths)
        assert all(before[-1] < after[0] for before, after in pairwise(ends))


def test_groups_have_the_mean_of_their_cases_and_an_interval_where_there_are_five():
    cases = [Case("", "", "", score, language=code) for code, score in [("en", 1.0), ("en", 0.0), *[("zh", 0.25)] * 6]]
    chinese, english = by_language(cases, np.random.default_rng(0))
    assert (chinese.name, chinese.number, chinese.score, chinese.low, chinese.high) == ("zh", 6, 0.25, 0.25, 0.25)
    assert (english.name, english.score, english.low) == ("en", 0.5, None)


def test_a_large_confusion_keeps_the_labels_with_errors():
    labels = [f"l{number:03}" for number in range(200)]
    counts = 50 * np.eye(200, dtype=int)
    counts[150, 7], counts[7, 3], counts[9, 150] = 20, 10, 5
    kept, between = shown_confusion(labels, counts, most=4)
    assert kept == ["l003", "l007", "l009", "l150"] and between.sum() == 235
    assert mix_ups(labels, counts) == [
        ("l150", "l007", 20, 20 / 70),
        ("l007", "l003", 10, 10 / 60),
        ("l009", "l150", 5, 5 / 55),
    ]


def test_no_cases_are_refused():
    with pytest.raises(TextError, match="no cases"):
        error_page("none", [])
