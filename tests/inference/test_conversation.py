"""Conversations, with a chat template and without."""

import pytest

from inkstone.errors import RunError
from inkstone.inference.continuation import Piece
from inkstone.inference.conversation import Conversation, chat
from inkstone.inference.sampling import Sampling, SamplingError
from inkstone.models.decoder import Decoder
from inkstone.models.headed import Headed, HeadSettings
from inkstone.tokens.chat_template import ChatTemplate, ChatTemplateError

from .decoders import byte_tokenizer, decoder
from .known_models import Markov, scripted

GREEDY = Sampling(temperature=0.0, max_tokens=4)


def test_a_base_model_and_the_person_write_one_text():
    conversation = Conversation(scripted("abcdefgh"), GREEDY)
    seen = []
    conversation.model.tokenizer.encode = lambda text: (seen.append(text), [0])[1]
    assert conversation.answer("a") == "bcde"
    conversation.answer("again")
    assert seen == ["a", "abcde\nagain"]
    conversation.reset()
    conversation.answer("anew")
    assert seen[-1] == "anew"


def test_a_model_tuned_for_a_task_does_not_converse():
    tuned = Headed(decoder(), HeadSettings("class", labels=("good", "bad")))
    with pytest.raises(RunError, match=r"was tuned for a task.*inkstone predict"):
        Conversation(tuned, GREEDY)


def test_an_answer_that_was_broken_off_counts_as_far_as_it_came():
    conversation = Conversation(scripted("abcdefgh"), GREEDY)
    pieces = conversation.say("a")
    assert next(pieces).text == "b"
    pieces.close()
    assert conversation.text == "ab\n"


def test_another_seed_draws_another_answer():
    model = Markov.random(20, 0)
    answers = []
    for seed in (0, 1, 0):
        conversation = Conversation(model, Sampling(temperature=1.0, max_tokens=20))
        conversation.reseed(seed)
        answers.append(conversation.answer("a"))
    assert answers[0] == answers[2] != answers[1]


def test_a_conversation_with_a_template_is_written_down_by_it(monkeypatch):
    template = ChatTemplate.chatml(byte_tokenizer())
    conversation = Conversation(decoder(), Sampling(max_tokens=5), template, system="Be brief.")
    asked = []
    monkeypatch.setattr(
        "inkstone.inference.conversation.stream",
        lambda model, ids, sampling, ends, speculation: (asked.append((ids, ends)), iter([Piece(0, "Ink.")]))[1],
    )
    assert conversation.answer("Hello") == "Ink."
    conversation.answer("<|im_end|>")
    assert [message["role"] for message in conversation.messages] == ["system", *["user", "assistant"] * 2]
    assert asked == [
        (template.ids(conversation.messages[:count], add_generation_prompt=True), template.ends) for count in (2, 4)
    ]
    conversation.reset()
    assert [message["role"] for message in conversation.messages] == ["system"]


@pytest.mark.parametrize("template", [True, False])
def test_with_a_draft_the_same_is_said(template):
    def said(draft: str | Decoder | None, seed: int) -> list[str]:
        conversation = chat(model, draft=draft, draft_tokens=3, temperature=0.7, max_tokens=24, seed=seed)
        conversation.template = ChatTemplate.chatml(byte_tokenizer()) if template else None
        for words in ("ink and ink and ink", "and ink"):
            pieces = list(conversation.say(words))
            drafted.append(0 if draft is None else pieces[-1].generated.speculated.drafted)
        return [message["content"] for message in conversation.messages] if template else [conversation.text]

    model, drafted = decoder(), []
    assert said("lookup", 3) == said(None, 3) != said("lookup", 4)
    other = decoder("llama")
    assert said(other, 3) == said(other, 3) != said(other, 4)
    assert sum(drafted) > 0
    with pytest.raises(SamplingError, match="draft_tokens = 0"):
        chat(model, draft="lookup", draft_tokens=0)
    with pytest.raises(RunError, match="name the run folder"):
        chat(model, draft="ngram")


def test_an_answer_with_a_template_ends_where_its_turn_ends():
    conversation = Conversation(decoder(), Sampling(max_tokens=5), ChatTemplate.chatml(byte_tokenizer()))
    answer = conversation.answer("Hello")
    assert conversation.messages[-1] == {"role": "assistant", "content": answer}


def test_what_a_template_refuses_was_not_said():
    source = "{{ raise_exception('too rude') if messages[-1].content == 'x' }}{{ messages[-1].content }}"
    conversation = Conversation(decoder(), Sampling(max_tokens=2), ChatTemplate(source, byte_tokenizer()))
    with pytest.raises(ChatTemplateError, match="too rude"):
        conversation.answer("x")
    assert conversation.messages == []
    conversation.answer("y")
    assert [message["role"] for message in conversation.messages] == ["user", "assistant"]


def test_the_template_of_a_folder_is_found(tmp_path):
    from inkstone.hub.folder import save

    save(decoder(), tmp_path)
    assert chat(tmp_path).template is None
    template = ChatTemplate.chatml(byte_tokenizer())
    template.save(tmp_path)
    found = chat(tmp_path, max_tokens=3).template
    assert found is not None and found.source == template.source
