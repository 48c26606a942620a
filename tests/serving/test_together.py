"""Many requests at once, each answered as if it were alone; and what becomes of those that nobody waits for."""

import asyncio
import json
import socket
import threading
import time

import httpx
import openai
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from inkstone.inference.generation import generate
from inkstone.inference.requests import Request

from .servers import served


def requests() -> list[dict]:
    """Greedy and drawn, short and long, with stop strings, samples and penalties."""
    found = []
    for number in range(12):
        asked = {"prompt": "the ink is black " * (1 + number % 4) + str(number % 3), "max_tokens": 4 + 3 * (number % 5)}
        asked |= {"temperature": 0} if number % 2 else {"temperature": 0.9, "seed": number, "n": 1 + number % 3}
        if number % 4 == 3:
            asked |= {"stop": ["a"], "frequency_penalty": 0.7}
        found.append(asked)
    return found


def test_each_of_many_is_answered_as_alone(server):
    model = server.house.models["base"].model

    async def ask() -> list:
        async with openai.AsyncOpenAI(
            base_url=f"{server.url}/v1", api_key="none", timeout=120, max_retries=0
        ) as client:

            async def one(number: int, asked: dict) -> list[str]:
                if number % 3:
                    answer = await client.completions.create(model="base", **asked)
                    return [choice.text for choice in answer.choices]
                texts = [""] * asked.get("n", 1)
                async for event in await client.completions.create(model="base", **asked, stream=True):
                    texts[event.choices[0].index] += event.choices[0].text
                return texts

            return await asyncio.gather(*(one(number, asked) for number, asked in enumerate(requests())))

    for asked, found in zip(requests(), asyncio.run(ask()), strict=True):
        samples = asked.pop("n", 1)
        expected = generate(model, asked.pop("prompt"), samples=samples, **asked)
        assert found == [each.text for each in expected]


def idle(server, name: str = "base") -> bool:
    """Whether the engine has nothing to do, within some seconds."""
    for _ in range(400):
        facts = server.house.models[name].engine.facts
        if not facts.running and not facts.waiting:
            return True
        time.sleep(0.025)
    return False


@pytest.mark.parametrize("stream", [True, False])
def test_who_hangs_up_is_written_for_no_longer(base_folder, stream):
    with served([base_folder], slots=1) as serving:
        engine = serving.house.models["base"].engine
        asked = {"model": "base", "prompt": "a", "max_tokens": 240, "n": 64, "stream": stream}
        body = json.dumps(asked).encode()
        head = f"POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", serving.port)) as connection:
            connection.sendall(head.encode() + body)
            for _ in range(400):
                if engine.facts.tokens_written > 3:
                    break
                time.sleep(0.025)
        assert idle(serving)
        facts = engine.facts
        assert facts.cancelled > 50 and facts.tokens_written < 64 * 240 / 2
        answer = httpx.post(f"{serving.url}/v1/completions", json={"model": "base", "max_tokens": 2}, timeout=60)
        assert answer.status_code == 200


def test_a_stream_that_is_closed_midway_frees_its_place(server, client):
    with client.chat.completions.create(
        model="tiny", messages=[{"role": "user", "content": "a"}], max_tokens=200, stream=True, n=4
    ) as events:
        for _, _ in zip(range(8), events, strict=False):
            pass
    assert idle(server, "tiny")


def test_a_full_queue_says_so_and_nothing_of_a_refused_request_goes_on(base_folder):
    with served([base_folder], slots=1, longest_queue=2) as serving:
        asked = {"model": "base", "prompt": "a", "max_tokens": 3, "n": 8}
        answer = httpx.post(f"{serving.url}/v1/completions", json=asked, timeout=60)
        assert (
            answer.status_code == 503
            and answer.headers["retry-after"]
            and "waiting" in answer.json()["error"]["message"]
        )
        assert idle(serving)
        assert httpx.post(f"{serving.url}/v1/completions", json={**asked, "n": 1}, timeout=60).status_code == 200


def test_one_who_asks_for_much_does_not_hold_up_another(base_folder):
    """Turns are taken by client: the one who comes later, with one text, does not wait for all of the first."""
    with served([base_folder], slots=1, keys=("the-first-key", "the-other-key")) as serving:
        many = {"model": "base", "prompt": "a", "max_tokens": 10, "n": 30}

        def first() -> None:
            httpx.post(
                f"{serving.url}/v1/completions",
                json=many,
                timeout=300,
                headers={"authorization": "Bearer the-first-key"},
            )

        thread = threading.Thread(target=first)
        thread.start()
        engine = serving.house.models["base"].engine
        for _ in range(400):
            if engine.facts.waiting > 20:
                break
            time.sleep(0.01)
        answer = httpx.post(
            f"{serving.url}/v1/completions",
            json={**many, "n": 1, "max_tokens": 2},
            timeout=300,
            headers={"authorization": "Bearer the-other-key"},
        )
        left = engine.facts.waiting
        thread.join()
        assert answer.status_code == 200 and left > 5


def test_the_engine_is_told_who_asks(server, monkeypatch):
    seen: list[Request] = []
    engine = server.house.models["base"].engine
    submit = engine.submit
    monkeypatch.setattr(engine, "submit", lambda request, hear: (seen.append(request), submit(request, hear))[1])
    httpx.post(f"{server.url}/v1/completions", json={"model": "base", "max_tokens": 1}, timeout=60)
    assert [request.client for request in seen] == ["127.0.0.1"]


number = st.floats(allow_nan=False, allow_infinity=False, width=32)
SAMPLING = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.one_of(st.floats(0, 2), number),
        "top_p": st.one_of(st.floats(0, 1), number),
        "min_p": st.one_of(st.floats(0, 1), number),
        "top_k": st.integers(-1, 400),
        "repetition_penalty": st.one_of(st.floats(0, 3), number),
        "presence_penalty": st.one_of(st.floats(-2, 2), number),
        "frequency_penalty": st.one_of(st.floats(-2, 2), number),
        "seed": st.integers(-(2**64), 2**64),
        "n": st.integers(0, 3),
        "max_tokens": st.integers(-1, 6),
        "logprobs": st.one_of(st.none(), st.integers(-1, 25)),
        "stop": st.one_of(st.text(max_size=3), st.lists(st.text(max_size=2), max_size=3)),
        "logit_bias": st.dictionaries(
            st.integers(-1, 400).map(str), st.one_of(st.floats(-100, 100), number), max_size=3
        ),
        "echo": st.booleans(),
        "stream": st.booleans(),
        "prompt": st.one_of(st.text(max_size=8), st.lists(st.integers(-1, 320), max_size=4)),
    },
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=SAMPLING)
def test_any_settings_are_carried_out_or_refused(server, asked):
    answer = httpx.post(f"{server.url}/v1/completions", json={"model": "base", "max_tokens": 3, **asked}, timeout=60)
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 400:
        assert answer.json()["error"]["type"] == "invalid_request_error"
    elif asked.get("stream"):
        assert answer.text.endswith("data: [DONE]\n\n") and '"error"' not in answer.text
    else:
        assert len(answer.json()["choices"]) == asked.get("n", 1)
