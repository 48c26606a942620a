"""Tokenizers with new tokens: old ids stay, text comes back, and other programs read the same."""

import json
from collections import Counter
from itertools import groupby, pairwise
from operator import itemgetter

import pytest
import tokenizers
from hypothesis import given, strategies as st
from tokenizers import models, pre_tokenizers

from inkstone.errors import RecipeError
from inkstone.tokens.extending import extend_tokenizer
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.tokenizer import KINDS, Tokenizer

OLD = [f"The ink stone number {n} lies on the table, and the brush of {n * n} hairs is dry. " * 3 for n in range(60)]
NEW = [f"砚台第{n}方放在桌上，毛笔的{n * n}根毛已经干了。纸上写着：墨水用完了！\n" * 3 for n in range(60)]
MOST = 60


@pytest.fixture(scope="module", params=KINDS)
def both(request):
    """An old tokenizer, and what it became."""
    old = learn_tokenizer(iter(OLD), request.param, 400)
    return old, extend_tokenizer(old, NEW, MOST)


def test_new_ids_follow_the_old_ones_which_keep_their_meaning(both):
    old, extension = both
    new = extension.tokenizer
    before, after = (t.backend.get_vocab(with_added_tokens=True) for t in (old, new))
    assert extension.first == old.vocab_size and 20 < len(extension.pieces) <= MOST
    assert {token: after[token] for token in before} == before
    assert sorted(set(after.values()) - set(before.values())) == list(range(old.vocab_size, new.vocab_size))
    assert new.vocab_size == extension.first + len(extension.pieces)
    assert (new.end, new.kind, new.special_ids, new.names) == (old.end, old.kind, old.special_ids, old.names)


def test_the_new_text_has_fewer_tokens_and_the_old_one_those_it_had(both):
    old, extension = both
    new = extension.tokenizer
    assert sum(map(len, new.encode_batch(NEW))) < 0.6 * sum(map(len, old.encode_batch(NEW)))
    assert [ids.tolist() for ids in new.encode_batch(OLD)] == [ids.tolist() for ids in old.encode_batch(OLD)]


def test_pieces_spell_their_token(both):
    old, extension = both
    for number, pieces in enumerate(extension.pieces, start=extension.first):
        assert len(pieces) > 1 and max(pieces) < extension.first
        assert old.spelling and extension.tokenizer.spelling
        assert b"".join(old.spelling[piece] for piece in pieces) == extension.tokenizer.spelling[number]


@given(st.text() | st.lists(st.sampled_from([*"砚台桌，。ink \n😀´", "<|endoftext|>", "<0xE7>", "第5方"])).map("".join))
def test_every_text_comes_back_and_keeps_its_tokens_where_none_is_new(both, text):
    old, extension = both
    ids = extension.tokenizer.encode(text)
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert extension.tokenizer.decode(ids) == whole
    assert not set(ids) & extension.tokenizer.special_ids
    if all(number < extension.first for number in ids):
        assert ids == old.encode(text)
    if (
        old.kind == "byte-bpe"
    ):  # new merges apply to what the old ones left, so that new tokens can be taken apart again
        parts = [extension.pieces[n - extension.first] if n >= extension.first else [n] for n in ids]
        assert [number for part in parts for number in part] == old.encode(text)


def test_merges_are_those_of_byte_pair_encoding_on_what_the_old_tokenizer_cut():
    """Against an algorithm that counts all pairs anew for each merge; where several are as frequent, any of them is right."""
    old = learn_tokenizer(iter(OLD), "byte-bpe", 300)
    text = ["zaqxswzaq xsw zaqxsw, vfrt zaqx vfr bgt. " * 4, "xswvfr bgtzaq. "]
    extension = extend_tokenizer(old, text, 12)
    words: list[list[int]] = []
    for encoding in old.backend.encode_batch(text, add_special_tokens=False):
        for _, word in groupby(zip(encoding.word_ids, encoding.ids, strict=True), key=itemgetter(0)):
            words.append([number for _, number in word])
    after = extension.tokenizer.backend
    vocab = after.get_vocab()
    rules = [m for m in _merges(after) if vocab["".join(m)] >= extension.first]
    assert len(rules) == 12
    for rule in rules:
        pairs = Counter(pair for word in words for pair in pairwise(word))
        left, right = vocab[rule[0]], vocab[rule[1]]
        assert pairs[left, right] == max(pairs.values())
        for word in words:
            at = 0
            while at < len(word) - 1:
                if (word[at], word[at + 1]) == (left, right):
                    word[at : at + 2] = [vocab["".join(rule)]]
                at += 1


def _merges(backend: tokenizers.Tokenizer) -> list[tuple[str, str]]:
    return [(left, right) for left, right in json.loads(backend.to_str())["model"]["merges"]]


def test_other_programs_read_the_same_ids(both, tmp_path):
    from transformers import AutoTokenizer

    _, extension = both
    tokenizer = extension.tokenizer
    tokenizer.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    plain = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    for text in [*OLD[:3], *NEW[:3], "ink 砚😀"]:
        assert theirs(text, add_special_tokens=False)["input_ids"] == tokenizer.encode(text)
        assert plain.encode(text, add_special_tokens=False).ids == tokenizer.encode(text)
    assert theirs.eos_token_id == tokenizer.end
    again = Tokenizer.load(tmp_path)
    assert again.fingerprint == tokenizer.fingerprint and again.encode(NEW[0]) == tokenizer.encode(NEW[0])


def test_the_same_text_gives_the_same_tokens_and_an_extended_one_can_be_extended(both):
    old, extension = both
    assert extend_tokenizer(old, NEW, MOST).tokenizer.fingerprint == extension.tokenizer.fingerprint
    more = extend_tokenizer(extension.tokenizer, ["Эта тушь не сохнет, а камень сухой. " * 20], 20)
    assert more.first == extension.tokenizer.vocab_size and more.pieces
    assert more.tokenizer.decode(more.tokenizer.encode("тушь и 砚台")) == "тушь и 砚台"
    assert more.tokenizer.encode(NEW[5]) == extension.tokenizer.encode(NEW[5])


def test_byte_level_bpe_of_others_is_extended_and_their_other_kinds_are_refused():
    ours = learn_tokenizer(iter(OLD), "byte-bpe", 300)
    foreign = Tokenizer(tokenizers.Tokenizer.from_str(ours.backend.to_str()), "foreign", ours.end)
    extension = extend_tokenizer(foreign, NEW, 40)
    assert extension.tokenizer.kind == "foreign" and len(extension.pieces) == 40
    assert extension.tokenizer.decode(extension.tokenizer.encode(NEW[0])) == NEW[0]
    pieces = tokenizers.Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1, "##b": 2, "[SEP]": 3}, unk_token="[UNK]"))
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()  # type: ignore[assignment]
    with pytest.raises(RecipeError, match=r"WordPiece.*cannot be extended"):
        extend_tokenizer(Tokenizer(pieces, "foreign", 3), NEW, 40)
    with pytest.raises(RecipeError, match="ask for 1 or more"):
        extend_tokenizer(ours, NEW, 0)


def test_text_that_holds_nothing_new_adds_nothing():
    old = learn_tokenizer(iter(OLD), "byte-bpe", 400)
    extension = extend_tokenizer(old, ["q"], 10)
    assert extension.pieces == [] and extension.tokenizer.vocab_size == old.vocab_size
