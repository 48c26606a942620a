"""Learning: sizes, determinism, and byte-level BPE against the library's own learner."""

import os
import subprocess
import sys

import pytest
import tokenizers
from hypothesis import given, settings, strategies as st
from tokenizers import pre_tokenizers, trainers
from tokenizers.models import BPE

from inkstone.errors import RecipeError, TextError
from inkstone.tokens.byte_bpe import byte_level_backend
from inkstone.tokens.encoding import character_twin
from inkstone.tokens.learning import PIECE, SMALLEST, learn_tokenizer, sampled_pieces
from inkstone.tokens.spelling import byte_alphabet
from inkstone.tokens.tokenizer import END, KINDS

ENGLISH = "\n".join(
    f"The ink of stone number {n} is as black as the ink of stone {n * n}, said she." for n in range(200)
)
CHINESE = "\n".join(
    f"第{n}回　话说天下大势，分久必合，合久必分；砚中有墨，墨中有{'一二三四五'[n % 5]}。" for n in range(200)
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [SMALLEST, 300, 420])
def test_the_size_is_kept_and_the_special_tokens_come_last(kind, size):
    tokenizer = learn_tokenizer([ENGLISH, CHINESE], kind, size)
    assert tokenizer.vocab_size <= size
    assert tokenizer.end == tokenizer.vocab_size - 3
    assert tokenizer.backend.id_to_token(tokenizer.end) == END
    assert sorted(tokenizer.backend.get_vocab().values()) == list(range(tokenizer.vocab_size))


@pytest.mark.parametrize("kind", KINDS)
def test_three_sentences_are_enough(kind):
    tokenizer = learn_tokenizer(["One sentence.", "Two sentences.", "三句话。"], kind, 4096)
    assert SMALLEST - 1 <= tokenizer.vocab_size < 300
    assert tokenizer.decode(tokenizer.encode("Four 四")) == "Four 四"


@pytest.mark.parametrize("kind", KINDS)
def test_same_text_same_bytes_whatever_the_threads(kind, tmp_path):
    program = (
        "import sys\n"
        "from inkstone.tokens.learning import learn_tokenizer\n"
        "texts = open(sys.argv[1], encoding='utf-8').read().split('\\n\\n')\n"
        "print(learn_tokenizer(texts, sys.argv[2], 420, seed=3).fingerprint)\n"
    )
    (tmp_path / "text").write_text(f"{ENGLISH}\n\n{CHINESE}", encoding="utf-8")
    prints = set()
    for threads in ("1", "2", "5"):
        environment = os.environ | {"RAYON_NUM_THREADS": threads, "PYTHONHASHSEED": threads}
        command = [sys.executable, "-c", program, str(tmp_path / "text"), kind]
        prints.add(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert len(prints) == 1


def library_byte_bpe(text: str, size: int) -> tokenizers.Tokenizer:
    """What the library's own learner makes of the bytes of a text."""
    backend = byte_level_backend(BPE())
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=2, initial_alphabet=alphabet, show_progress=False)
    backend.train_from_iterator([text], trainer)
    return backend


@pytest.mark.parametrize(("text", "slack"), [(ENGLISH, 0.01), (CHINESE, 0.03), (ENGLISH + CHINESE, 0.05)])
@pytest.mark.parametrize("size", [350, 500, 700])
def test_text_is_spelled_in_as_few_tokens_as_with_the_library(text, slack, size):
    theirs = library_byte_bpe(text, size - 3)
    ours = learn_tokenizer([text], vocab_size=size)
    assert len(ours.encode(text)) <= (1 + slack) * len(theirs.encode(text).ids)


def test_merges_are_those_of_the_algorithm_counted_by_hand():
    text = "low low low low low lower lower newest newest newest newest newest newest widest widest widest"
    tokenizer = learn_tokenizer([text], vocab_size=256 + 3 + 6)
    learned = [tokenizer.token_text(number) for number in range(256, 262)]
    # Sennrich et al. 2016, without an end-of-word mark: es 9, est 9, then among equals (7, 7) the smaller letters.
    assert learned[:2] == ["es", "est"]
    assert set(learned[2:4]) == {"lo", "low"}


def test_every_learned_byte_bpe_has_its_twin():
    assert character_twin(learn_tokenizer([ENGLISH, CHINESE], vocab_size=600).backend) is not None


def test_a_plain_byte_level_vocabulary_has_none():
    theirs = byte_level_backend(BPE())
    theirs.train_from_iterator([CHINESE], trainers.BpeTrainer(vocab_size=600, show_progress=False))
    assert character_twin(theirs) is None


@pytest.mark.parametrize("merges", [[("a", "b"), ("Ã", "©")], [("a", "Ã")], [("©", "Ã")], [("Ã", "©"), ("a", "Ã©")]])
def test_a_twin_only_where_characters_are_built_before_they_are_joined(merges):
    vocab = {character: number for number, character in enumerate(sorted(byte_alphabet()))}
    for left, right in merges:
        vocab[left + right] = len(vocab)
    twin = character_twin(byte_level_backend(BPE(vocab=vocab, merges=merges)))
    assert (twin is not None) == (merges == [("Ã", "©"), ("a", "Ã©")])


def test_words_and_characters_are_tokens():
    words = learn_tokenizer([ENGLISH, CHINESE], "word", 500)
    assert [words.token_text(number) for number in words.encode("The ink 砚墨")] == ["The", " ink", " ", "砚", "墨"]
    characters = learn_tokenizer([ENGLISH, CHINESE], "character", 500)
    assert [characters.token_text(number) for number in characters.encode("ink 砚")] == list("ink 砚")


@pytest.mark.parametrize(
    ("kind", "size", "message"), [("bpe", 4096, "byte-bpe"), ("word", 12, "impossible"), ("byte-bpe", 0, "impossible")]
)
def test_impossible_requests_are_refused(kind, size, message):
    with pytest.raises(RecipeError, match=message):
        learn_tokenizer([ENGLISH], kind, size)


@pytest.mark.parametrize("texts", [[], ["", ""]])
def test_no_text_is_refused(texts):
    with pytest.raises(TextError, match="no text"):
        learn_tokenizer(texts)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 40_000), max_size=12), st.integers(1, 60_000), st.integers(0, 3))
def test_a_sample_is_parts_of_the_texts_in_order(sizes, most, seed):
    texts = [(f"{number} words and words " * (size // 10))[:size] for number, size in enumerate(sizes)]
    sample = sampled_pieces(iter(texts), most, seed)
    assert sample == sampled_pieces(iter(texts), most, seed)
    whole = sampled_pieces(iter(texts), 1 << 30, seed)
    assert "".join(whole) == "".join(texts)
    places = iter(whole)
    assert all(part in places for part in sample)  # a subsequence
    assert sum(map(len, sample)) <= most or len(sample) == 1
    if sum(map(len, whole)) <= most:
        assert sample == whole


def test_a_sample_is_spread_over_the_stream():
    texts = [str(number % 10) * PIECE for number in range(1000)]
    sample = sampled_pieces(iter(texts), 100 * PIECE, seed=0)
    assert len(sample) == 100
    assert {part[0] for part in sample} == set("0123456789")
    assert sample != sampled_pieces(iter(texts), 100 * PIECE, seed=1)
