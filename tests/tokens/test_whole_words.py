"""Words that are masked together: against the words of the text itself, and against a byte-by-byte oracle."""

from itertools import pairwise

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings, strategies as st

from inkstone.text.words import words
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.tokenizer import Tokenizer
from inkstone.tokens.whole_words import continues_word, spelled_pieces

TEXTS = ["The stonecutters' ink, 墨 on 砚: 我来到北京清华大学。", "naïve Ελλάδα 🖋️👩‍👧 don't\n\n1957"]
TOKENIZERS = {kind: learn_tokenizer(iter(TEXTS * 20), kind, 320) for kind in ("byte-bpe", "unigram", "character")}


def groups(tokenizer: Tokenizer, text: str) -> list[str]:
    """The text, taken apart where a token does not go on with the one before."""
    ids = np.array([tokenizer.encode(text)])
    goes_on = continues_word(ids, spelled_pieces(tokenizer))[0]
    cuts = [*np.flatnonzero(~goes_on), len(goes_on)]
    return [tokenizer.decode(ids[0, a:b]) for a, b in pairwise(cuts)]


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_no_word_is_parted(kind):
    for text in TEXTS:
        found = groups(TOKENIZERS[kind], text)
        assert "".join(found) == text
        for word in words(text):
            assert any(word in group for group in found), (word, found)


def test_characters_gather_into_words_and_words_stay_apart():
    assert groups(TOKENIZERS["character"], "我来到北京清华大学，ink on") == [
        "我", "来到", "北京", "清华大学", "，", "ink", " ", "on",
    ]  # fmt: skip


def test_a_character_in_bytes_stays_whole_even_where_it_is_no_word():
    pieces = [bytes([byte]) for byte in range(256)]
    ids = np.frombuffer("🖋a".encode(), dtype=np.uint8)[None].astype(np.int64)
    assert continues_word(ids, pieces)[0].tolist() == [False, True, True, True, False]


def test_special_tokens_and_ids_without_a_token_part_words():
    tokenizer = TOKENIZERS["character"]
    one, end = tokenizer.encode("ink"), tokenizer.end
    ids = np.array([[*one, end, *one, tokenizer.vocab_size + 3, *one]])
    goes_on = continues_word(ids, spelled_pieces(tokenizer))[0]
    assert goes_on.tolist() == [False, True, True, False] * 2 + [False, True, True]


def test_wordpiece():
    """Blanks are not in the tokens there: "##" goes on, a bare token begins, Chinese characters stand side by side."""
    vocab = {token: i for i, token in enumerate(["[UNK]", "[SEP]", "ink", "stone", "##s", "##ed", "清", "华", "!"])}
    backend = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocab, unk_token="[UNK]"))
    backend.add_special_tokens(["[SEP]", "[UNK]"])
    backend.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    backend.decoder = tokenizers.decoders.WordPiece()
    tokenizer = Tokenizer(backend)
    ids = [vocab[token] for token in ("ink", "##ed", "stone", "##s", "!", "清", "华", "[SEP]", "ink")]
    goes_on = continues_word(np.array([ids]), spelled_pieces(tokenizer))[0]
    assert goes_on.tolist() == [False, True, False, True, False, False, True, False, False]


@given(
    st.lists(st.sampled_from(["清", "华大", "ink", " ", "é", "🖋", "3", "'", "\n"]), min_size=1, max_size=12),
    st.randoms(),
)
@settings(max_examples=60)
def test_any_cut_into_bytes(parts, random):
    """Every byte of a word but its first goes on; a token goes on where its first byte does."""
    text = "".join(parts)
    raw = text.encode()
    inside, at = [byte & 0xC0 == 0x80 for byte in raw], 0
    for word in words(text):
        at = text.index(word, at)
        first = len(text[:at].encode())
        for byte in range(first + 1, first + len(word.encode())):
            inside[byte] = True
        at += len(word)
    cuts = sorted({0, *(random.randrange(len(raw)) for _ in range(6))})
    pieces = [raw[a:b] for a, b in zip(cuts, [*cuts[1:], len(raw)], strict=True)]
    goes_on = continues_word(np.arange(len(pieces))[None], pieces)[0]
    assert goes_on.tolist() == [inside[cut] for cut in cuts]
