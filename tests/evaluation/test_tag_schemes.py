"""Tags and spans: strict as seqeval reads them, otherwise as the conlleval script does, and both ways without loss."""

import warnings
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB1, IOB2, IOBES, Tokens

from inkstone.errors import TextError
from inkstone.evaluation.tag_schemes import SCHEMES, Span, scheme_faults, scheme_of, spans_of, tags_of

THEIRS = {"BIO": IOB2, "IOB1": IOB1, "BIOES": IOBES}
LETTERS = {"BIO": "BI", "IOB1": "BI", "BIOES": "BIES"}


def any_tags(scheme: str):
    tags = ["O", *(f"{letter}-{label}" for letter in LETTERS[scheme] for label in "XY")]
    return st.lists(st.sampled_from(tags), max_size=12)


@st.composite
def made_spans(draw) -> tuple[list[Span], int]:
    spans, at = [], 0
    for gap, width, label in draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(["X", "Y", "ARG-M", ""])), max_size=6)
    ):
        spans.append(Span(at + gap, at + gap + width, label))
        at += gap + width
    return spans, at + draw(st.integers(0, 2))


@pytest.mark.parametrize("scheme", ["BIO", "BIOES"])
def test_strict_spans_are_those_of_seqeval(scheme):
    @given(any_tags(scheme))
    def check(tags):
        theirs = [Span(entity.start, entity.end, entity.tag) for entity in Tokens(tags, THEIRS[scheme]).entities]
        assert spans_of(tags, scheme) == theirs

    check()


@given(any_tags("IOB1").filter(lambda tags: not {("B-X", "B-Y"), ("B-Y", "B-X")} & set(pairwise(tags))))
def test_strict_spans_of_iob1_are_those_of_seqeval(tags):
    """Where a faulty B-Y follows a right B-X, seqeval drops the span of X as well; here it ends before B-Y."""
    theirs = [Span(entity.start, entity.end, entity.tag) for entity in Tokens(tags, IOB1).entities]
    assert spans_of(tags, "IOB1") == theirs


@given(any_tags("BIOES"))
def test_spans_that_are_not_strict_are_those_of_conlleval(tags):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = [Span(start, stop + 1, label) for label, start, stop in get_entities(tags)]
    assert spans_of(tags, strict=False) == theirs


@pytest.mark.parametrize("scheme", SCHEMES)
def test_spans_survive_the_way_to_tags_and_back(scheme):
    @given(made_spans())
    def check(made):
        spans, length = made
        tags = tags_of(spans, length, scheme)
        assert len(tags) == length and not scheme_faults(tags, scheme)
        assert spans_of(tags, scheme) == spans
        assert spans_of(tags, scheme, strict=False) == spans

    check()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_tags_without_faults_are_those_that_spans_can_make(scheme):
    @given(any_tags(scheme))
    def check(tags):
        assert (not scheme_faults(tags, scheme)) == (tags_of(spans_of(tags, scheme), len(tags), scheme) == tags)

    check()


def test_faults_are_named_with_their_place():
    faults = scheme_faults(["I-PER", "B-PER", "I-LOC", "E-PER", "PER", "O"])
    assert [(fault.at, fault.tag) for fault in faults] == [(0, "I-PER"), (2, "I-LOC"), (3, "E-PER"), (4, "PER")]
    assert faults[0].reason == "I-PER at the beginning: in BIO it goes on only after B-PER or I-PER"
    assert "I-LOC after B-PER" in faults[1].reason
    assert faults[3].reason == "word 5: 'PER' is no tag of BIO, which has O, B-LABEL, I-LABEL"
    (open_span,) = scheme_faults(["B-X", "I-X"], "BIOES")
    assert open_span.at == 1 and "I-X at the end" in open_span.reason
    assert "IOB1 B stands only after" in scheme_faults(["B-X"], "IOB1")[0].reason


def test_other_letters_of_bioes():
    spans = [Span(0, 3, "X"), Span(3, 4, "Y")]
    assert spans_of(["B-X", "I-X", "L-X", "U-Y"], "BIOES") == spans_of(["B-X", "M-X", "E-X", "S-Y"], "BIOES") == spans


def test_the_scheme_is_told_from_the_tags():
    assert scheme_of([["O", "I-X", "B-X"], ["I-X"]]) == "IOB1"
    assert scheme_of([["O", "B-X", "I-X"], ["B-Y"]]) == "BIO"
    assert scheme_of([["O", "I-X"], ["O", "B-X"]]) == "BIO"  # wrong in both; BIO is the commoner
    assert scheme_of([["O"], ["S-X"]]) == "BIOES" == scheme_of([["B-X", "L-X"]])
    assert scheme_of([]) == "BIO"


@pytest.mark.parametrize("spans", [[(0, 2, "X"), (1, 3, "Y")], [(2, 2, "X")], [(3, 5, "X")], [(-1, 1, "X")]])
def test_spans_that_tags_cannot_tell_are_refused(spans):
    with pytest.raises(TextError, match="overlaps"):
        tags_of(spans, 4)


def test_what_is_no_tag_or_scheme_is_refused():
    for tag in ("", "PER", "B-", "BPER", "E-PER", "-X"):
        with pytest.raises(TextError, match="no tag of BIO"):
            spans_of([tag])
    with pytest.raises(TextError, match="did you mean 'BIOES'"):
        spans_of(["O"], "BIOE")
