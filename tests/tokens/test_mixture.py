"""Mixtures of two texts against a plain reading of both token streams."""

from fractions import Fraction

import pytest
import torch

from inkstone.errors import RecipeError
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.mixture import STRETCH, MixedBatches, MixedStreams
from inkstone.tokens.piece_batches import PieceBatches
from inkstone.tokens.sentence_ends import marks_of
from inkstone.tokens.shards import TokenShards, write_shards

NEW = [f"new document {number}: ink and paper {number * number}.\n" * (1 + number % 4) for number in range(60)]
OLD = [f"old one {number}, 砚 and stone {number * 7}!\n" * (1 + number % 3) for number in range(50)]


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> tuple[TokenShards, TokenShards]:
    tokenizer = learn_tokenizer(iter(NEW + OLD), vocab_size=400)
    folder = tmp_path_factory.mktemp("shards")
    return write_shards([NEW], tokenizer, folder / "new"), write_shards([OLD], tokenizer, folder / "old")


def doubled(shards: TokenShards) -> str:
    """The stream, gone round twice, as text in which a window can be looked for."""
    tokens = shards.read(0, shards.n_tokens).tolist()[:-1]
    return as_text(tokens + tokens)


def as_text(tokens: list[int]) -> str:
    return "".join(chr(0x4E00 + token) for token in tokens)


def sides(batch, texts) -> list[str]:
    """Of which text each row is."""
    new, old = map(doubled, texts)
    found = []
    for ids, targets in zip(batch.ids.tolist(), batch.targets.tolist(), strict=True):
        window = as_text([*ids, targets[-1]])
        assert (window in new) != (window in old)
        found.append("old" if window in old else "new")
    return found


@pytest.mark.parametrize("replay", [0.0, 0.05, 0.1, 0.2, 1 / 3, 0.5, 1.0])
def test_the_share_of_old_rows_is_right_after_any_number_of_batches(texts, replay):
    batches = MixedBatches(*texts, replay, context=24, rows=3, seed=1)
    rows = old = 0
    for index in range(40):
        batch = batches.batch(index)
        assert batch.ids.shape == batch.targets.shape == (3, 24) and batch.ids.dtype == torch.int64
        assert torch.equal(batch.ids[:, 1:], batch.targets[:, :-1])
        rows += 3
        old += sides(batch, texts).count("old")
        assert abs(old - rows * Fraction(replay).limit_denominator(1000)) < 1


def test_each_text_is_read_once_an_epoch(texts):
    new, old = texts
    batches = MixedBatches(new, old, 0.25, context=16, rows=4, seed=2)
    windows = batches.new.windows_per_epoch
    assert batches.old.windows_per_epoch > windows // 3
    read = {"new": [], "old": []}
    for index in range(windows // 3):  # a row in four is old
        batch = batches.batch(index)
        for side, ids in zip(sides(batch, texts), batch.ids.tolist(), strict=True):
            read[side].append(tuple(ids))
    plain = {tuple(batches.new.batch(number).ids[0].tolist()) for number in range(windows)}
    assert len(read["new"]) == windows // 3 * 3 and set(read["new"]) <= plain
    assert len(set(read["new"])) >= 0.95 * len(read["new"])  # two windows may be equal by chance


def test_a_batch_is_a_function_of_seed_and_number_alone(texts):
    first = MixedBatches(*texts, 0.3, context=16, rows=5, seed=4)
    wanted = [first.batch(index) for index in range(30)]
    later = MixedBatches(*texts, 0.3, context=16, rows=5, seed=4)
    for index in (17, 3, 29, 3, 0):
        assert torch.equal(later.batch(index).ids, wanted[index].ids)
        assert torch.equal(later.batch(index).targets, wanted[index].targets)
    other = MixedBatches(*texts, 0.3, context=16, rows=5, seed=5)
    assert not all(torch.equal(other.batch(index).ids, wanted[index].ids) for index in range(5))


def test_old_rows_stand_anywhere_in_a_batch(texts):
    batches = MixedBatches(*texts, 0.25, context=24, rows=4, seed=0)
    places = {sides(batches.batch(index), texts).index("old") for index in range(40)}
    assert places == {0, 1, 2, 3}


def test_rows_of_streams_go_on_in_one_text_and_then_begin_as_a_document_does(texts):
    batches = MixedStreams(*texts, 0.4, context=8, rows=5, seed=3)
    for stretch in range(3):
        parts = [batches.batch(stretch * STRETCH + place) for place in range(STRETCH)]
        assert [part.continues for part in parts] == [stretch > 0] + [True] * (STRETCH - 1)
        assert all(part.ids.shape == (5, 8) for part in parts)
        whole = batches.windows.batch(stretch)
        ids = torch.cat([part.ids for part in parts], dim=1)
        assert (ids[:, 0] == batches.end).all() and torch.equal(ids[:, 1:], whole.ids[:, 1:])
        assert torch.equal(torch.cat([part.targets for part in parts], dim=1), whole.targets)
        assert sides(whole, texts).count("old") == 2


def test_pieces_come_from_both_texts(texts):
    new, old = texts
    tokenizer = learn_tokenizer(iter(NEW + OLD), vocab_size=400)
    windows = MixedBatches(new, old, 0.5, context=16 * 30, rows=2, seed=0)
    marks = marks_of(tokenizer, "line", tokenizer.vocab_size)
    batches = PieceBatches(new, marks, context=30, rows=2, seed=0, windows=windows)
    read = "".join(tokenizer.decode(batches.batch(index).targets.flatten()) for index in range(32))
    assert "new document" in read and "old one" in read


def test_shares_and_texts_that_cannot_be_are_refused(texts, tmp_path):
    with pytest.raises(RecipeError, match="must be from 0 to 1"):
        MixedBatches(*texts, 1.5, context=8, rows=2, seed=0)
    other = write_shards([OLD], learn_tokenizer(iter(OLD), vocab_size=300), tmp_path / "other")
    with pytest.raises(RecipeError, match="different tokenizers"):
        MixedBatches(texts[0], other, 0.5, context=8, rows=2, seed=0)
