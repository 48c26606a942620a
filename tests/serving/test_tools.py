"""Calls of tools: the form that a template shows, forced calls, and those that a model makes by itself."""

import json

import numpy as np
import openai
import pytest

from inkstone.hub.folder import save
from inkstone.inference.schema_check import ConstraintError
from inkstone.models.ngram import NGram, NGramSettings
from inkstone.serving.api_errors import ApiError
from inkstone.serving.tool_calls import Call, ToolForm
from inkstone.serving.tool_grammar import calling
from inkstone.tokens.added_tokens import with_tokens
from inkstone.tokens.chat_template import ChatTemplate
from inkstone.tokens.learning import learn_tokenizer

from .servers import served, small_decoder, write_decoder

HEAD = (
    "{%- if tools %}<|im_start|>system\n{% for tool in tools %}{{ tool | tojson }}\n{% endfor %}<|im_end|>\n{% endif %}"
    "{%- for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
)
TAIL = "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
HERMES = (
    HEAD
    + "{% for c in m.tool_calls or [] %}\n<tool_call>\n"
    + '{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}'
    + "\n</tool_call>{% endfor %}"
    + TAIL
)
BARE = (
    HEAD
    + "{% for c in m.tool_calls or [] %}"
    + '{"name": "{{ c.function.name }}", "parameters": {{ c.function.arguments | tojson }}}'
    + "{% endfor %}"
    + TAIL
)
LISTED = (
    HEAD
    + "{% if m.tool_calls %}[TOOLS] [{% for c in m.tool_calls %}"
    + '{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}'
    + "{% if not loop.last %}, {% endif %}{% endfor %}]{% endif %}"
    + TAIL
)
PARAMETERS = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 9}},
    "required": ["n"],
    "additionalProperties": False,
}
TOOLS = [
    {"type": "function", "function": {"name": "grind", "description": "Grind ink", "parameters": PARAMETERS}},
    {"type": "function", "function": {"name": "wash", "parameters": {"type": "object", "properties": {}, "additionalProperties": False}}},
]  # fmt: skip
ASKED = [{"role": "user", "content": "Some ink, please."}]
SAID = 'At once.\n<tool_call>\n{"name": "grind", "arguments": {"n": 3}}\n</tool_call>\n<tool_call>\n{"name": "wash", "arguments": {}}\n</tool_call>'


@pytest.mark.parametrize(
    ("source", "form"),
    [
        (HERMES, ToolForm("<tool_call>\n", "\n</tool_call>", "name", "arguments")),
        (BARE, ToolForm("", "", "name", "parameters")),
        (LISTED, ToolForm("[TOOLS] [", "]", "name", "arguments")),
    ],
)
def test_the_form_of_calls_is_what_the_template_writes(source, form):
    template = ChatTemplate(source, small_decoder().tokenizer)
    assert ToolForm.of(template) == form
    calls = [
        {"type": "function", "function": {"name": name, "arguments": {"n": 1, "s": "{}"}}} for name in ("grind", "wash")
    ]
    written = template.render(
        [*ASKED, {"role": "assistant", "content": "", "tool_calls": calls[: 1 + (source != BARE)]}]
    )
    answer = written.rpartition("assistant\n")[2].removesuffix("<|im_end|>\n")
    found = form.calls(answer, ["grind", "wash"])
    assert [call.name for call in found] == ["grind", "wash"][: len(found)] and len(found) == 1 + (source != BARE)
    assert json.loads(found[0].arguments) == {"n": 1, "s": "{}"}


def test_a_template_without_tools_or_in_another_form_is_named():
    tokenizer = small_decoder().tokenizer
    with pytest.raises(ApiError, match="knows none"):
        ToolForm.of(ChatTemplate.chatml(tokenizer))
    with pytest.raises(ApiError, match="is not known"):
        ToolForm.of(ChatTemplate(HEAD + TAIL, tokenizer))


@pytest.mark.parametrize(
    "text",
    [
        "no call at all",
        '<tool_call>\n{"name": "grind"',
        '<tool_call>\n{"name": "other", "arguments": {}}\n</tool_call>',
        '<tool_call>\n["grind"]\n</tool_call>',
        '<tool_call>\n{"name": "grind", "arguments": {}}\n</tool_call> and more {"a": 1}',
        "<tool_call>" + "[" * 5000 + '{"a":' * 5000,
    ],
)
def test_what_is_no_call_stays_text(text):
    assert ToolForm("<tool_call>\n", "\n</tool_call>", "name", "arguments").calls(text, ["grind"]) == []


def test_arguments_that_are_written_as_text():
    form = ToolForm("<tool_call>\n", "\n</tool_call>", "name", "arguments")
    assert form.calls('<tool_call>{"name": "grind", "arguments": "{\\"n\\": 2}"}', ["grind"]) == [
        Call("grind", '{"n": 2}')
    ]


@pytest.fixture(scope="module")
def callers(tmp_path_factory):
    """A random model with tools, and one that learned to call them, by heart; their server."""
    folder = tmp_path_factory.mktemp("callers")
    write_decoder(folder / "random", HERMES, context=1024)
    write_decoder(folder / "bare", BARE, context=1024)
    tokenizer = learn_tokenizer(iter([SAID, "ink"] * 4), "byte-bpe", 300)
    template = ChatTemplate(HERMES, tokenizer)
    model = NGram(NGramSettings(tokenizer.vocab_size, order=12), tokenizer)
    messages = [*ASKED, {"role": "assistant", "content": SAID}]
    ids = template.ids(messages, tools=TOOLS)
    model.fit([np.array(ids[: ids.index(max(template.ends - {tokenizer.end}), len(ids) - 10) + 1])] * 3)
    save(model, folder / "learned")
    template.save(folder / "learned")
    with served([folder / "random", folder / "bare", folder / "learned"]) as serving:
        with openai.OpenAI(base_url=f"{serving.url}/v1", api_key="none", max_retries=0, timeout=60) as client:
            yield client


@pytest.mark.parametrize("model", ["random", "bare"])
@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "grind"}}])
def test_a_forced_call_has_valid_arguments(callers, model, choice):
    asked = {"model": model, "messages": ASKED, "tools": TOOLS, "tool_choice": choice, "max_tokens": 60, "seed": 2}
    message = callers.chat.completions.create(**asked).choices[0]
    (call,) = message.message.tool_calls
    assert message.finish_reason == "tool_calls" and message.message.content is None
    assert call.function.name in (("grind", "wash") if choice == "required" else ("grind",))
    arguments = json.loads(call.function.arguments)
    assert (set(arguments) == {"n"} and 0 <= arguments["n"] <= 9) if call.function.name == "grind" else arguments == {}
    events = [event.choices[0] for event in callers.chat.completions.create(**asked, stream=True)]
    (streamed,) = [each for event in events for each in event.delta.tool_calls or ()]
    assert streamed.function.model_dump() == call.function.model_dump() and streamed.index == 0 and streamed.id
    assert events[-1].finish_reason == "tool_calls" and not any(event.delta.content for event in events)


def test_a_model_calls_by_itself_and_says_something_before(callers):
    asked = {"model": "learned", "messages": ASKED, "tools": TOOLS, "temperature": 0, "max_tokens": 150}
    choice = callers.chat.completions.create(**asked).choices[0]
    assert choice.message.content == "At once."
    called = [(call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls]
    assert called == [("grind", {"n": 3}), ("wash", {})] and choice.finish_reason == "tool_calls"
    (only,) = callers.chat.completions.create(**asked, parallel_tool_calls=False).choices[0].message.tool_calls
    assert only.function.name == "grind"
    events = [event.choices[0] for event in callers.chat.completions.create(**asked, stream=True)]
    assert "".join(event.delta.content or "" for event in events).strip() == "At once."
    streamed = [each for event in events for each in event.delta.tool_calls or ()]
    assert [each.function.name for each in streamed] == ["grind", "wash"] and [each.index for each in streamed] == [
        0,
        1,
    ]


def test_a_call_of_a_tool_that_is_not_known_is_told_as_text(callers):
    asked = {"model": "learned", "messages": ASKED, "tools": TOOLS[:1], "temperature": 0, "max_tokens": 150}
    whole = callers.chat.completions.create(**asked).choices[0]
    events = [event.choices[0] for event in callers.chat.completions.create(**asked, stream=True)]
    assert "".join(event.delta.content or "" for event in events) == whole.message.content
    assert whole.message.tool_calls is None and whole.finish_reason != "tool_calls"


def test_the_answer_of_a_tool_goes_back_to_the_model(callers):
    call = {"id": "call_1", "type": "function", "function": {"name": "grind", "arguments": '{"n": 3}'}}
    messages = [
        *ASKED,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "ground"},
    ]
    answer = callers.chat.completions.create(model="random", messages=messages, tools=TOOLS, max_tokens=5, seed=1)
    assert answer.usage.completion_tokens == 5
    call["function"]["arguments"] = "{n"
    with pytest.raises(openai.BadRequestError, match="no JSON"):
        callers.chat.completions.create(model="random", messages=messages, tools=TOOLS, max_tokens=5)


def strictly(tool: dict, **properties) -> dict:
    """The tool, strict, its parameters with these properties."""
    parameters = {**PARAMETERS, "properties": properties, "required": list(properties)}
    return {"type": "function", "function": {**tool["function"], "parameters": parameters, "strict": True}}


def test_a_strict_tool_has_arguments_of_its_schema_where_the_model_decides(callers):
    high = strictly(TOOLS[0], n={"type": "integer", "minimum": 5, "maximum": 7})
    asked = {"model": "learned", "messages": ASKED, "temperature": 0, "max_tokens": 150}
    loose = {**high, "function": {**high["function"], "strict": False}}
    choice = callers.chat.completions.create(**asked, tools=[loose, TOOLS[1]]).choices[0]
    assert json.loads(choice.message.tool_calls[0].function.arguments) == {"n": 3}  # as it has learned it
    choice = callers.chat.completions.create(**asked, tools=[high, TOOLS[1]]).choices[0]
    called = [(call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls]
    assert choice.message.content == "At once." and called[0][0] == "grind" and called[0][1]["n"] in (5, 6, 7)
    events = [
        event.choices[0] for event in callers.chat.completions.create(**asked, tools=[high, TOOLS[1]], stream=True)
    ]
    streamed = [each for event in events for each in event.delta.tool_calls or ()]
    assert [(each.function.name, json.loads(each.function.arguments)) for each in streamed] == called
    asked["messages"] = [{"role": "user", "content": "another question"}]
    assert not callers.chat.completions.create(**asked, tools=[high], seed=1).choices[0].message.tool_calls


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("source", [HERMES, BARE, LISTED])
def test_whatever_is_drawn_after_the_mark_is_a_call(source, special):
    tokenizer = learn_tokenizer(iter([SAID, "ink {}"] * 4), "byte-bpe", 300)
    if special:
        tokenizer, _ = with_tokens(tokenizer, ("<tool_call>", "</tool_call>", "[TOOLS]", "<thought>"))
    template = ChatTemplate(source, tokenizer)
    form, random = ToolForm.of(template), np.random.default_rng(5)
    word = {
        "type": "object",
        "properties": {"w": {"$ref": "#/$defs/w"}},
        "required": ["w"],
        "$defs": {"w": {"enum": ["a", "b"]}},
    }
    functions = [{**TOOLS[0]["function"]}, {"name": "wash", "parameters": {**word, "additionalProperties": False}}]
    constraint = calling(form, template, functions)
    for _ in range(12):
        text = constraint.begin(tokenizer, template.ends)
        ids = [] if not form.mark else tokenizer.encode("ink ")
        ids += template.own_ids(form.mark or "{")
        for number in ids:
            text.take(number)
        while len(ids) < 400:
            can = np.flatnonzero(text.allowed())
            number = int(random.choice(can)) if len(ids) > 300 or not text.complete else tokenizer.end
            if number in template.ends:
                break
            text.take(number)
            ids.append(number)
        assert text.complete
        told = form.calls(tokenizer.decode(ids, special=True), ["grind", "wash"])
        assert len(told) >= 1
        for call in told:
            arguments = json.loads(call.arguments)
            if call.name == "grind":
                assert set(arguments) == {"n"} and 0 <= arguments["n"] <= 9
            else:
                assert arguments in ({"w": "a"}, {"w": "b"})


@pytest.mark.parametrize("source", [HERMES, BARE, LISTED])
def test_text_without_a_call_is_free(source):
    tokenizer, _ = with_tokens(learn_tokenizer(iter([SAID, "ink {}"] * 4), "byte-bpe", 300), ("<thought>",))
    template = ChatTemplate(source, tokenizer)
    constraint = calling(ToolForm.of(template), template, [TOOLS[0]["function"]])
    for said in ("", " ", "ink: {1}, <tool\n\n[TOOLS <thought>and so on", "砚 <b>"):
        text = constraint.begin(tokenizer, template.ends)
        for number in template.own_ids(said):
            text.take(number)
        assert text.complete
    with pytest.raises(ConstraintError):
        text = constraint.begin(tokenizer, template.ends)
        for number in template.own_ids(
            '<tool_call>{"name": "fly"' if source == HERMES else '[TOOLS] [{"a' if source == LISTED else '{"a'
        ):
            text.take(number)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"typ": 1}, "strict": True}}]}, "typ"),
        ({"tool_choice": {"type": "function", "function": {"name": "fly"}}}, "no tool is called"),
        ({"response_format": {"type": "json_object"}}, "not both"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"typ": 1}}}], "tool_choice": "required"}, "typ"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "name"),
    ],
)  # fmt: skip
def test_what_tools_cannot_be(callers, asked, words):
    with pytest.raises(openai.BadRequestError, match=words):
        callers.chat.completions.create(
            **{"model": "random", "messages": ASKED, "tools": TOOLS, "max_tokens": 5, **asked}
        )
