"""Whatever comes and goes, in whatever order, each text is the one that `generate` writes: a random walk through the engine."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from inkstone.inference.engine import Engine, EngineError, Heard, Request, Writing
from inkstone.inference.slotted import slotted
from models.test_contract import recurrent

from .decoders import decoder
from .test_engine import AS_IT_IS, GREEDY, Listener, alone, assert_same

MAKE = {"decoder": cache(lambda: decoder(n_layers=1, width=32)), "recurrent": cache(lambda: recurrent("gru"))}
COMMON = tuple(range(4, 30))
PROMPTS = [COMMON[:1], COMMON[:12], COMMON[:13], (*COMMON[:12], 35, 36), COMMON, (*COMMON, 38), (31, 32), (33,) * 17]
SAMPLINGS = [
    replace(GREEDY, max_tokens=8),
    replace(AS_IT_IS, max_tokens=5, seed=1),
    replace(AS_IT_IS, max_tokens=9, top_p=0.8, repetition_penalty=1.2, seed=2),
    replace(AS_IT_IS, max_tokens=1, top_k=4),
]
REQUESTS = [
    Request(prompt, sampling, n % 2)
    for n, (prompt, sampling) in enumerate((prompt, sampling) for prompt in PROMPTS for sampling in SAMPLINGS)
]


@cache
def expected(family: str, number: int):
    return alone(MAKE[family](), REQUESTS[number])


class Walk(RuleBasedStateMachine):
    """Requests, turns, cancellations and broken listeners in any order."""

    family = ""

    def __init__(self):
        super().__init__()
        self.engine = Engine(slotted(MAKE[self.family](), 3, 48), prompt_tokens=9, longest_queue=50)
        self.going: list[tuple[int, Writing, Listener]] = []
        self.cancelled: list[tuple[Listener, int]] = []
        self.broken: list[list[Heard]] = []

    @rule(number=st.integers(0, len(REQUESTS) - 1), client=st.sampled_from("abc"))
    def ask(self, number: int, client: str):
        listener = Listener()
        writing = self.engine.submit(replace(REQUESTS[number], client=client), listener)
        self.going.append((number, writing, listener))

    @rule(number=st.integers(0, len(REQUESTS) - 1), after=st.integers(0, 3))
    def ask_and_break(self, number: int, after: int):
        heard: list[Heard] = []

        def hear(piece: Heard) -> None:
            heard.append(piece)
            if len(heard) > after:
                raise ValueError

        self.broken.append(heard)
        self.engine.submit(REQUESTS[number], hear)

    @rule(turns=st.integers(1, 4))
    def turn(self, turns: int):
        for _ in range(turns):
            self.engine.step()

    @precondition(lambda self: self.going)
    @rule(data=st.data())
    def cancel(self, data):
        number, writing, listener = self.going.pop(data.draw(st.integers(0, len(self.going) - 1)))
        if listener.over:
            assert_same(listener.generated, expected(self.family, number))
        self.engine.cancel(writing)
        self.cancelled.append((listener, len(listener.heard)))

    @invariant()
    def slots_hold_what_is_under_way(self):
        engine, slots = self.engine, self.engine.slots
        running = [*engine.reading, *engine.writing]
        assert sorted(writing.slot for writing in running) == np.flatnonzero(slots.taken).tolist()
        assert engine.under_way.total() == len(running)
        for writing in running:
            text = [*writing.prompt[: writing.read], *writing.row.ids[:-1]]
            assert slots.held[writing.slot, : slots.lengths[writing.slot]].tolist() == text
        for listener, heard in self.cancelled:
            assert len(listener.heard) == heard

    def teardown(self):
        turns = 0
        while self.engine.step():
            turns += 1
            assert turns < 2000
        self.slots_hold_what_is_under_way()
        for number, _, listener in self.going:
            assert_same(listener.generated, expected(self.family, number))
        for heard in self.broken:
            assert isinstance(heard[-1].error, EngineError) or heard[-1].generated is not None
        facts = self.engine.facts
        assert facts.submitted == facts.finished + facts.cancelled + facts.failed


@pytest.mark.parametrize("family", MAKE)
def test_a_walk(family):
    machine = type("Walk", (Walk,), {"family": family})
    machine.TestCase.settings = settings(max_examples=15, stateful_step_count=25, deadline=None, derandomize=True)
    machine.TestCase("runTest").runTest()
