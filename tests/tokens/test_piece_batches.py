"""Batches of whole sentences, against a plain cutting of the text."""

import pytest
import torch

from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.piece_batches import GROUP, PieceBatches
from inkstone.tokens.sentence_ends import marks_of
from inkstone.tokens.shards import TokenShards, write_shards
from inkstone.tokens.tokenizer import Tokenizer

SENTENCES = [f"sentence {'very ' * (number % 9)}{number} ends here!" for number in range(400)]
TEXTS = [" ".join(SENTENCES[at : at + 20]) for at in range(0, 400, 20)]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return learn_tokenizer(iter(TEXTS), "byte-bpe", 300)


@pytest.fixture(scope="module")
def shards(tokenizer, tmp_path_factory) -> TokenShards:
    return write_shards([TEXTS], tokenizer, tmp_path_factory.mktemp("shards") / "train")


def said(batch, tokenizer: Tokenizer) -> list[str]:
    numbers = torch.zeros_like(batch.ids) if batch.document is None else batch.document
    return [tokenizer.decode(batch.targets[numbers == at]) for at in range(int(numbers.max()) + 1)]


def test_every_piece_is_a_sentence_and_an_epoch_reads_nearly_all(tokenizer, shards):
    batches = PieceBatches(shards, marks_of(tokenizer, "sentence", tokenizer.vocab_size), context=40, rows=2, seed=3)
    assert all(len(tokenizer.encode(sentence)) <= 40 for sentence in SENTENCES)
    found: list[str] = []
    for index in range(batches.windows.windows_per_epoch // 2 * GROUP):
        batch = batches.batch(index)
        assert batch.ids.shape == batch.targets.shape and 30 <= batch.ids.numel() <= 130
        first = torch.ones_like(batch.ids, dtype=torch.bool)
        if batch.document is not None:
            first[:, 1:] = batch.document[:, 1:] != batch.document[:, :-1]
        assert (batch.ids[first] == tokenizer.end).all()
        assert torch.equal(batch.ids[~first], batch.targets[:, :-1][~first[:, 1:]])
        found += said(batch, tokenizer)
    ends = found.count("")  # the end of a document after a sentence
    assert {sentence.strip() for sentence in found} <= {*SENTENCES, ""} and 0 < ends <= 20
    assert len(found) - ends == len(set(found) - {""}) > 300  # each once; windows have lost what they cut


def test_pieces_of_like_length_stand_together(tokenizer, shards):
    batches = PieceBatches(shards, marks_of(tokenizer, "sentence", tokenizer.vocab_size), context=40, rows=4, seed=3)
    spread = []
    for index in range(GROUP):
        document = batches.batch(index).document
        assert document is not None
        lengths = torch.bincount(document[0].long())
        spread.append(int(lengths.max() - lengths.min()))
    assert sorted(spread)[GROUP // 2] <= 3


def test_the_same_at_every_call_and_other_for_another_seed(tokenizer, shards):
    marks = marks_of(tokenizer, "sentence", tokenizer.vocab_size)
    first, again, other = (PieceBatches(shards, marks, context=40, rows=2, seed=seed) for seed in (3, 3, 4))
    for index in (33, 5, 34):
        assert torch.equal(first.batch(index).ids, again.batch(index).ids)
    assert not torch.equal(first.batch(5).targets, other.batch(5).targets)


@pytest.mark.parametrize("rows", [1, 5])
def test_text_without_an_end_and_text_of_one_window_serve_too(tokenizer, tmp_path, rows):
    shards = write_shards([["ink " * 60, "on stone " * 10]], tokenizer, tmp_path / "t")
    for unit in ("sentence", "window"):
        batches = PieceBatches(shards, marks_of(tokenizer, unit, tokenizer.vocab_size), context=64, rows=rows, seed=0)
        for index in range(40):
            batch = batches.batch(index)
            assert batch.ids.shape == batch.targets.shape and batch.ids.numel() > 0
