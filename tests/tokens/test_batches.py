"""Packed batches against a plain reading of the token stream."""

import numpy as np
import pytest
import torch

from inkstone.errors import RecipeError
from inkstone.tokens.batches import PackedBatches
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.shards import TokenShards, write_shards

TEXTS = [f"document {number}: 砚 ink stone and paper {number * number}\n" * (1 + number % 4) for number in range(60)]


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> TokenShards:
    tokenizer = learn_tokenizer(iter(TEXTS), vocab_size=400)
    return write_shards([TEXTS], tokenizer, tmp_path_factory.mktemp("shards") / "train", shard_tokens=101)


def circle(shards: TokenShards) -> list[int]:
    """The stream without its last token, which is its first one again."""
    return shards.read(0, shards.n_tokens).tolist()[:-1]


def test_every_window_is_a_stretch_of_the_stream_and_targets_are_the_next_tokens(shards):
    tokens = circle(shards)
    doubled = tokens + tokens
    batches = PackedBatches(shards, context=16, rows=3, seed=7)
    for number in range(5):
        batch = batches.batch(number)
        assert batch.ids.shape == batch.targets.shape == (3, 16)
        assert batch.ids.dtype == batch.targets.dtype == torch.int64
        assert torch.equal(batch.ids[:, 1:], batch.targets[:, :-1])
        for ids, targets in zip(batch.ids.tolist(), batch.targets.tolist(), strict=True):
            window = [*ids, targets[-1]]
            assert any(doubled[start : start + 17] == window for start in range(len(tokens)))


def test_an_epoch_reads_each_token_once_but_for_less_than_a_window(shards):
    tokens = circle(shards)
    batches = PackedBatches(shards, context=16, rows=1, seed=3)
    for epoch in range(3):
        first = epoch * batches.windows_per_epoch
        rows = [batches.batch(first + place).ids[0].tolist() for place in range(batches.windows_per_epoch)]
        assert {batches.epoch_of(first + place) for place in range(batches.windows_per_epoch)} == {epoch}
        left = np.bincount(tokens, minlength=shards.vocab_size) - np.bincount(
            np.concatenate(rows), minlength=shards.vocab_size
        )
        assert (left >= 0).all()
        assert left.sum() == len(tokens) % 16 < 16


def test_epochs_differ_in_order_and_offset_and_so_do_seeds(shards):
    first = PackedBatches(shards, context=16, rows=1, seed=0)
    epoch = first.windows_per_epoch
    starts = {tuple(first.batch(place).ids[0].tolist()) for place in range(epoch)}
    again = {tuple(first.batch(epoch + place).ids[0].tolist()) for place in range(epoch)}
    other = {
        tuple(PackedBatches(shards, context=16, rows=1, seed=1).batch(place).ids[0].tolist()) for place in range(9)
    }
    assert starts != again
    assert not other <= starts


def test_a_batch_depends_on_its_number_alone(shards):
    straight = PackedBatches(shards, context=24, rows=5, seed=2)
    expected = [straight.batch(number) for number in range(40)]
    for number in (39, 3, 17, 3):
        batch = PackedBatches(shards, context=24, rows=5, seed=2).batch(number)
        assert torch.equal(batch.ids, expected[number].ids)
        assert torch.equal(batch.targets, expected[number].targets)


def test_rows_are_the_same_windows_however_many_stand_in_a_batch(shards):
    narrow = PackedBatches(shards, context=16, rows=2, seed=5)
    wide = PackedBatches(shards, context=16, rows=6, seed=5)
    assert torch.equal(torch.cat([narrow.batch(number).ids for number in range(3)]), wide.batch(0).ids)


def test_documents_are_numbered_from_their_end_token(shards):
    batches = PackedBatches(shards, context=64, rows=4, seed=1)
    for number in range(10):
        batch = batches.batch(number)
        assert batch.document is not None
        assert batch.document.dtype == torch.int32
        for ids, document in zip(batch.ids.tolist(), batch.document.tolist(), strict=True):
            seen = 0
            for place, (token, name) in enumerate(zip(ids, document, strict=True)):
                seen += token == shards.end
                assert name == seen, place


def test_no_document_numbers_without_a_boundary_inside(tmp_path):
    tokenizer = learn_tokenizer(iter(TEXTS), vocab_size=300)
    shards = write_shards([["one long text " * 200]], tokenizer, tmp_path / "one")
    batches = PackedBatches(shards, context=8, rows=1, seed=0)
    rows = [batches.batch(number) for number in range(batches.windows_per_epoch)]
    assert any(row.document is None for row in rows)
    for row in rows:
        assert (row.document is None) == (shards.end not in row.ids[0, 1:].tolist())


@pytest.mark.parametrize("context", [1, 7, 64, 1000])
def test_a_corpus_of_one_word_goes_round(tmp_path, context):
    tokenizer = learn_tokenizer(iter(TEXTS), vocab_size=300)
    shards = write_shards([["ink"]], tokenizer, tmp_path / "tiny")
    tokens = circle(shards)
    batch = PackedBatches(shards, context=context, rows=2, seed=0).batch(5)
    assert batch.ids.shape == (2, context)
    for ids in batch.ids.tolist():
        start = next(
            s for s in range(len(tokens)) if all(tokens[(s + i) % len(tokens)] == t for i, t in enumerate(ids))
        )
        assert start < len(tokens)


@pytest.mark.parametrize(("context", "rows"), [(0, 1), (1, 0)])
def test_impossible_shapes_are_refused(shards, context, rows):
    with pytest.raises(RecipeError, match="at least 1"):
        PackedBatches(shards, context=context, rows=rows, seed=0)
