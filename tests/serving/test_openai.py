"""The API through OpenAI's own client."""

from inkstone.inference.generation import generate


def test_a_completion_is_what_generate_writes(server, client):
    model = server.house.models["base"]
    (expected,) = generate(model.model, "the ink", temperature=0.0, max_tokens=12)
    answer = client.completions.create(model="base", prompt="the ink", temperature=0, max_tokens=12)
    assert answer.choices[0].text == expected.text
    assert answer.usage.completion_tokens == len(expected.ids)


def test_an_answer_is_streamed(client):
    asked = {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}], "temperature": 0, "max_tokens": 12}
    whole = client.chat.completions.create(**asked).choices[0]
    events = list(client.chat.completions.create(**asked, stream=True))
    assert "".join(event.choices[0].delta.content or "" for event in events) == whole.message.content
    assert events[-1].choices[0].finish_reason == whole.finish_reason
