"""Span corruption: the text comes back from what was drawn, no document speaks to another, the shares are those published."""

import numpy as np
import pytest
import torch

from inkstone.tokens.span_corruption import PADDING, corrupt_spans, random_spans

END, SENTINEL = 99, 100


def drawn(ids, document=None, n_sentinels=100, seed=0):
    return corrupt_spans(
        ids,
        document,
        end=END,
        first_sentinel=SENTINEL,
        n_sentinels=n_sentinels,
        generator=torch.Generator().manual_seed(seed),
    )


def packed_rows(rows=3, length=60, seed=0):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, END, (rows, length), generator=generator)
    ids[torch.rand(ids.shape, generator=generator) < 0.08] = END
    return ids, (ids == END).cumsum(1).to(torch.int32)


def put_together(source, read, targets) -> list[int]:
    """One document again, with each span in the place of its sentinel."""
    spans, at = {}, 0
    while at < len(read):
        sentinel, span = read[at], []
        assert sentinel >= SENTINEL
        while targets[at] != END:
            span.append(targets[at])
            at += 1
            assert read[at] == span[-1]
        at += 1
        assert sentinel not in spans and span
        spans[sentinel] = span
    assert (
        list(spans) == [token for token in source if token >= SENTINEL] == list(range(SENTINEL, SENTINEL + len(spans)))
    )
    return [token for piece in source for token in spans.get(piece, [piece])]


@pytest.mark.parametrize("seed", range(6))
def test_each_document_comes_back_from_its_own_source_and_target(seed):
    ids, document = packed_rows(seed=seed)
    result = drawn(ids, document, seed=seed)
    for row in range(len(ids)):
        for number in document[row].unique().tolist():
            source = result.source[row][result.source_document[row] == number].tolist()
            chosen = result.target_document[row] == number
            whole = put_together(source, result.read[row][chosen].tolist(), result.targets[row][chosen].tolist())
            assert whole == ids[row][document[row] == number].tolist()


def test_padding_has_a_document_of_its_own_and_something_to_look_at():
    result = drawn(*packed_rows())
    assert (result.source_document[:, -1] == PADDING).all()
    assert result.read.shape == result.targets.shape == result.target_document.shape
    assert result.source.shape == result.source_document.shape


def test_one_document_a_row_needs_no_numbers():
    ids = torch.arange(40).view(1, 40) % END
    result = drawn(ids)
    keep = result.source_document[0] != PADDING
    assert put_together(result.source[0][keep].tolist(), result.read[0].tolist(), result.targets[0].tolist()) == list(
        range(40)
    )


def test_no_more_spans_than_sentinels():
    result = drawn(*packed_rows(length=200), n_sentinels=2)
    assert result.source.max() == SENTINEL + 1
    assert drawn(*packed_rows(length=200)).source.max() > SENTINEL + 1


@pytest.mark.parametrize("length", [1, 2, 3, 10, 128, 513])
def test_fifteen_percent_in_spans_of_three(length):
    generator = torch.Generator().manual_seed(0)
    masks = np.array([random_spans(length, generator) for _ in range(400)])
    taken = min(max(1, round(length * 0.15)), length - 1)
    assert (masks.sum(1) == taken).all() and not masks[:, 0].any()
    spans = (masks[:, 1:] & ~masks[:, :-1]).sum(1)
    assert (spans == min(max(taken > 0, round(taken / 3)), length - taken)).all()
    if length == 128:
        assert (masks[:, 2:].mean(0) > 0).all()  # every place is taken at times


def test_the_draw_is_the_generators():
    ids, document = packed_rows()
    assert torch.equal(drawn(ids, document).source, drawn(ids, document).source)
    one, other = drawn(ids, document).source, drawn(ids, document, seed=1).source
    assert one.shape != other.shape or not torch.equal(one, other)
