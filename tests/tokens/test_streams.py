"""Batches in order against a plain reading of the token stream."""

import pytest
import torch

from inkstone.errors import RecipeError
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.shards import TokenShards, write_shards
from inkstone.tokens.streams import StreamBatches

TEXTS = [f"document {number}: 砚 ink stone and paper {number * number}\n" * (1 + number % 4) for number in range(60)]


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> TokenShards:
    tokenizer = learn_tokenizer(iter(TEXTS), vocab_size=400)
    return write_shards([TEXTS], tokenizer, tmp_path_factory.mktemp("shards") / "train", shard_tokens=101)


def circle(shards: TokenShards) -> list[int]:
    """The stream without its last token, which is its first one again."""
    return shards.read(0, shards.n_tokens).tolist()[:-1]


@pytest.mark.parametrize("rows", [1, 3, 7])
def test_each_row_goes_round_the_stream_without_a_break(shards, rows):
    tokens = circle(shards)
    batches = StreamBatches(shards, context=16, rows=rows, seed=7)
    count = 2 * len(tokens) // 16
    parts = [batches.batch(number) for number in range(count)]
    for number, batch in enumerate(parts):
        assert batch.continues == (number > 0)
        assert batch.ids.shape == batch.targets.shape == (rows, 16) and batch.ids.dtype == torch.int64
    for row in range(rows):
        read = [token for batch in parts for token in batch.ids[row].tolist()]
        targets = [token for batch in parts for token in batch.targets[row].tolist()]
        assert read[1:] == targets[:-1]
        start = batches.starts[row]
        assert read == [tokens[(start + place) % len(tokens)] for place in range(16 * count)]


def test_an_epoch_reads_each_token_once(shards):
    """Rows that divide the circle evenly: after one epoch each stands where the next one began."""
    length = len(circle(shards))
    rows = next(number for number in range(2, length + 1) if length % number == 0)
    batches = StreamBatches(shards, context=1, rows=rows, seed=3)
    assert batches.batches_per_epoch == length // rows
    read = torch.cat([batches.batch(number).ids.flatten() for number in range(length // rows)])
    assert sorted(read.tolist()) == sorted(circle(shards))
    assert torch.equal(batches.batch(length // rows).ids, batches.batch(0).ids.roll(-1, 0))
    assert batches.epoch_of(length // rows - 1) == 0 and batches.epoch_of(length // rows) == 1


def test_a_batch_depends_on_its_number_and_the_seed_alone(shards):
    straight = StreamBatches(shards, context=24, rows=5, seed=2)
    expected = [straight.batch(number) for number in range(40)]
    for number in (39, 3, 17, 3):
        assert torch.equal(StreamBatches(shards, context=24, rows=5, seed=2).batch(number).ids, expected[number].ids)
    assert not torch.equal(StreamBatches(shards, context=24, rows=5, seed=3).batch(0).ids, expected[0].ids)


def test_documents_are_numbered_from_their_end_token(shards):
    batch = StreamBatches(shards, context=64, rows=4, seed=1).batch(2)
    assert batch.document is not None and batch.document.dtype == torch.int32
    assert torch.equal(batch.document, (batch.ids == shards.end).cumsum(1).int())


@pytest.mark.parametrize("context", [1, 7, 64, 1000])
def test_a_corpus_of_one_word_goes_round(tmp_path, context):
    tokenizer = learn_tokenizer(iter(TEXTS), vocab_size=300)
    shards = write_shards([["ink"]], tokenizer, tmp_path / "tiny")
    batches = StreamBatches(shards, context=context, rows=9, seed=0)
    tokens = circle(shards)
    ids = torch.cat([batches.batch(number).ids for number in range(3)], dim=1)
    for row, start in zip(ids.tolist(), batches.starts, strict=True):
        assert row == [tokens[(start + place) % len(tokens)] for place in range(3 * context)]


@pytest.mark.parametrize(("context", "rows"), [(0, 1), (1, 0)])
def test_impossible_shapes_are_refused(shards, context, rows):
    with pytest.raises(RecipeError, match="at least 1"):
        StreamBatches(shards, context=context, rows=rows, seed=0)
