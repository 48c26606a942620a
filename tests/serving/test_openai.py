"""Completions and conversations through OpenAI's own client, held against `generate`."""

import json

import openai
import pytest

from inkstone.inference.generation import generate
from inkstone.inference.sampling import Sampling

HELLO = [{"role": "user", "content": "Hello, 砚"}]
SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 99}, "ok": {"type": "boolean"}},
    "required": ["n", "ok"],
    "additionalProperties": False,
}


def alone(server, prompt, samples=1, model="base", **settings):
    """What `generate` writes."""
    return generate(server.house.models[model].model, prompt, samples=samples, **settings)


def test_a_completion_is_what_generate_writes(server, client):
    (expected,) = alone(server, "the ink", temperature=0.0, max_tokens=12)
    answer = client.completions.create(model="base", prompt="the ink", temperature=0, max_tokens=12)
    assert answer.choices[0].text == expected.text
    assert answer.choices[0].finish_reason == "length"
    prompt = len(server.house.models["base"].tokenizer.encode("the ink")) + 1  # and the end token before it
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (prompt, 12)


def test_samples_with_a_seed_are_those_of_generate(server, client):
    expected = alone(server, "ink", samples=3, seed=5, temperature=1.3, max_tokens=9, top_p=0.9)
    answer = client.completions.create(
        model="base", prompt="ink", n=3, seed=5, temperature=1.3, max_tokens=9, top_p=0.9
    )
    assert [choice.text for choice in answer.choices] == [each.text for each in expected]
    assert len({each.text for each in expected}) == 3


def test_without_a_seed_each_answer_is_another(client):
    asked = {"model": "base", "prompt": "ink", "temperature": 1.5, "max_tokens": 16}
    assert len({client.completions.create(**asked).choices[0].text for _ in range(3)}) > 1


def test_what_openai_has_and_what_is_beyond_it_reaches_the_sampling(server, client):
    settings = {"temperature": 0.9, "presence_penalty": 1.5, "frequency_penalty": 0.5, "seed": 3, "max_tokens": 20}
    further = {"top_k": 7, "min_p": 0.0, "repetition_penalty": 1.2}
    (expected,) = alone(server, "the", **settings, **further)
    answer = client.completions.create(model="base", prompt="the", **settings, extra_body=further)
    assert answer.choices[0].text == expected.text
    plain = client.completions.create(model="base", prompt="the", temperature=0.9, seed=3, max_tokens=20)
    assert plain.choices[0].text != expected.text


def test_several_prompts_of_text_and_of_tokens(server, client):
    tokenizer = server.house.models["base"].tokenizer
    prompts = ["the ink", "paper"]
    expected = [alone(server, prompt, temperature=0.0, max_tokens=6)[0].text for prompt in prompts for _ in range(2)]
    answer = client.completions.create(model="base", prompt=prompts, temperature=0, max_tokens=6, n=2)
    assert [choice.text for choice in answer.choices] == expected
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    ids = [[*tokenizer.begin, *tokenizer.encode(prompt)] for prompt in prompts]
    answer = client.completions.create(model="base", prompt=ids, temperature=0, max_tokens=6)
    assert [choice.text for choice in answer.choices] == expected[::2]


def test_a_stop_string_ends_a_text_and_is_no_part_of_it(server, client):
    (whole,) = alone(server, "ink", temperature=0.0, max_tokens=20)
    stop = whole.text[5:7]
    (expected,) = alone(server, "ink", temperature=0.0, max_tokens=20, stop=stop)
    answer = client.completions.create(model="base", prompt="ink", temperature=0, max_tokens=20, stop=[stop, "zzzz"])
    assert answer.choices[0].text == expected.text == whole.text[: whole.text.index(stop)]
    assert answer.choices[0].finish_reason == "stop"
    pieces = client.completions.create(model="base", prompt="ink", temperature=0, max_tokens=20, stop=stop, stream=True)
    assert "".join(piece.choices[0].text for piece in pieces) == expected.text


def test_log_probabilities_of_a_completion(server, client):
    (expected,) = alone(server, "ink", temperature=0.0, max_tokens=5)
    told = (
        client.completions.create(model="base", prompt="ink", temperature=0, max_tokens=5, logprobs=3)
        .choices[0]
        .logprobs
    )
    tokenizer = server.house.models["base"].tokenizer
    assert told.tokens == [tokenizer.token_text(number) for number in expected.ids]
    assert told.token_logprobs == pytest.approx(expected.log_probabilities, abs=1e-4)
    for value, likeliest in zip(told.token_logprobs, told.top_logprobs, strict=True):
        assert len(likeliest) == 3 and max(likeliest.values()) == pytest.approx(value)  # at temperature 0
    spelled = [b"".join(tokenizer.spelling[number] for number in expected.ids[:place]) for place in range(5)]
    assert told.text_offset == [len(before.decode("utf-8", "ignore")) for before in spelled]


def test_offsets_of_tokens_count_characters(server, client):
    tokenizer = server.house.models["base"].tokenizer
    text, ids = "🖌砚 ink", tokenizer.encode("🖌砚 ink")
    assert len(ids) > len(text)  # tokens within characters
    ends = [len(b"".join(tokenizer.spelling[number] for number in ids[:place])) for place in range(len(ids))]
    expected = [len(text.encode()[:end].decode("utf-8", "ignore")) for end in ends]
    asked = {"model": "base", "prompt": text, "echo": True, "logprobs": 0, "temperature": 0, "max_tokens": 4, "n": 2}
    for choice in client.completions.create(**asked).choices:
        offsets = choice.logprobs.text_offset
        assert offsets[: len(ids)] == expected and offsets[len(ids)] == len(text) and offsets == sorted(offsets)
        events = client.completions.create(**asked, stream=True)
        told = [event.choices[0] for event in events if event.choices[0].index == choice.index]
        assert [place for each in told if each.logprobs for place in each.logprobs.text_offset] == offsets
        assert "".join(each.text for each in told) == choice.text


def test_an_echo_scores_the_prompt_as_the_model_does(server, client):
    model = server.house.models["base"].model
    text = "the ink is 砚" * 12  # longer than a chunk
    asked = {"model": "base", "prompt": text, "echo": True, "logprobs": 1}
    choice = client.completions.create(**asked, max_tokens=0).choices[0]
    assert choice.text == text
    import torch

    ids = torch.tensor([[model.tokenizer.end, *model.tokenizer.encode(text)]])
    scores, _ = model.step(ids, model.start(1))
    expected = scores[0, :-1].gather(1, ids[0, 1:, None])[:, 0].tolist()
    assert choice.logprobs.token_logprobs == pytest.approx(expected, abs=1e-4)
    given = client.completions.create(**{**asked, "prompt": ids[0].tolist()}, max_tokens=1).choices[0].logprobs
    assert given.token_logprobs[0] is None and len(given.token_logprobs) == ids.shape[1] + 1
    assert given.token_logprobs[1:-1] == pytest.approx(expected, abs=1e-4)
    assert given.top_logprobs[3] and max(given.top_logprobs[3].values()) >= given.token_logprobs[3] - 1e-6


def test_a_bias_forces_and_bars_tokens(server, client):
    tokenizer = server.house.models["base"].tokenizer
    (number,) = tokenizer.encode("k")[:1]
    answer = client.completions.create(model="base", prompt="in", max_tokens=4, logit_bias={str(number): 100})
    assert answer.choices[0].text == tokenizer.decode([number] * 4)
    (first,) = alone(server, "in", temperature=0.0, max_tokens=1)
    barred = client.completions.create(
        model="base", prompt="in", max_tokens=1, temperature=0, logit_bias={str(first.ids[0]): -100}, logprobs=0
    )
    assert barred.choices[0].logprobs.tokens != [tokenizer.token_text(first.ids[0])]


def test_a_stream_says_what_the_whole_answer_says(client):
    asked = {"model": "tiny", "messages": HELLO, "temperature": 0, "max_tokens": 16, "n": 2, "logprobs": True}
    whole = client.chat.completions.create(**asked, top_logprobs=2)
    events = list(
        client.chat.completions.create(**asked, top_logprobs=2, stream=True, stream_options={"include_usage": True})
    )
    assert events[-1].choices == [] and events[-1].usage == whole.usage
    assert all(event.usage is None for event in events[:-1])
    assert {event.object for event in events} == {"chat.completion.chunk"} and len({event.id for event in events}) == 1
    for choice in whole.choices:
        own = [each for event in events[:-1] for each in event.choices if each.index == choice.index]
        assert own[0].delta.role == "assistant"
        assert "".join(each.delta.content or "" for each in own) == choice.message.content
        assert [each.finish_reason for each in own if each.finish_reason] == [choice.finish_reason]
        tokens = [token for each in own if each.logprobs for token in each.logprobs.content]
        expected = choice.logprobs.content
        assert [each.token for each in tokens] == [each.token for each in expected]
        assert [each.logprob for each in tokens] == pytest.approx([each.logprob for each in expected], abs=1e-4)
        assert all(len(each.top_logprobs) == 2 for each in tokens)


def test_a_conversation_is_answered_as_by_chat(server, client):
    from inkstone.inference.conversation import Conversation

    model = server.house.models["tiny"]
    conversation = Conversation(model.model, Sampling(temperature=0.0, max_tokens=12), model.template, "Be brief.")
    messages = [{"role": "system", "content": "Be brief."}]
    for words in ("Hello", "Once more"):
        messages.append({"role": "user", "content": [{"type": "text", "text": words}]})
        said = client.chat.completions.create(
            model="tiny", messages=messages, temperature=0, max_completion_tokens=12
        ).choices[0]
        assert said.message.content == conversation.answer(words)
        messages.append({"role": "assistant", "content": said.message.content})


def test_two_names_of_one_bound_may_agree_but_not_contradict(client):
    asked = {"model": "tiny", "messages": HELLO, "temperature": 0, "max_tokens": 5}
    same = client.chat.completions.create(**asked, max_completion_tokens=5)
    assert same.usage.completion_tokens == client.chat.completions.create(**asked).usage.completion_tokens <= 5
    with pytest.raises(openai.BadRequestError, match="max_tokens = 5 and max_completion_tokens = 3 are two names"):
        client.chat.completions.create(**asked, max_completion_tokens=3)


def test_bytes_and_log_probabilities_of_a_conversation(client):
    told = client.chat.completions.create(
        model="tiny", messages=HELLO, max_tokens=8, logprobs=True, top_logprobs=2, temperature=1.2, seed=1
    ).choices[0]
    assert (
        bytes(b for each in told.logprobs.content for b in each.bytes)
        .decode("utf-8", "replace")
        .startswith(told.message.content)
    )
    for each in told.logprobs.content:
        assert each.logprob <= 0 and [one.logprob for one in each.top_logprobs] == sorted(
            (one.logprob for one in each.top_logprobs), reverse=True
        )


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_keeps_to_a_schema(client, stream):
    form = {"type": "json_schema", "json_schema": {"name": "record", "schema": SCHEMA, "strict": True}}
    answer = client.chat.completions.create(
        model="tiny", messages=HELLO, max_tokens=60, response_format=form, temperature=1.2, stream=stream
    )
    text = (
        "".join(each.choices[0].delta.content or "" for each in answer) if stream else answer.choices[0].message.content
    )
    record = json.loads(text)
    assert set(record) == {"n", "ok"} and 0 <= record["n"] <= 99 and type(record["ok"]) is bool


def test_an_answer_is_a_json_object(client):
    answer = client.chat.completions.create(
        model="tiny", messages=HELLO, max_tokens=40, response_format={"type": "json_object"}, seed=4, temperature=0.5
    ).choices[0]
    assert answer.message.content.startswith("{")
    assert answer.finish_reason == "length" or isinstance(json.loads(answer.message.content), dict)


def test_models_are_listed(client):
    listed = {model.id: model for model in client.models.list()}
    assert listed["tiny"].chat and not listed["base"].chat
    assert client.models.retrieve("tiny").id == "tiny"


@pytest.mark.parametrize(
    ("asked", "status", "param"),
    [
        ({"model": "nobody"}, 404, "model"),
        ({"temperature": 3}, 400, "temperature"),
        ({"top_p": 0}, 400, "top_p"),
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"n": 0}, 400, "n"),
        ({"n": 3, "prompt": ["a"] * 60}, 400, "n"),
        ({"stop": ""}, 400, "stop"),
        ({"logit_bias": {"999999": 1}}, 400, "logit_bias"),
        ({"logit_bias": {"ink": 1}}, 400, "logit_bias"),
        ({"prompt": "ink " * 2000}, 400, "prompt"),
        ({"prompt": [999_999]}, 400, "prompt"),
        ({"prompt": [-1]}, 400, "prompt.0"),
        ({"best_of": 3}, 400, "best_of"),
        ({"suffix": "end"}, 400, "suffix"),
        ({"presence_penalty": 5}, 400, "presence_penalty"),
        ({"made_up": 1}, 400, "made_up"),
        ({"store": True}, 400, "store"),
        ({"model": None}, 400, "model"),
    ],
)
def test_what_cannot_be_is_refused_in_the_form_of_the_api(client, asked, status, param):
    body = {"model": "base", "prompt": "ink", **asked}
    with pytest.raises(openai.APIStatusError) as refused:
        client.post("/completions", body=body, cast_to=object)
    assert refused.value.status_code == status
    told = refused.value.response.json()["error"]
    assert set(told) == {"message", "type", "param", "code"} and told["message"]
    if param is not None:
        assert told["param"] == param


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"model": "base"}, "no chat template"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "assistant", "content": "I begin"}]}, "turn of user"),
        ({"messages": [{"role": "wizard", "content": "a"}]}, "role"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages.0.content.0.type",
        ),
        ({"chat_template_kwargs": {"self": 1}}, "'self' is given elsewhere"),
        ({"response_format": {"type": "json_schema"}}, "without a schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"typ": "object"}}}},
            "typ",
        ),
        ({"top_logprobs": 2}, "needs logprobs"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "knows none"),
        ({"tool_choice": "required"}, "no tools"),
        ({"chat_template_kwargs": {"messages": []}}, "elsewhere"),
    ],
)
def test_what_a_conversation_cannot_be(client, asked, words):
    body = {"model": "tiny", "messages": HELLO, "max_tokens": 4, **asked}
    with pytest.raises(openai.BadRequestError, match=words):
        client.post("/chat/completions", body=body, cast_to=object)


def test_tokens_and_back(server, client):
    tokenizer = server.house.models["base"].tokenizer
    import httpx

    told = httpx.post(
        f"{server.url}/tokenize", json={"model": "base", "prompt": "ink 砚", "return_token_strs": True}
    ).json()
    assert told["tokens"] == [tokenizer.end, *tokenizer.encode("ink 砚")] and told["count"] == len(told["tokens"])
    assert len(told["token_strs"]) == told["count"] and told["max_model_len"] == server.house.models["base"].capacity
    back = httpx.post(f"{server.url}/detokenize", json={"model": "base", "tokens": told["tokens"][1:]}).json()
    assert back == {"prompt": "ink 砚"}
    told = httpx.post(f"{server.url}/tokenize", json={"model": "tiny", "messages": HELLO}).json()
    template = server.house.models["tiny"].template
    assert told["tokens"] == template.ids(HELLO, add_generation_prompt=True)
