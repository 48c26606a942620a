"""Words as tokens: each unit spells its word and no other, whatever the tokenizer, and windows label every word once."""

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings, strategies as st

from inkstone.tasks.framing import Frame
from inkstone.tasks.word_windows import encode_words, pieces_carry_blanks, windows
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.tokenizer import Tokenizer

TEXT = "the ink of the stone is in a well, and 我来到北京清华大学 to write of it " * 20


def word_piece():
    pieces = ["[UNK]", "[CLS]", "[SEP]", "the", "in", "ink", "##k", "st", "##one", "a", "i", *"我来到北京"]
    backend = tokenizers.Tokenizer(tokenizers.models.WordPiece({p: n for n, p in enumerate(pieces)}, unk_token="[UNK]"))
    backend.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    backend.add_special_tokens(["[UNK]", "[CLS]", "[SEP]"])
    return Tokenizer(backend, end=2)


TOKENIZERS = {
    **{kind: learn_tokenizer([TEXT], kind, 400) for kind in ("byte-bpe", "unigram", "word", "character")},
    "wordpiece": word_piece(),
}
WORDS = st.lists(
    st.sampled_from(["the", " the", "ink", " inkstone", "我", "北京", ",", " zebra", "é", "\u200d", "a" * 40]),
    min_size=1,
    max_size=60,
)


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_each_unit_spells_its_word_with_its_blank_where_pieces_carry_one(kind):
    tokenizer = TOKENIZERS[kind]
    frame = Frame.of(tokenizer, 200)
    words = ["the", " ink", " stone", "我", "北京", ",", " zebra"]
    (spelled,) = encode_words(frame, [words])
    (window,) = windows(frame, spelled)
    ends = [*window.units[1:], len(window.ids) - len(frame.after)]
    carries = pieces_carry_blanks(tokenizer)
    assert carries == (kind in ("byte-bpe", "unigram", "word"))
    for word, begin, end in zip(words, window.units, ends, strict=True):
        wanted = word if carries else word.lstrip()
        assert window.ids[begin:end].tolist() == tokenizer.encode(wanted)
        if kind != "wordpiece":
            assert tokenizer.decode(window.ids[begin:end].tolist()) == wanted


@settings(max_examples=60, deadline=None)
@given(WORDS, st.sampled_from(sorted(TOKENIZERS)), st.integers(10, 40))
def test_windows_hold_each_word_once_in_order_and_nothing_but_its_neighbours(words, kind, context):
    frame = Frame.of(TOKENIZERS[kind], context)
    (spelled,) = encode_words(frame, [words])
    found = windows(frame, spelled)
    assert [found[0].first, *(w.stop for w in found)] == [*(w.first for w in found), len(words)]
    line = np.concatenate([ids[: frame.room] for ids in spelled])
    begins = np.cumsum([0, *(min(len(ids), frame.room) for ids in spelled)])
    for number, window in enumerate(found):
        inner = window.ids[len(frame.before) : len(window.ids) - len(frame.after)]
        assert len(window.ids) <= context and window.stop > window.first
        stop = begins[window.stop]
        assert (inner == line[stop - len(inner) : stop]).all()  # a stretch of the sentence, up to the last word
        assert stop - len(inner) in begins.tolist()  # that begins with a word
        assert (window.units - len(frame.before) + stop - len(inner)).tolist() == begins[
            window.first : window.stop
        ].tolist()
        assert number == 0 or stop - len(inner) <= begins[window.first]


def test_a_later_window_begins_with_words_of_the_one_before_and_a_giant_word_is_cut():
    frame = Frame.of(TOKENIZERS["character"], 41)  # one for the end token
    (spelled,) = encode_words(frame, [["ab"] * 40])
    found = windows(frame, spelled)
    assert [(w.first, w.stop) for w in found] == [(0, 20), (20, 35), (35, 40)]
    assert [len(w.ids) for w in found] == [41, 41, 21]
    (spelled,) = encode_words(frame, [["a" * 50_000, "b"]])
    assert [(len(w.ids), w.cut) for w in windows(frame, spelled)] == [(41, True), (2, False)]


def test_a_word_without_tokens_still_has_one():
    frame = Frame.of(TOKENIZERS["wordpiece"], 20)
    (spelled,) = encode_words(frame, [["the", "\u200d", "ink"]])
    assert [ids.tolist() for ids in spelled] == [[3], [2], [5]]
    assert encode_words(frame, [[]]) == [[]] and windows(frame, []) == []
