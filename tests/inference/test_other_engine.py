"""The face of our engine before one of others: texts, ends, refusals, cancelling, closing."""

import queue

import pytest

from inkstone.hub.foreign_engine import ForeignEngineError
from inkstone.inference.constrained import Constraint
from inkstone.inference.other_engine import OtherEngine
from inkstone.inference.requests import Busy, EngineError, Heard, Request
from inkstone.inference.sampling import Sampling, SamplingError
from inkstone.tokens.learning import learn_tokenizer

from .foreign_engines import Scripted

TOKENIZER = learn_tokenizer(iter(["ink on stone, 墨 on paper"] * 4), "byte-bpe", 290)
GREEDY = Sampling(temperature=0, max_tokens=50)


def ids(text: str) -> list[int]:
    return TOKENIZER.encode(text)


@pytest.fixture
def opened():
    engines = []

    def open_engine(script, longest_queue: int = 1000, **shape) -> OtherEngine:
        engines.append(OtherEngine(Scripted(script, **shape), TOKENIZER, longest_queue=longest_queue))
        return engines[-1]

    yield open_engine
    for engine in engines:
        engine.engine.gate.set()
        engine.close()


def written(engine: OtherEngine, *requests: Request) -> list[list[Heard]]:
    """All that is heard of each, asked at once."""
    told = [queue.Queue() for _ in requests]
    for request, inbox in zip(requests, told, strict=True):
        engine.submit(request, inbox.put)
    found: list[list[Heard]] = []
    for inbox in told:
        heard = [inbox.get(timeout=30)]
        while heard[-1].generated is None and heard[-1].error is None:
            heard.append(inbox.get(timeout=30))
        found.append(heard)
    return found


def test_pieces_make_up_the_text_and_characters_are_whole(opened):
    text = "ink 墨 on"
    engine = opened(lambda asked: [*ids(text), TOKENIZER.end])
    (heard,) = written(engine, Request(tuple(ids("stone")), GREEDY, alternatives=1))
    whole = heard[-1].generated
    assert whole.text == text == "".join(piece.text for piece in heard) and whole.finish_reason == "end"
    assert whole.ids == (*ids(text), TOKENIZER.end) == tuple(number for piece in heard for number in piece.ids)
    assert all("\ufffd" not in piece.text for piece in heard)
    assert heard[0].alternatives == (((heard[0].ids[0], -0.5),),) and heard[0].log_probabilities == (-0.5,)
    assert engine.facts.finished == 1 and engine.facts.tokens_written == len(whole.ids)
    assert sum(engine.facts.to_first_token.counts) == 1
    assert sum(engine.facts.between_tokens.counts) == len(whole.ids) - 1


def test_a_stop_string_ends_the_text_before_it_and_the_engine_is_told(opened):
    engine = opened(lambda asked: ids("ink on stone, ink on"))
    (heard,) = written(engine, Request((5,), Sampling(temperature=0, stop=("stone",))))
    assert heard[-1].generated.text == "ink on " and heard[-1].generated.finish_reason == "stop"
    assert engine.engine.stopped == [True]


def test_tokens_are_counted_and_room_is_kept(opened):
    engine = opened(lambda asked: ids("ink on stone " * 20), capacity=30)
    (heard,) = written(engine, Request(tuple(ids("on")), Sampling(temperature=0, max_tokens=7)))
    assert len(heard[-1].generated.ids) == 7 and heard[-1].generated.finish_reason == "length"
    (heard,) = written(engine, Request(tuple(range(20)), GREEDY))
    assert len(heard[-1].generated.ids) == 10 and engine.engine.asked[-1].most == 10
    with pytest.raises(SamplingError, match="30 tokens, but at most 29"):
        engine.submit(Request(tuple(range(30)), GREEDY), print)
    with pytest.raises(SamplingError, match="outside the vocabulary"):
        engine.submit(Request((10_000,), GREEDY), print)


def test_what_ends_without_its_last_tokens_is_over_all_the_same(opened):
    engine = opened(lambda asked: ids("ink"))
    (heard,) = written(engine, Request((5,), GREEDY))
    assert heard[-1].generated.text == "ink" and heard[-1].generated.finish_reason == "end"


def test_settings_reach_the_engine_and_its_own_default_of_a_filter_it_lacks_is_left_out(opened):
    engine = opened(lambda asked: ids("ink"))
    sampling = Sampling(temperature=0.7, top_k=5, top_p=0.9, repetition_penalty=1.2, seed=11, max_tokens=9)
    written(engine, Request((5, 6), sampling, sample=2, ends=frozenset({7})))
    asked = engine.engine.asked[-1]
    assert (asked.prompt, asked.most, asked.ends) == ((5, 6), 9, frozenset({7}))
    assert (asked.temperature, asked.top_k, asked.top_p, asked.repetition_penalty) == (0.7, 5, 0.9, 1.2)
    assert asked.min_p == 0.0  # the default of `Sampling` is not zero, but nobody asked for it
    written(engine, Request((5,), sampling, sample=3))
    assert engine.engine.asked[-1].seed != asked.seed
    written(engine, Request((5,), Sampling(temperature=0, top_k=3, min_p=0.2)))  # at 0 filters change nothing
    assert engine.engine.asked[-1].top_k == 0


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (dict(sampling=Sampling(min_p=0.2)), "has no min_p"),
        (dict(sampling=GREEDY, bias={3: 1.0}), "has no logit_bias"),
        (dict(sampling=GREEDY, constraint=Constraint.choices(["a"]), bias={3: 1.0}), "no forms and no logit_bias"),
    ],
)
def test_what_the_engine_cannot_do_is_refused_in_words(opened, asked, words):
    engine = opened(lambda asked: ids("ink"))
    with pytest.raises(SamplingError, match=words):
        engine.submit(Request((5,), **asked), print)
    assert not engine.engine.asked and engine.facts.refused == 1


def test_cancelling_stops_what_is_under_way_and_what_waits(opened):
    engine = opened(lambda asked: ids("ink on stone " * 4), slots=1)
    engine.engine.gate.clear()
    told: queue.Queue = queue.Queue()
    first, second = (engine.submit(Request((n,), GREEDY), told.put) for n in (5, 6))
    while not engine.engine.asked:
        pass
    engine.cancel(second)
    engine.cancel(first)
    engine.engine.gate.set()
    (heard,) = written(engine, Request((7,), Sampling(temperature=0, max_tokens=2)))
    assert heard[-1].generated and told.empty()
    assert [asked.prompt for asked in engine.engine.asked] == [(5,), (7,)] and engine.facts.cancelled == 2


def test_a_full_queue_is_busy(opened):
    engine = opened(lambda asked: ids("ink"), slots=1, longest_queue=1)
    engine.engine.gate.clear()
    engine.submit(Request((5,), GREEDY), lambda heard: None)
    while not engine.engine.asked:
        pass
    engine.submit(Request((5,), GREEDY), lambda heard: None)
    with pytest.raises(Busy):
        engine.submit(Request((5,), GREEDY), lambda heard: None)


@pytest.mark.parametrize("kind", [RuntimeError, ForeignEngineError])
def test_a_failure_ends_its_own_text_alone(opened, kind):
    def script(asked) -> list[int]:
        if asked.prompt == (5,):
            raise kind("out of ink")
        return ids("ink")

    engine = opened(script)
    failed, fine = written(engine, Request((5,), GREEDY), Request((6,), GREEDY))
    assert isinstance(failed[-1].error, EngineError) and "out of ink" in str(failed[-1].error)
    assert fine[-1].generated.text == "ink" and engine.facts.failed == 1


def test_closing_finishes_or_cuts_off_and_takes_no_more():
    for finish in (True, False):
        engine = OtherEngine(Scripted(lambda asked: ids("ink on stone")), TOKENIZER)
        engine.engine.gate.clear()
        told: queue.Queue = queue.Queue()
        engine.submit(Request((5,), GREEDY), told.put)
        while not engine.engine.asked:
            pass
        engine.cut, engine.closing = not finish, True  # as the first thing that `close` does
        with pytest.raises(EngineError, match="closing"):
            engine.submit(Request((5,), GREEDY), told.put)
        engine.engine.gate.set()
        engine.close(finish)
        last = told.queue[-1]
        assert engine.engine.closed and (
            last.generated.text == "ink on stone" if finish else "cut off" in str(last.error)
        )
