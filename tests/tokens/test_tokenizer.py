"""Tokenizers of every kind: each string comes back exactly, here and in transformers."""

import json

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings, strategies as st
from tokenizers import decoders, models, normalizers

from inkstone.errors import RunError
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.tokenizer import END, KINDS, SPECIAL_TOKENS, TURN_END, Tokenizer, whole_characters

TEXT = [
    "The quick brown fox jumps over the lazy dog. It's 1990, isn't it?\n\n    def f(x):\n\t\treturn x  # naïve\n",
    "话说天下大势，分久必合，合久必分。周末七国分争，并入于秦；及秦灭之后，楚、汉分争。\n",
    "Zażółć gęślą jaźń. Ελληνικά, русский текст, 한국어, 日本語のテキスト 😀👩‍👩‍👧 <0x41> <|endoftext|>\n",
]
AWKWARD = [
    "",
    " ",
    "   \n \r\n\t  x",
    "\x00",
    "a\x00b\x00",
    END,
    f"x{END}y<|im_start|>user\n<|im_end|>",
    "<unk><0x41><0xE4>▁Ġ",
    "\u200b\u200d\ufeff\u2028\u00a0\u3000 x",
    "e\u0301 \u0301 한 \u1112\u1161\u11ab",
    "👩‍👩‍👧‍👦🇨🇳🏳️‍🌈",
    "龘𠮷𪚥\U0010ffff\ue000\ufffd",
    "a" * 3000,
    "好" * 3000,
    " " * 3000 + "x",
    "ſ'S K 'ſ",
]
CHARACTERS = st.one_of(
    st.characters(exclude_categories=["Cs"]),
    st.sampled_from("的一是不了在人有我他，。！？“”　\u200b\u200d\ufeff\x00\r\n\t <>|▁Ġ'’é"),
    st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF),
    st.characters(min_codepoint=0x1F300, max_codepoint=0x1FAFF),
    st.characters(max_codepoint=0x7F),
)
STRINGS = st.lists(st.one_of(CHARACTERS, st.sampled_from([*SPECIAL_TOKENS, "<0x41>", "<unk>", "  ", "\n\n"]))).map(
    "".join
)


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request) -> Tokenizer:
    return learn_tokenizer(TEXT * 4, request.param, vocab_size=600)


@pytest.mark.parametrize("text", AWKWARD)
def test_awkward_strings_come_back(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.backend.decode(tokenizer.encode(text), skip_special_tokens=False) == text


@settings(deadline=None, max_examples=120)
@given(text=STRINGS)
def test_every_string_comes_back(tokenizer, text):
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert not tokenizer.special_ids.intersection(ids)
    assert all(0 <= number < tokenizer.vocab_size for number in ids)


@settings(deadline=None, max_examples=120)
@given(texts=st.lists(STRINGS, max_size=4))
def test_a_batch_has_the_ids_of_its_texts(tokenizer, texts):
    batch = tokenizer.encode_batch(texts)
    assert [ids.tolist() for ids in batch] == [tokenizer.encode(text) for text in texts]
    assert all(ids.dtype == np.uint16 and ids.flags.writeable for ids in batch)


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_a_stream_gives_the_decoded_text_without_tearing(tokenizer, data):
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1), max_size=40))
    stream = tokenizer.stream()
    given_out = [stream.push(number) for number in ids]
    assert "".join([*given_out, stream.finish()]) == tokenizer.decode(ids)


@pytest.mark.parametrize("text", ["砚台和墨", "👩‍👩‍👧", "naïve ink"])
def test_a_stream_gives_each_character_as_soon_as_it_is_whole(tokenizer, text):
    stream = tokenizer.stream()
    ids = tokenizer.encode(text)
    shown = ""
    for count, number in enumerate(ids, start=1):
        shown += stream.push(number)
        assert "�" not in shown
        whole = b"".join(tokenizer.spelling[i] for i in ids[:count]).decode("utf-8", "ignore")
        assert shown == whole
    assert shown == text
    assert stream.finish() == ""


def test_an_unfinished_character_is_said_at_the_end():
    tokenizer = learn_tokenizer(["plain"], vocab_size=260)
    stream = tokenizer.stream()
    first, second, _ = tokenizer.encode("砚")
    assert (stream.push(first), stream.push(second), stream.finish()) == ("", "", "�")


def test_special_tokens_are_ids_only(tokenizer):
    ids = [tokenizer.end, *tokenizer.encode("ink"), tokenizer.backend.token_to_id(TURN_END)]
    assert tokenizer.decode(ids) == "ink"
    assert tokenizer.decode(ids, special=True) == END + "ink" + TURN_END
    stream = tokenizer.stream(special=True)
    assert "".join(map(stream.push, ids)) == END + "ink" + TURN_END
    assert tokenizer.special_ids == set(range(tokenizer.vocab_size - 3, tokenizer.vocab_size))


def test_a_text_begins_with_the_end_token_elsewhere_too(tokenizer):
    assert tokenizer.begin == [tokenizer.end]
    assert tokenizer.end not in tokenizer.encode("ink")


def test_saved_and_loaded_it_is_the_same(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    loaded = Tokenizer.load(tmp_path)
    assert (loaded.kind, loaded.end, loaded.vocab_size) == (tokenizer.kind, tokenizer.end, tokenizer.vocab_size)
    assert loaded.fingerprint == tokenizer.fingerprint
    for text in TEXT + AWKWARD:
        assert loaded.encode(text) == tokenizer.encode(text)


def test_transformers_opens_it(tokenizer, tmp_path):
    from transformers import AutoTokenizer

    tokenizer.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(str(tmp_path))
    assert theirs.eos_token == END
    assert theirs.eos_token_id == tokenizer.end
    assert len(theirs) == tokenizer.vocab_size
    for text in TEXT + AWKWARD:
        if any(token in text for token in SPECIAL_TOKENS):
            continue  # there, the text of a special token is that token
        assert theirs(text).input_ids == [tokenizer.end, *tokenizer.encode(text)]
        assert theirs(text, add_special_tokens=False).input_ids == tokenizer.encode(text)
        assert theirs.decode(tokenizer.encode(text)) == text


def test_token_text_shows_bytes_that_are_no_character(tokenizer):
    number = tokenizer.encode("a")[0]
    assert tokenizer.token_text(number) == "a"
    assert tokenizer.token_text(tokenizer.end) == END
    byte = next(i for i, spelling in enumerate(tokenizer.spelling) if spelling == b"\xe4")
    assert tokenizer.token_text(byte) == "\\xe4"
    for outside in (-1, tokenizer.vocab_size):
        with pytest.raises(IndexError, match="outside the vocabulary"):
            tokenizer.token_text(outside)


@pytest.mark.parametrize(
    ("text", "whole"), [("a\ud800b", ("a�b", 1)), ("\ude00\ud83d", ("��", 2)), ("�\ud83d\ude00", ("�😀", 0))]
)
def test_surrogates(tokenizer, text, whole):
    assert whole_characters(text) == whole
    assert tokenizer.decode(tokenizer.encode(text)) == whole[0]
    assert tokenizer.decode(tokenizer.encode_batch([text])[0]) == whole[0]


def llama_like() -> tokenizers.Tokenizer:
    """A tokenizer in the manner of Llama 2: spaces as U+2581, one put before the text, bytes as a way out."""
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2} | {f"<0x{byte:02X}>": 3 + byte for byte in range(256)}
    for token in ("▁", "i", "n", "k", "in", "ink", "▁ink"):
        vocab[token] = len(vocab)
    merges = [("i", "n"), ("in", "k"), ("▁", "ink")]
    backend = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=merges, byte_fallback=True, unk_token="<unk>"))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    backend.add_special_tokens(["<s>", "</s>"])
    return backend


def test_a_foreign_tokenizer(tmp_path):
    llama_like().save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "</s>"}}))
    tokenizer = Tokenizer.load(tmp_path)
    assert (tokenizer.kind, tokenizer.end, tokenizer.spelling) == ("foreign", 2, None)
    text = "ink 砚 ink ink😀"
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert [batch.tolist() for batch in tokenizer.encode_batch([text, "ink"])] == [ids, tokenizer.encode("ink")]
    stream = tokenizer.stream()
    given_out = [stream.push(number) for number in [1, *ids, 2]]
    assert "".join([*given_out, stream.finish()]) == text
    assert not any("�" in part for part in given_out)


def test_folders_that_hold_no_tokenizer(tmp_path):
    with pytest.raises(RunError, match=r"no tokenizer\.json"):
        Tokenizer.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(RunError, match="is no tokenizer"):
        Tokenizer.load(tmp_path)
    tokenizers.Tokenizer(models.BPE()).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(RunError, match="no end token"):
        Tokenizer.load(tmp_path)


def test_settings_that_are_no_object_are_named(tmp_path):
    learn_tokenizer(iter(["ink and stone " * 20]), "byte-bpe", 270).save(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("[]", encoding="utf-8")
    with pytest.raises(RunError, match=r"tokenizer_config\.json holds a list"):
        Tokenizer.load(tmp_path)


def test_the_names_of_tokens_stay_what_they_were(tokenizer, tmp_path):
    assert tokenizer.names == {"bos_token": END, "eos_token": END, "pad_token": END}
    backend = llama_like()
    backend.save(str(tmp_path / "tokenizer.json"))
    told = {"eos_token": {"content": "</s>"}, "bos_token": "<s>", "pad_token": None, "unk_token": 3}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(told))
    foreign = Tokenizer.load(tmp_path)
    assert foreign.names == {"bos_token": "<s>", "eos_token": "</s>"}
    foreign.save(tmp_path)
    saved = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert (saved["bos_token"], saved["eos_token"], saved["pad_token"]) == ("<s>", "</s>", "</s>")
    assert Tokenizer.load(tmp_path).names == foreign.names | {"pad_token": "</s>"}


def test_names_in_a_file_of_their_own_are_read_where_the_settings_are_old(tmp_path):
    llama_like().save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"bos_token": "<s>", "eos_token": "</s>"}))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<s>"}))
    assert Tokenizer.load(tmp_path).end == 2
    assert Tokenizer.load(tmp_path).names == {"bos_token": "<s>", "eos_token": "</s>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<s>", "added_tokens_decoder": {}}))
    assert Tokenizer.load(tmp_path).names == {"eos_token": "<s>"}
    (tmp_path / "tokenizer_config.json").unlink()
    (tmp_path / "special_tokens_map.json").write_text("{")
    with pytest.raises(RunError, match=r"special_tokens_map\.json is no JSON"):
        Tokenizer.load(tmp_path)
