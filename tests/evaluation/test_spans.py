"""The F1 of spans is that of seqeval, strict and not."""

import lzma
import warnings

import pytest
from hypothesis import given, settings, strategies as st
from seqeval.metrics import accuracy_score, classification_report
from seqeval.scheme import IOB2, IOBES

from inkstone.errors import TextError
from inkstone.evaluation.label_scores import micro_f1
from inkstone.evaluation.spans import span_counts, span_scores, tag_scores
from inkstone.evaluation.tag_schemes import spans_of


def sentences(letters: str):
    tag = st.sampled_from(["O", *(f"{letter}-{label}" for letter in letters for label in ("X", "Y", "Z"))])
    return st.lists(st.lists(st.tuples(tag, tag), min_size=1, max_size=8), min_size=1, max_size=5)


@pytest.mark.parametrize(("scheme", "theirs", "letters"), [("BIO", IOB2, "BI"), ("BIOES", IOBES, "BIES")])
@pytest.mark.parametrize("strict", [True, False])
def test_scores_are_those_of_seqeval(scheme, theirs, letters, strict):
    @settings(max_examples=40)
    @given(sentences(letters))
    def check(pairs):
        gold = [[a for a, _ in sentence] for sentence in pairs]
        predicted = [[b for _, b in sentence] for sentence in pairs]
        ours = tag_scores(gold, predicted, scheme, strict=strict)
        assert ours.tag_accuracy == pytest.approx(accuracy_score(gold, predicted))
        if not ours.per_label:
            assert ours.macro_f1 is None and ours.overall.f1 is None
            return
        way = {"mode": "strict", "scheme": theirs} if strict else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report = classification_report(gold, predicted, output_dict=True, zero_division=0, **way)
        assert ours.overall.f1 == pytest.approx(report.pop("micro avg")["f1-score"])
        assert ours.macro_f1 == pytest.approx(report.pop("macro avg")["f1-score"])
        report.pop("weighted avg")
        assert set(report) == set(ours.per_label)
        for label, figures in report.items():
            score = ours.per_label[label]
            assert [score.precision or 0, score.recall or 0, score.f1, score.gold] == pytest.approx(
                [figures["precision"], figures["recall"], figures["f1-score"], figures["support"]]
            )

    check()


def test_spans_may_overlap_and_count_once():
    """Semantic roles of two predicates in one list of spans, one of them given twice."""
    gold = [[(0, 2, "ARG0"), (1, 4, "ARG1"), (2, 3, "V")]]
    predicted = [[(1, 4, "ARG1"), (1, 4, "ARG1"), (2, 3, "V"), (0, 1, "ARG0")]]
    scores = span_scores(gold, predicted)
    assert (scores.overall.correct, scores.overall.predicted, scores.overall.gold) == (2, 3, 3)
    without_verb = span_scores(gold, predicted, ["ARG0", "ARG1"])
    assert (without_verb.overall.f1, without_verb.exact_sentences) == (0.5, 0)
    assert span_scores(gold, predicted, ["ARG1"]).exact_sentences == 1


def test_the_counts_of_each_sentence_add_up():
    gold, predicted = [["B-X", "O"], ["B-Y", "I-Y"]], [["B-X", "B-X"], ["B-Y", "O"]]
    read = [[spans_of(tags) for tags in side] for side in (gold, predicted)]
    counts = span_counts(*read, ["X", "Y"])
    assert counts.tolist() == [[[1, 2, 1], [0, 0, 0]], [[0, 0, 0], [0, 1, 1]]]
    assert micro_f1(counts.sum(0)) == pytest.approx(tag_scores(gold, predicted).overall.f1)


def test_a_sentence_of_other_length_is_named():
    with pytest.raises(TextError, match="sentence 2: 1 predicted tags for 2 words"):
        tag_scores([["O"], ["O", "O"]], [["O"], ["O"]])
    with pytest.raises(TextError, match="1 predictions for 2 gold items"):
        span_scores([[], []], [[]])


@pytest.mark.data
def test_real_tags_are_read_as_by_seqeval(data_mirror):
    """The gold tags of a development part beside themselves, each shifted by one word: every figure as by seqeval."""
    with lzma.open(data_mirror / "ner-weibo/dev.conll.xz", "rt", encoding="utf-8") as file:
        lines = file.read().split("\n")
    gold: list[list[str]] = [[]]
    for line in lines:
        if "\t" in line:
            gold[-1].append(line.rsplit("\t", 1)[1])
        elif gold[-1]:
            gold.append([])
    gold = [tags for tags in gold if tags]
    predicted = [[tags[0], *tags[:-1]] for tags in gold]
    report = classification_report(gold, predicted, output_dict=True, zero_division=0, mode="strict", scheme=IOB2)
    scores = tag_scores(gold, predicted)
    assert scores.overall.gold > 300 and scores.overall.correct > 0
    assert scores.overall.f1 == pytest.approx(report["micro avg"]["f1-score"])
