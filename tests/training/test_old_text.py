"""The text that a model read before: all of it together, by another tokenizer, or a part from all over it."""

import pytest

from inkstone.errors import CheckpointError
from inkstone.recipe import Recipe
from inkstone.run import Run
from inkstone.tokens.extending import extend_tokenizer
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.shards import TokenShards, write_shards
from inkstone.training.old_text import gather, in_tokens_of, known_documents, spread, texts_of_run, written_before

ONE = [f"The stone number {n} is {n * n} years old.\n" * 3 for n in range(40)]
TWO = [f"第{n}方砚台已经{n * n}年了。\n" * 3 for n in range(300)]


@pytest.fixture(scope="module")
def tokenizer():
    return learn_tokenizer(iter(ONE), vocab_size=350)


@pytest.fixture(scope="module")
def texts(tokenizer, tmp_path_factory) -> list[TokenShards]:
    folder = tmp_path_factory.mktemp("texts")
    return [write_shards([text], tokenizer, folder / name) for name, text in (("one", ONE), ("two", TWO))]


def test_all_documents_stand_together_as_they_were(texts, tokenizer, tmp_path):
    found = gather(texts, tokenizer, tokenizer, tmp_path / "all")
    assert [tokenizer.decode(ids) for ids in found.documents()] == ONE + TWO
    assert found.n_bytes == sum(shards.n_bytes for shards in texts)
    assert TokenShards.open(tmp_path / "all").n_documents == 340


def test_another_tokenizer_writes_the_same_text(texts, tokenizer, tmp_path):
    other = extend_tokenizer(tokenizer, TWO, 50).tokenizer
    found = gather(texts, tokenizer, other, tmp_path / "all")
    assert [other.decode(ids) for ids in found.documents()] == ONE + TWO
    assert found.n_tokens < gather(texts, tokenizer, tokenizer, tmp_path / "as it was").n_tokens
    assert written_before(tmp_path / "all", other) is not None
    assert written_before(tmp_path / "all", tokenizer) is None and written_before(tmp_path / "none", other) is None
    back = in_tokens_of(found, other, tokenizer)
    assert [tokenizer.decode(ids) for ids in back] == ONE + TWO
    assert [ids.tolist() for ids in back] == [ids.tolist() for ids in tokenizer.encode_batch(ONE + TWO)]


def test_a_part_is_of_the_size_asked_for_and_from_all_over(tokenizer, tmp_path):
    text = ["".join(f"Sentence {n} of a long book, and {n * n}.\n" for n in range(9000))]
    size = len(text[0])
    whole = spread(text, tokenizer, size, tmp_path / "whole")
    assert [tokenizer.decode(ids) for ids in whole.documents()] == text
    part = spread(text, tokenizer, size / 5, tmp_path / "part")
    places = [text[0].index(tokenizer.decode(ids)) / size for ids in part.documents()]
    assert 0.1 * size < part.n_bytes < 0.3 * size
    assert places == sorted(places) and places[0] < 0.2 and places[-1] > 0.8


def test_documents_of_all_texts_are_known_by_their_numbers(texts, tokenizer):
    known = known_documents(texts, tokenizer, cut=False)
    assert known.unread(ONE[7]) == known.unread(TWO[299]) == "" and known.unread(ONE[7] + "!") != ""


def test_a_run_has_its_texts_a_checkpoint_has_none_and_damage_is_named(tokenizer, tmp_path):
    run = Run.create(tmp_path / "run", Recipe())
    assert texts_of_run(run.folder) == ([], []) == texts_of_run(tmp_path / "no run")
    write_shards([ONE], tokenizer, run.train_shards)
    write_shards([ONE[:5]], tokenizer, run.held_out_shards)
    write_shards([TWO], tokenizer, run.old_train_shards)
    train, held_out = texts_of_run(run.folder)
    assert [shards.n_documents for shards in train] == [40, 300] and [s.n_documents for s in held_out] == [5]
    tokens = run.old_train_shards / "tokens-00000.bin"
    tokens.write_bytes(tokens.read_bytes()[:-2])
    with pytest.raises(CheckpointError, match="tokens-00000"):
        texts_of_run(run.folder)
