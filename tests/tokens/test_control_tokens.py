"""Control tokens that are added to a tokenizer, and text in which their names stand."""

import pytest
import tokenizers
from foreign_chat import words, write_folder
from hypothesis import given, strategies as st
from tokenizers import AddedToken

from inkstone.tokens.chat_template import ChatTemplate
from inkstone.tokens.control_tokens import TURN_TOKENS, ControlTokens, plain_data, with_turn_tokens
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.template_sandbox import ChatTemplateError
from inkstone.tokens.tokenizer import KINDS, Tokenizer


@pytest.mark.parametrize("kind", KINDS)
def test_our_tokenizers_have_the_turn_tokens(kind):
    tokenizer = learn_tokenizer(["ink and stone 砚台 " * 9], kind, 300)
    same, new = with_turn_tokens(tokenizer)
    assert new == [] and same.fingerprint == tokenizer.fingerprint
    assert (same.kind, same.end, same.names) == (tokenizer.kind, tokenizer.end, tokenizer.names)


def test_what_is_new_in_others_follows_the_last_id(tmp_path):
    old = Tokenizer.load(write_folder(tmp_path, "headers"))
    before = old.fingerprint
    new, ids = with_turn_tokens(old)
    assert ids == [old.vocab_size, old.vocab_size + 1] and new.vocab_size == old.vocab_size + 2
    assert [new.backend.token_to_id(token) for token in TURN_TOKENS] == ids
    assert (new.end, new.names) == (old.end, old.names)
    assert old.fingerprint == before
    text = "ink <|im_start|> 砚"
    assert new.encode(text) == old.encode(text)
    ids = ChatTemplate.chatml(new).ids([{"role": "user", "content": text}])
    assert len(ids) == len(new.encode("user\n" + text + "\n")) + 3  # the begin token and those of the turn


def test_a_token_that_was_text_becomes_special_without_a_new_id():
    backend = tokenizers.Tokenizer.from_str(words())
    backend.add_tokens(["<|im_start|>", "filler"])
    old = Tokenizer(backend)
    new, ids = with_turn_tokens(old)
    assert ids == [old.vocab_size]
    assert new.backend.token_to_id("<|im_start|>") == old.backend.token_to_id("<|im_start|>") in new.special_ids


def test_added_tokens_keep_their_ids_where_they_are_read_as_text():
    """Some are special, some not, and the template writes some of either."""
    backend = tokenizers.Tokenizer.from_str(words())
    for number in range(6):
        token = AddedToken(f"<{number}>", special=number % 2 == 0, normalized=False)
        (backend.add_special_tokens if number % 2 == 0 else backend.add_tokens)([token])
    controls = ControlTokens(Tokenizer(backend), "<1> <2>")
    assert set(controls.all) == {"<|endoftext|>", "<0>", "<1>", "<2>", "<4>"}
    said = [{"role": "user", "content": "<0> a <1> b <3> c <5> d <2>"}]
    hidden = controls.hide(said, {}, "")
    placed = controls.read("<1>" + hidden.messages[0]["content"] + "<0>", hidden)
    names = [backend.id_to_token(number) for number in placed.ids if number in backend.get_added_tokens_decoder()]
    assert names == ["<1>", "<3>", "<5>", "<0>"]
    assert backend.decode(placed.ids.tolist(), skip_special_tokens=False) == f"<1>{said[0]['content']}<0>"


@pytest.fixture(scope="module")
def controls() -> ControlTokens:
    return ControlTokens(learn_tokenizer(["ink and stone 砚台 " * 9], "byte-bpe", 300), "")


@given(text=st.text(st.sampled_from("<|im_startend>ab \n墨\ufdd0\U000f0000\U000f0001"), max_size=30))
def test_hidden_text_has_its_length_and_comes_back(controls, text):
    hidden = controls.hide([{"role": "user", "content": text}], {"x": [text]}, "")
    content = hidden.messages[0]["content"]
    assert len(content) == len(text) and hidden.show(content) == text and hidden.others == {"x": [content]}
    assert not any(token in content for token in controls.all)
    placed = controls.read(content, hidden)
    assert placed.ids.tolist() == controls.tokenizer.encode(text)
    assert not text or (placed.starts[0], placed.stops[-1]) == (0, len(text))


def test_only_plain_data_reaches_a_template():
    class Word(str):
        def shout(self):
            return "!"

    told = plain_data({"a": (Word("x"), 1, 2.5, None, True), "b": "\ud800"}, "it")
    assert told == {"a": ["x", 1, 2.5, None, True], "b": "�"} and type(told["a"][0]) is str
    for value in (object(), {1, 2}, b"x", len):
        with pytest.raises(ChatTemplateError, match="it holds a "):
            plain_data([value], "it")
