"""Work beside the writing: how much of it is taken on, and that it holds up nobody else."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from inkstone.serving import completion_routes
from inkstone.serving.api_errors import ApiError
from inkstone.serving.bounded_pool import BoundedPool

from .servers import served

SCORED = {"model": "base", "prompt": "ink and paper", "echo": True, "logprobs": 1, "max_tokens": 0}


def pool(**changes) -> BoundedPool:
    return BoundedPool("work", **{"threads": 1, "most": 2, "seconds": 30.0, **changes})


def test_jobs_come_in_order_and_those_of_two_requests_take_turns():
    done: list[str] = []

    async def both():
        works = pool()
        first = works.run([lambda n=n: done.append(f"a{n}") or n for n in range(3)])
        second = works.run([lambda n=n: done.append(f"b{n}") or n for n in range(3)])
        return await asyncio.gather(first, second)

    assert asyncio.run(both()) == [[0, 1, 2], [0, 1, 2]]
    assert done == ["a0", "b0", "a1", "b1", "a2", "b2"]


def test_more_requests_than_there_is_room_for_are_refused_and_the_room_is_given_back():
    gate = threading.Event()

    async def crowd():
        works = pool()
        waiting = [asyncio.ensure_future(works.run([gate.wait])) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ApiError) as refused:
            await works.run([lambda: 1])
        assert refused.value.status == 503 and refused.value.headers["retry-after"]
        gate.set()
        await asyncio.gather(*waiting)
        with pytest.raises(ZeroDivisionError):
            await works.run([lambda: 1 / 0])
        return await works.run([lambda: 2])

    assert asyncio.run(crowd()) == [2]


def test_what_waits_is_not_begun_once_its_request_is_given_up_or_out_of_time():
    gate, begun = threading.Event(), []

    async def given_up():
        works = pool(seconds=0.2)
        busy = asyncio.ensure_future(works.run([gate.wait]))
        waits = asyncio.ensure_future(works.run([lambda: begun.append(1)]))
        await asyncio.sleep(0)
        waits.cancel()
        with pytest.raises(ApiError, match="longer than") as late:
            await busy
        assert late.value.status == 408 and works.taken == 0
        gate.set()
        assert await works.run([lambda: 3]) == [3]

    asyncio.run(given_up())
    assert begun == []


def test_scores_and_attention_hold_up_no_other_request_and_are_bounded(base_folder, monkeypatch):
    gate, scored_prompt = threading.Event(), completion_routes.scored_prompt

    def slowly(*arguments):
        assert gate.wait(60)
        return scored_prompt(*arguments)

    monkeypatch.setattr(completion_routes, "scored_prompt", slowly)
    with served([base_folder], most_scorings=40) as serving, ThreadPoolExecutor(40) as asking:

        def score() -> httpx.Response:
            return httpx.post(f"{serving.url}/v1/completions", json=SCORED, timeout=60)

        waiting = [asking.submit(score) for _ in range(40)]
        while serving.house.scoring.taken < 40:
            assert not any(each.done() for each in waiting)
        refused = score()
        assert refused.status_code == 503 and refused.headers["retry-after"] and "scores" in refused.text
        asked = {"model": "base", "text": "ink"}
        assert httpx.post(f"{serving.url}/studio/api/attention", json=asked, timeout=60).status_code == 503
        assert httpx.post(f"{serving.url}/studio/api/probabilities", json=asked, timeout=60).status_code == 503
        plain = {"model": "base", "prompt": "ink", "max_tokens": 2}
        assert httpx.post(f"{serving.url}/v1/completions", json=plain, timeout=20).status_code == 200
        gate.set()
        answers = [each.result() for each in waiting]
        assert {each.status_code for each in answers} == {200}
        assert len({str(each.json()["choices"]) for each in answers}) == 1
        assert serving.house.scoring.taken == 0


def test_the_tokens_that_one_request_has_scored_are_bounded(base_folder):
    with served([base_folder], most_scored_tokens=20) as serving:
        many = httpx.post(f"{serving.url}/v1/completions", json={**SCORED, "prompt": ["ink and paper"] * 4}, timeout=60)
        assert many.status_code == 400 and "at most 20" in many.json()["error"]["message"]
        assert httpx.post(f"{serving.url}/v1/completions", json=SCORED, timeout=60).status_code == 200
