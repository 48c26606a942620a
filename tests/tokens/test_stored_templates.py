"""Chat templates in model folders: written whole, found where `transformers` finds them, named where they are broken."""

import json
import os

import pytest
from foreign_chat import TEMPLATES, write_folder
from transformers import AutoTokenizer

from inkstone.tokens import stored_templates
from inkstone.tokens.chat_template import ChatTemplate, ChatTemplateError
from inkstone.tokens.learning import learn_tokenizer
from inkstone.tokens.tokenizer import Tokenizer

MESSAGES = [{"role": "user", "content": "砚?"}, {"role": "assistant", "content": "An inkstone."}]


def tokenizer() -> Tokenizer:
    return learn_tokenizer(["ink and stone 砚台 " * 9], "byte-bpe", 300)


def test_ours_comes_back_from_its_folder(tmp_path):
    template = ChatTemplate.chatml(tokenizer())
    assert ChatTemplate.of(tmp_path, template.tokenizer) is None
    template.save(tmp_path)
    template.tokenizer.save(tmp_path)
    again = ChatTemplate.of(tmp_path, Tokenizer.load(tmp_path))
    assert again is not None
    assert (again.source, again.place) == (template.source, str(tmp_path / "chat_template.jinja"))
    assert again.ids(MESSAGES) == template.ids(MESSAGES)
    assert AutoTokenizer.from_pretrained(tmp_path).chat_template == template.source


def test_a_template_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    template = ChatTemplate.chatml(tokenizer())
    (tmp_path / "chat_template.jinja").write_text("old", encoding="utf-8")
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError):
        template.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["chat_template.jinja"]
    assert (tmp_path / "chat_template.jinja").read_text(encoding="utf-8") == "old"


@pytest.mark.parametrize("name", TEMPLATES)
def test_those_in_the_settings_of_the_tokenizer_are_found(name, tmp_path):
    beside, inside = write_folder(tmp_path / "a", name), write_folder(tmp_path / "b", name, in_settings=True)
    assert not (inside / "chat_template.jinja").exists()
    first, second = (ChatTemplate.of(folder, Tokenizer.load(folder)) for folder in (beside, inside))
    assert first is not None and second is not None
    assert first.ids(MESSAGES) == second.ids(MESSAGES)
    assert second.place == str(inside / "tokenizer_config.json")
    second.save(inside)
    again = ChatTemplate.of(inside, Tokenizer.load(inside))
    assert again is not None and again.place.endswith("jinja") and again.ids(MESSAGES) == first.ids(MESSAGES)


def test_of_several_one_is_chosen_as_transformers_does(tmp_path):
    tokenizer().save(tmp_path)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings["chat_template"] = [{"name": "default", "template": "d"}, {"name": "tool_use", "template": "t"}]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")

    def source(name="default"):
        found = ChatTemplate.of(tmp_path, Tokenizer.load(tmp_path), name)
        return found and found.source

    assert (source(), source("tool_use")) == ("d", "t")
    with pytest.raises(ChatTemplateError, match=r"no chat template 'rag'; there is only: default, tool_use"):
        source("rag")
    (tmp_path / "additional_chat_templates").mkdir()
    (tmp_path / "additional_chat_templates" / "rag.jinja").write_text("r", encoding="utf-8")
    (tmp_path / "chat_template.jinja").write_text("f", encoding="utf-8")
    assert (source(), source("rag")) == ("f", "r")
    assert AutoTokenizer.from_pretrained(tmp_path).chat_template == {"default": "f", "rag": "r"}
    with pytest.raises(ChatTemplateError, match="only: default, rag"):
        source("tool_use")


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("chat_template.jinja", b"a\n{% if %}", r"chat_template\.jinja:2: "),
        ("chat_template.jinja", b"\xff\xfe", r"chat_template\.jinja: cannot be read"),
        ("chat_template.jinja", b"a" * 5000, r"chat_template\.jinja: larger than 4,000 bytes"),
        ("tokenizer_config.json", b"{", r"tokenizer_config\.json: cannot be read as JSON"),
        ("tokenizer_config.json", b'{"chat_template": 1}', r"neither a text nor a list"),
        ("tokenizer_config.json", b'{"chat_template": [{"name": "default"}]}', r"neither a text nor a list"),
        (
            "tokenizer_config.json",
            b'{"chat_template": [{"name": ["a"], "template": "x"}]}',
            r"neither a text nor a list",
        ),
    ],
)
def test_what_is_no_template_is_named(file, content, words, tmp_path, monkeypatch):
    monkeypatch.setattr(stored_templates, "LARGEST_TEMPLATE", 1000)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ChatTemplateError, match=words):
        ChatTemplate.of(tmp_path, tokenizer())
