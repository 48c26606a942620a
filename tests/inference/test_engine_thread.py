"""The engine's thread: asked from several threads at once, idle, failing, closing."""

import threading
import time
from collections import Counter

import pytest

from inkstone.inference.engine import Busy, Engine, EngineError, Heard, Request
from inkstone.inference.engine_thread import EngineThread
from inkstone.inference.sampling import Sampling
from inkstone.inference.slotted import slotted

from .decoders import decoder
from .known_models import Markov
from .test_engine import AS_IT_IS, GREEDY, alone, assert_same

PATIENCE = 60  # seconds after which a test gives up


class Waiter:
    """A listener that others can wait for."""

    def __init__(self):
        self.heard: list[Heard] = []
        self.over = threading.Event()

    def __call__(self, heard: Heard) -> None:
        self.heard.append(heard)
        if heard.generated is not None or heard.error is not None:
            self.over.set()

    def last(self) -> Heard:
        assert self.over.wait(PATIENCE)
        return self.heard[-1]


@pytest.fixture
def threads():
    begun = []

    def begin(model=None, slots: int = 3, **settings) -> EngineThread:
        model = model or Markov.random(20, 0)
        begun.append(EngineThread(Engine(slotted(model, slots, 400), **settings)))
        return begun[-1]

    yield begin
    for thread in begun:
        thread.close(finish=False)


def test_many_threads_ask_at_once(threads):
    model = decoder()
    engine = threads(model)
    requests = [
        Request((5, n % 7 + 5), Sampling(temperature=1.0, seed=n, max_tokens=6), client=str(n % 3)) for n in range(18)
    ]
    waiters = [Waiter() for _ in requests]

    def ask(first: int) -> None:
        for place in range(first, len(requests), 3):
            engine.submit(requests[place], waiters[place])

    askers = [threading.Thread(target=ask, args=(first,)) for first in range(3)]
    for asker in askers:
        asker.start()
    for request, waiter in zip(requests, waiters, strict=True):
        assert_same(waiter.last().generated, alone(model, request))
    engine.close()
    assert engine.facts.finished == 18


def test_it_rests_when_there_is_nothing_to_do(threads):
    engine = threads()
    waiter = Waiter()
    engine.submit(Request((0,), GREEDY), waiter)
    waiter.last()
    while engine.facts.running:
        time.sleep(0.01)
    turns = engine.facts.turns
    time.sleep(0.2)
    assert engine.facts.turns <= turns + 1  # the one that was going on
    again = Waiter()
    engine.submit(Request((0,), GREEDY), again)
    assert again.last().generated


def test_cancelling_from_elsewhere(threads):
    engine = threads(slots=1)
    begun, seen = threading.Event(), []

    def hear(heard: Heard) -> None:
        seen.append(heard)
        begun.set()

    long = engine.submit(Request((0,), Sampling(temperature=1.0, max_tokens=399), ends=frozenset()), hear)
    assert begun.wait(PATIENCE)
    engine.cancel(long)
    waiter = Waiter()
    engine.submit(Request((1,), GREEDY), waiter)
    assert waiter.last().generated and len(seen) < 399


def test_closing_finishes_what_was_asked(threads):
    engine = threads(slots=1)
    waiters = [Waiter() for _ in range(5)]
    for waiter in waiters:
        engine.submit(Request((0,), AS_IT_IS, ends=frozenset()), waiter)
    engine.close()
    assert all(waiter.heard[-1].generated for waiter in waiters)
    assert not engine.thread.is_alive()
    with pytest.raises(EngineError, match="closing"):
        engine.submit(Request((0,), GREEDY), Waiter())
    engine.close()  # once more is no harm


def test_closing_at_once_tells_those_who_wait(threads):
    engine = threads(slots=1)
    waiters = [Waiter() for _ in range(5)]
    for waiter in waiters:
        engine.submit(Request((0,), Sampling(temperature=1.0, max_tokens=399), ends=frozenset()), waiter)
    engine.close(finish=False)
    kinds = Counter("cut off" in str(waiter.last().error) for waiter in waiters)
    assert kinds[True] >= 4 and not engine.thread.is_alive()  # the first may have been done


def test_a_fault_of_the_engine_itself_is_survived(threads, monkeypatch):
    engine = threads()
    with monkeypatch.context() as patch:
        patch.setattr(engine.engine, "_draw", lambda rows, scores: 1 / 0)
        waiter = Waiter()
        engine.submit(Request((0,), GREEDY), waiter)
        assert "ZeroDivisionError" in str(waiter.last().error)
    again = Waiter()
    engine.submit(Request((0,), GREEDY), again)
    assert again.last().generated


def test_a_full_queue_is_refused_while_the_engine_works(threads):
    engine = threads(slots=1, longest_queue=2)
    refused = 0
    for _ in range(20):
        try:
            engine.submit(Request((0,), Sampling(temperature=1.0, max_tokens=399), ends=frozenset()), Waiter())
        except Busy:
            refused += 1
    assert refused >= 15 and engine.facts.refused == refused
