"""Places of tokens: ours against the bytes they spell, those of others against the texts of their tokens."""

import unicodedata

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings, strategies as st

from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.offsets import placed_tokens
from inkstone.tokens.tokenizer import KINDS, Tokenizer

SEED = "the quick brown fox 敏捷的棕色狐狸跳过懒狗。\r\nIt's 3,000 年\r\n " * 30
TEXTS = st.text(st.one_of(st.sampled_from("ab ,.\r\n\t的狐狸é😀"), st.characters(codec="utf-8")), max_size=60)


@pytest.fixture(scope="module")
def ours():
    return {kind: learn_tokenizer([SEED], kind=kind, vocab_size=320) for kind in KINDS}


def byte_level():
    """As GPT-2's: with offsets trimmed, and merges that join the bytes of some Chinese characters."""
    known = tokenizers.Tokenizer(tokenizers.models.BPE())
    known.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    known.decoder = tokenizers.decoders.ByteLevel()
    known.post_processor = tokenizers.processors.ByteLevel(trim_offsets=True)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=330,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<|endoftext|>"],
    )
    known.train_from_iterator([SEED], trainer)
    return Tokenizer(known)


def word_pieces():
    """As BERT's: lower case, accents gone, control characters dropped, one token for an unknown word."""
    letters = [*"abcdefghijklmnopqrstuvwxyz0123456789,.的狐狸", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {token: number for number, token in enumerate([*letters, *(f"##{letter}" for letter in letters[:36])])}
    known = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    known.normalizer = tokenizers.normalizers.BertNormalizer(strip_accents=True)
    known.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    known.add_special_tokens(["[CLS]", "[SEP]"])
    return Tokenizer(known)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(text=TEXTS)
def test_ours_stand_where_their_bytes_do(ours, kind, text):
    known = ours[kind]
    (placed,) = placed_tokens(known, [text])
    assert placed.ids.tolist() == known.encode(text)
    position = 0
    for number, start, stop in zip(placed.ids, placed.starts, placed.stops, strict=True):
        spelled = known.spelling[number]
        whole = text[start:stop].encode()
        before = len(text[:start].encode())  # a brute-force look at where the token's bytes lie
        assert text.encode()[position : position + len(spelled)] == spelled
        assert before <= position and position + len(spelled) <= before + len(whole)
        assert before + len(text[start].encode()) > position  # neither end could be a character further in
        assert len(text[: stop - 1].encode()) < position + len(spelled)
        position += len(spelled)
    assert position == len(text.encode())


@settings(max_examples=60)
@given(text=TEXTS)
def test_those_of_a_byte_level_tokenizer_of_others_hold_what_they_spell(text):
    known = FOREIGN["bytes"]
    (placed,) = placed_tokens(known, [text])
    assert placed.ids.tolist() == known.encode(text)
    for number, start, stop in zip(placed.ids, placed.starts, placed.stops, strict=True):
        spelled = known.spelling[number]
        assert spelled.strip() in text[start:stop].encode()
        if stop > start + 1:
            assert text[start:stop].strip() in spelled.decode()
    assert (np.diff(placed.starts) >= 0).all() and (np.diff(placed.stops) >= 0).all()


@settings(max_examples=60)
@given(text=TEXTS)
def test_those_of_word_pieces_hold_the_letters_as_they_were_written(text):
    known = FOREIGN["pieces"]
    (placed,) = placed_tokens(known, [text])
    for number, start, stop in zip(placed.ids, placed.starts, placed.stops, strict=True):
        token = known.backend.id_to_token(int(number))
        assert 0 <= start <= stop <= len(text)
        if token != "[UNK]":
            written = unicodedata.normalize("NFD", text[start:stop]).lower()
            assert token.removeprefix("##") in written


FOREIGN = {"bytes": byte_level(), "pieces": word_pieces()}


def test_a_lone_surrogate_is_one_character(ours):
    (placed,) = placed_tokens(ours["byte-bpe"], ["a\udcffb"])
    assert placed.starts[-1] == 2 and placed.stops[-1] == 3


def test_an_empty_text_has_no_tokens(ours):
    for known in (*ours.values(), *FOREIGN.values()):
        (placed,) = placed_tokens(known, [""])
        assert len(placed.ids) == len(placed.starts) == len(placed.stops) == 0
