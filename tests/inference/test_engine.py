"""The engine against `generate`, one request at a time, and what it promises to those who share it."""

import gc
import itertools
import tracemalloc
from dataclasses import replace

import pytest
import torch

from inkstone.inference.constrained import Constraint, ConstraintError
from inkstone.inference.engine import Busy, Engine, EngineError, Heard, Request
from inkstone.inference.generation import stream
from inkstone.inference.sampling import Sampling, SamplingError
from inkstone.inference.slotted import slotted
from models.test_contract import MODELS

from .decoders import byte_tokenizer, decoder
from .known_models import Markov, scripted
from .test_slotted import writer

GREEDY = Sampling(temperature=0.0, max_tokens=12)
AS_IT_IS = Sampling(temperature=1.0, min_p=0.0, max_tokens=12)


class Listener:
    """Keeps what it hears, and checks that the pieces make the whole."""

    def __init__(self):
        self.heard: list[Heard] = []

    def __call__(self, heard: Heard) -> None:
        assert not self.over
        self.heard.append(heard)
        if heard.generated is not None:
            whole = heard.generated
            assert "".join(piece.text for piece in self.heard) == whole.text
            assert tuple(i for piece in self.heard for i in piece.ids) == whole.ids
            assert tuple(p for piece in self.heard for p in piece.log_probabilities) == whole.log_probabilities

    @property
    def over(self) -> bool:
        return bool(self.heard) and (self.heard[-1].generated is not None or self.heard[-1].error is not None)

    @property
    def generated(self):
        assert self.heard, "nothing was heard"
        assert self.heard[-1].error is None, self.heard[-1].error
        return self.heard[-1].generated

    @property
    def error(self):
        return self.heard[-1].error if self.heard else None


def engine_of(model, slots: int = 4, capacity: int = 64, **settings) -> Engine:
    return Engine(slotted(model, slots, capacity), **settings)


def run(engine: Engine, most: int = 2000) -> None:
    """Turns until nothing is left to do."""
    for _ in range(most):
        if not engine.step():
            return
    raise AssertionError("the engine does not come to an end")


def ask(engine: Engine, *requests: Request) -> list[Listener]:
    listeners = [Listener() for _ in requests]
    for request, listener in zip(requests, listeners, strict=True):
        engine.submit(request, listener)
    return listeners


def alone(model, request: Request):
    """What `generate` writes for one request."""
    pieces = stream(
        model, request.prompt, request.sampling, request.sample + 1, ends=request.ends, constraint=request.constraint
    )
    return next(piece.generated for piece in pieces if piece.generated and piece.sample == request.sample)


def assert_same(found, expected) -> None:
    assert (found.ids, found.text, found.finish_reason) == (expected.ids, expected.text, expected.finish_reason)
    assert found.log_probabilities == pytest.approx(expected.log_probabilities, abs=1e-3)


SETTINGS = [
    GREEDY,
    AS_IT_IS,
    replace(AS_IT_IS, temperature=0.5, top_k=3, seed=4),
    replace(AS_IT_IS, top_p=0.7, seed=5, max_tokens=30),
    replace(AS_IT_IS, min_p=0.2, top_k=5, top_p=0.9, seed=6),
    replace(AS_IT_IS, repetition_penalty=1.3, seed=7),
    replace(GREEDY, repetition_penalty=1.5, max_tokens=20),
    replace(AS_IT_IS, frequency_penalty=0.8, presence_penalty=-0.5, seed=8, max_tokens=20),
    replace(GREEDY, presence_penalty=2.0),
    replace(AS_IT_IS, seed=9, max_tokens=1),
]


def mixed(highest: int) -> list[Request]:
    """Requests with every kind of setting and prompts of many lengths, some of which begin alike."""
    random = torch.Generator().manual_seed(3)
    shared = tuple(torch.randint(4, highest, (21,), generator=random).tolist())
    lengths = (1, 30, 5, 22, 9, 25, 2, 17, 28, 3)
    own = [tuple(torch.randint(4, highest, (n,), generator=random).tolist()) for n in lengths]
    prompts = [(*shared, *ids)[: len(ids)] if place % 2 else ids for place, ids in enumerate(own)]
    return [Request(ids, s, n % 3) for n, (ids, s) in enumerate(zip(prompts, SETTINGS, strict=True))]


FAMILIES = {
    "qwen3": lambda: decoder(),
    "gpt2": lambda: decoder("gpt2"),
    **{
        name: next(iter(MODELS[name].values()))
        for name in ("ngram", "hmm", "recurrent", "convolutional", "neural_ngram")
    },
    "text_vae": MODELS["text_vae"]["text-vae-lstm"],
    "encoder": MODELS["encoder"]["bert"],
    "encoder_decoder": MODELS["encoder_decoder"]["bart"],
}


@pytest.mark.parametrize("name", FAMILIES)
def test_each_text_is_as_generate_writes_it(name):
    model = FAMILIES[name]()
    engine = engine_of(model, slots=3, prompt_tokens=7)
    most = engine.model.capacity
    requests = [
        replace(each, prompt=each.prompt[: most // 2], sampling=replace(each.sampling, max_length=most))
        for each in mixed(40)
    ]
    listeners = []
    for request in requests:  # each comes while others are under way
        listeners += ask(engine, request)
        engine.step()
    run(engine)
    for request, listener in zip(requests, listeners, strict=True):
        assert_same(listener.generated, alone(model, request))
    facts = engine.facts
    assert facts.tokens_read + facts.tokens_reused == sum(len(each.prompt) for each in requests)
    assert facts.tokens_written == sum(len(listener.generated.ids) for listener in listeners)
    assert (facts.finished, facts.running, facts.waiting) == (10, 0, 0)
    assert sum(facts.to_first_token.counts) == 10
    assert sum(facts.to_first_token.counts) + sum(facts.between_tokens.counts) == facts.tokens_written


def test_texts_to_sources_are_as_each_alone():
    model = writer()
    engine = engine_of(model, slots=2, capacity=40)
    requests = [replace(each, prompt=each.prompt[:9]) for each in mixed(200) if each.sampling.repetition_penalty == 1]
    requests += requests[:2]
    listeners = ask(engine, *requests)
    run(engine)
    for request, listener in zip(requests, listeners, strict=True):
        one = engine_of(model, slots=1, capacity=40)
        (expected,) = ask(one, request)
        run(one)
        assert_same(listener.generated, expected.generated)
    greedy = requests[0]
    with torch.inference_mode():
        memory = model.body.encode(torch.tensor([greedy.prompt]))
        state, read, ids = model.body.start(1, memory), model.body.first, []
        while len(ids) < 12 and (not ids or ids[-1] != model.tokenizer.end):
            scores, state = model.body.step(torch.tensor([[read]]), state)
            read = int(scores[0, 0, : model.tokenizer.vocab_size].argmax())
            ids.append(read)
    assert listeners[0].generated.ids == tuple(ids)


def test_penalties_of_a_text_to_a_source_do_not_see_the_source():
    source = (9, 10, 11, 12)
    engine = engine_of(writer(), slots=1)
    plain, penalised = ask(
        engine, *(Request(source, replace(GREEDY, max_tokens=1, repetition_penalty=p)) for p in (1.0, 1e6))
    )
    run(engine)
    assert plain.generated.ids == penalised.generated.ids


@pytest.mark.parametrize("stop", [("le",), ("zz", "le")])
def test_stop_strings_and_ends(stop):
    engine = engine_of(scripted("hamlet"))
    prompt = (26, 7)
    stopped, ended, early = ask(
        engine,
        Request(prompt, replace(GREEDY, stop=stop)),
        Request(prompt, GREEDY),
        Request(prompt, GREEDY, ends=frozenset({12})),
    )
    run(engine)
    assert (stopped.generated.text, stopped.generated.finish_reason) == ("am", "stop")
    assert [heard.text for heard in stopped.heard] == ["a", "m", "", ""][: len(stopped.heard)]
    assert (ended.generated.text, ended.generated.finish_reason) == ("amlet", "end")
    assert (early.generated.ids, early.generated.finish_reason) == ((0, 12), "end")


def test_forms_are_kept_to():
    model = decoder()
    engine = engine_of(model, slots=3)
    end = model.tokenizer.end
    requests = [
        Request((end, 65), replace(AS_IT_IS, seed=n), constraint=constraint)
        for n, constraint in enumerate((Constraint.choices(["墨", "砚"]), None, Constraint.regex("[ab]{4}")))
    ]
    listeners = ask(engine, *requests)
    run(engine)
    for request, listener in zip(requests, listeners, strict=True):
        assert_same(listener.generated, alone(model, request))
    assert listeners[0].generated.text in ("墨", "砚")


def test_a_bias_is_added_before_drawing_and_not_told():
    model = Markov.random(6, seed=0)
    engine = engine_of(model)
    never, always = ask(
        engine,
        Request((0,), GREEDY, bias={int(model.table[0].argmax()): -100.0}),
        Request((0,), replace(AS_IT_IS, max_tokens=3), bias={4: 100.0}),
    )
    run(engine)
    assert never.generated.ids[0] == int(model.table[0].topk(2).indices[1])
    assert always.generated.ids == (4, 4, 4)
    assert always.generated.log_probabilities == pytest.approx(model.table[[0, 4, 4], 4].tolist())


def test_alternatives_are_the_likeliest_under_the_model():
    model = Markov.random(6, seed=1)
    engine = engine_of(model)
    three, none, all_of_them = ask(engine, *(Request((0,), AS_IT_IS, alternatives=n) for n in (3, 0, 99)))
    run(engine)
    now = 0
    for heard in three.heard:
        best = model.table[now].topk(3)
        assert heard.alternatives == (tuple(zip(best.indices.tolist(), best.values.tolist(), strict=True)),)
        (now,) = heard.ids
    assert all(heard.alternatives == ((),) for heard in none.heard)
    assert len(all_of_them.heard[0].alternatives[0]) == 7


class Counting:
    """A model in slots that notes what it is asked to read."""

    def __init__(self, model):
        self.model, self.reads, self.steps, self.copies = model, [], [], []

    def __getattr__(self, name):
        return getattr(self.model, name)

    def read(self, slot, ids, start):
        self.reads.append((slot, len(ids), start))
        return self.model.read(slot, ids, start)

    def step(self, ids, slots, lengths):
        self.steps.append(slots.tolist())
        return self.model.step(ids, slots, lengths)

    def copy(self, source, target, length):
        self.copies.append((source, target, length))
        self.model.copy(source, target, length)


def counting(model, slots: int = 4, capacity: int = 90, **settings) -> tuple[Engine, Counting]:
    noted = Counting(slotted(model, slots, capacity))
    return Engine(noted, **settings), noted  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("family", ["qwen3", "recurrent", "encoder"])
def test_samples_of_a_prompt_read_it_once(family):
    model = FAMILIES[family]()
    engine, noted = counting(model, prompt_tokens=6)
    prompt = tuple(range(5, 25))
    requests = [Request(prompt, replace(AS_IT_IS, seed=2), sample) for sample in range(4)]
    listeners = ask(engine, *requests)
    run(engine)
    assert sum(n for _, n, _ in noted.reads) == 20
    assert len({listener.generated.ids for listener in listeners}) > 1
    for request, listener in zip(requests, listeners, strict=True):
        assert_same(listener.generated, alone(model, request))


def test_a_beginning_that_is_being_read_is_awaited_and_copied():
    model = decoder()
    engine, noted = counting(model, prompt_tokens=8)
    shared = tuple(range(5, 45))
    requests = [Request((*shared, n), GREEDY) for n in (7, 8, 9)]
    listeners = ask(engine, *requests)
    run(engine)
    assert sum(n for _, n, _ in noted.reads) == 41 + 1 + 1
    assert engine.facts.tokens_reused == 80
    for request, listener in zip(requests, listeners, strict=True):
        assert_same(listener.generated, alone(model, request))


@pytest.mark.parametrize("how", ["cancelled", "failed"])
def test_those_who_waited_for_a_prompt_that_is_given_up_read_it_themselves(how, monkeypatch):
    model = decoder()
    engine, noted = counting(model, prompt_tokens=4)
    requests = [Request(tuple(range(5, 35)), AS_IT_IS, n) for n in range(3)]
    listeners = [Listener() for _ in requests]
    writings = [engine.submit(*each) for each in zip(requests, listeners, strict=True)]
    engine.step()
    engine.step()
    if how == "cancelled":
        engine.cancel(writings[0])
    else:
        with monkeypatch.context() as patch:
            patch.setattr(noted.model, "read", lambda *_: 1 / 0)
            engine.step()
        assert isinstance(listeners[0].error, EngineError)
    run(engine)
    for request, listener in zip(requests[1:], listeners[1:], strict=True):
        assert_same(listener.generated, alone(model, request))


def test_a_finished_text_is_gone_on_from():
    """The next turn of a conversation reads only what is new, where it stands."""
    for family in ("qwen3", "recurrent"):
        model = FAMILIES[family]()
        engine, noted = counting(model)
        first = Request(tuple(range(5, 25)), replace(GREEDY, max_tokens=5), ends=frozenset())
        (one,) = ask(engine, first)
        run(engine)
        second = replace(first, prompt=(*first.prompt, *one.generated.ids, 30, 31))
        noted.reads.clear()
        (two,) = ask(engine, second)
        run(engine)
        assert [n for _, n, _ in noted.reads] == [3]  # the last token that was drawn had not been read
        assert not noted.copies
        assert_same(two.generated, alone(model, second))


def test_what_was_used_longest_ago_goes_first():
    engine, noted = counting(decoder(), slots=2)
    a, b, c = ((start, *range(100, 120)) for start in (5, 6, 7))

    def read_of(prompt) -> int:
        noted.reads.clear()
        ask(engine, Request(prompt, replace(GREEDY, max_tokens=1)))
        run(engine)
        return sum(n for _, n, _ in noted.reads)

    assert [read_of(prompt) for prompt in (a, b, a, c)] == [21, 21, 1, 21]
    assert read_of(a) == 1 and read_of(b) == 21


def test_a_long_prompt_does_not_hold_up_those_who_write():
    engine, noted = counting(decoder(context=400), capacity=400, prompt_tokens=10)
    (quick,) = ask(engine, Request((5, 6), replace(GREEDY, max_tokens=30), ends=frozenset()))
    engine.step()
    ask(engine, Request((7,) * 300, replace(GREEDY, max_tokens=1)))
    for turn in range(29):
        assert len(quick.heard) == turn + 1
        noted.reads.clear()
        engine.step()
        assert sum(n for _, n, _ in noted.reads) <= 10
    assert quick.over


def test_a_short_prompt_does_not_wait_for_a_long_one_nor_the_long_one_for_ever():
    engine, _ = counting(decoder(context=400), slots=3, capacity=400, prompt_tokens=10)
    (long,) = ask(engine, Request((7,) * 200, replace(GREEDY, max_tokens=1)))
    engine.step()
    (short,) = ask(engine, Request((5, 6, 7), replace(GREEDY, max_tokens=1)))
    engine.step()
    assert short.over and not long.over
    for turn in itertools.count():
        ask(engine, Request((turn % 30 + 4, 5, 6, 7, 8, 9, 10, 11, 12), replace(GREEDY, max_tokens=1)))
        engine.step()
        if long.over:
            break
    assert turn <= 40


def test_clients_have_fair_turns():
    engine, _ = counting(Markov.random(5, 0), slots=2)
    crowd = ask(engine, *(Request((0,), AS_IT_IS, n, ends=frozenset(), client="crowd") for n in range(20)))
    engine.step()
    single, other = ask(engine, *(Request((1,), AS_IT_IS, ends=frozenset(), client=name) for name in ("one", "two")))
    for _ in range(24):
        engine.step()
    assert single.over and sum(listener.over for listener in crowd) == 3  # beside it, the crowd had its turn
    for _ in range(12):
        engine.step()
    assert other.over and sum(listener.over for listener in crowd) == 4
    run(engine)
    assert all(listener.over for listener in crowd)


def test_a_client_has_no_more_than_its_share_of_the_slots():
    engine, _ = counting(Markov.random(5, 0), slots=4)
    for client, n in (("crowd", 2), ("crowd", 18), ("pair", 2)):
        ask(engine, *(Request((0,), AS_IT_IS, place, ends=frozenset(), client=client) for place in range(n)))
        if n == 2:
            engine.step()
    assert engine.under_way == {"crowd": 2, "pair": 2}


def test_a_full_queue_says_how_long_it_is():
    engine = engine_of(scripted("ab"), longest_queue=3)
    ask(engine, *[Request((0,), GREEDY)] * 3)
    with pytest.raises(Busy, match="3 requests are waiting") as refused:
        ask(engine, Request((0,), GREEDY))
    assert refused.value.waiting == 3
    assert engine.facts.refused == 1
    run(engine)
    (late,) = ask(engine, Request((0,), GREEDY))
    run(engine)
    assert late.over


@pytest.mark.parametrize(
    ("request_", "error", "words"),
    [
        (Request((5,) * 31, GREEDY), SamplingError, "31 tokens, but at most 30"),
        (Request((5, 999), GREEDY), SamplingError, "prompt names a token outside the vocabulary"),
        (Request((-1,), GREEDY), SamplingError, "prompt names a token outside"),
        (Request((5,), GREEDY, bias={4000: 1.0}), SamplingError, "bias names a token outside"),
        (Request((5,) * 9, replace(GREEDY, max_length=9)), SamplingError, "the prompt alone has 9 tokens"),
        (Request((5,), GREEDY, sample=-1), SamplingError, "sample = -1"),
        (Request((5,), GREEDY, alternatives=-1), SamplingError, "alternatives = -1"),
    ],
)
def test_what_cannot_be_is_refused(request_, error, words):
    engine = engine_of(decoder(), capacity=30)
    with pytest.raises(error, match=words):
        ask(engine, request_)
    assert not engine.busy and engine.facts.refused == 1


def test_a_text_ends_where_its_slot_does():
    model = decoder()
    engine = engine_of(model, slots=2, capacity=30)
    full, longer = ask(
        engine,
        *(Request((5,) * n, replace(GREEDY, max_tokens=500), ends=frozenset()) for n in (30, 11)),
    )
    run(engine)
    assert len(full.generated.ids) == 1 and full.generated.finish_reason == "length"
    assert len(longer.generated.ids) == 20 and longer.generated.finish_reason == "length"
    expected = alone(model, Request((5,) * 11, replace(GREEDY, max_tokens=20), ends=frozenset()))
    assert_same(longer.generated, expected)


@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary"])
def test_a_text_to_a_source_ends_where_its_slot_does(positions):
    engine = engine_of(writer(positions=positions), slots=2, capacity=40)
    longest, beside = ask(
        engine, *(Request((9, 10), replace(GREEDY, max_tokens=most), ends=frozenset()) for most in (500, 39))
    )
    run(engine)
    assert len(longest.generated.ids) == 40 and longest.generated.finish_reason == "length"
    assert len(beside.generated.ids) == 39


def test_an_empty_prompt_is_the_end_token():
    model = scripted("hamlet")
    engine = engine_of(model)
    (listener,) = ask(engine, Request((), GREEDY))
    run(engine)
    assert listener.generated.text == "hamlet"


def test_nothing_is_heard_of_what_was_cancelled():
    engine = engine_of(Markov.random(5, 0), slots=1)
    waiting, reading, writing_ = Listener(), Listener(), Listener()
    first = engine.submit(Request((0,), replace(AS_IT_IS, max_tokens=99), ends=frozenset()), writing_)
    engine.step()
    second = engine.submit(Request((0,), AS_IT_IS), waiting)
    engine.cancel(second)
    assert engine.facts.waiting == 0
    engine.cancel(first)
    third = engine.submit(Request((0,) * 60, AS_IT_IS), reading)
    engine.step()
    assert len(writing_.heard) == 1 and third.slot == 0  # the slot was free at once
    engine.cancel(third)
    engine.cancel(third)
    run(engine)
    assert not waiting.heard and engine.facts.cancelled == 3 and engine.facts.running == 0
    assert not engine.slots.taken.any() and not engine.under_way


def test_a_request_can_be_cancelled_by_its_own_listener():
    engine = engine_of(Markov.random(5, 0), slots=1)
    writings = []
    heard = []

    def listen(piece: Heard) -> None:
        heard.append(piece)
        engine.cancel(writings[0])

    writings.append(engine.submit(Request((0,), AS_IT_IS, ends=frozenset()), listen))
    run(engine)
    assert len(heard) == 1 and engine.facts.cancelled == 1


def test_nothing_is_heard_of_what_is_cancelled_within_the_turn():
    engine = engine_of(Markov.random(5, 0), slots=2)
    asked = Request((0,), AS_IT_IS, ends=frozenset())
    other = Listener()
    engine.submit(asked, lambda heard: engine.cancel(writing))
    writing = engine.submit(asked, other)
    run(engine)
    assert not other.heard and engine.facts.cancelled == 1 and engine.facts.finished == 1


def test_a_listener_that_raises_ends_its_own_request():
    model = decoder()
    engine = engine_of(model)
    requests = [Request((5, 6), replace(AS_IT_IS, seed=n), ends=frozenset()) for n in range(3)]
    told = []

    def raising(heard: Heard) -> None:
        told.append(heard)
        if len(told) == 3:
            raise ValueError("the line is dead")

    first, last = Listener(), Listener()
    for request, hear in zip(requests, (first, raising, last), strict=True):
        engine.submit(request, hear)
    run(engine)
    assert len(told) == 4 and isinstance(told[-1].error, EngineError) and "the line is dead" in str(told[-1].error)
    for request, listener in ((requests[0], first), (requests[2], last)):
        assert_same(listener.generated, alone(model, request))
    assert engine.facts.failed == 1 and not engine.slots.taken.any()


def test_a_form_that_cannot_go_on_ends_its_own_request(monkeypatch):
    model = decoder()
    engine = engine_of(model)
    formed, free = ask(
        engine,
        Request((5,), AS_IT_IS, constraint=Constraint.regex("[ab]{30}")),
        Request((6,), AS_IT_IS, ends=frozenset()),
    )
    engine.step()

    def refuse(self):
        raise ConstraintError("cannot be kept to")

    monkeypatch.setattr("inkstone.inference.constrained.Followed.allowed", refuse)
    run(engine)
    assert isinstance(formed.error, ConstraintError) and len(free.generated.ids) == 12


def test_probabilities_that_are_no_numbers_end_the_request_they_belong_to(monkeypatch):
    model = Markov.random(5, 0)
    engine = engine_of(model)
    damaged, whole = ask(engine, *(Request((n,), AS_IT_IS, ends=frozenset()) for n in range(2)))
    engine.step()
    step = engine.model.step

    def broken(ids, slots, lengths):
        scores = step(ids, slots, lengths)
        scores[slots.tolist().index(0)] = torch.nan
        return scores

    with monkeypatch.context() as patch:
        patch.setattr(engine.model, "step", broken)
        engine.step()
    run(engine)
    assert "not numbers" in str(damaged.error) and isinstance(damaged.error, EngineError)
    assert len(whole.generated.ids) == 12


def test_settings_beyond_all_bounds_end_their_own_request_alone():
    model = decoder(vocab_size=byte_tokenizer().vocab_size)
    wild = Sampling(temperature=0.5, repetition_penalty=1e-310, max_tokens=12)
    asked = Request((5, 6), wild, bias={5: 100.0}), Request((5, 6, 7), replace(AS_IT_IS, seed=4))
    engine = engine_of(model)
    listeners = ask(engine, *asked)
    run(engine)
    assert isinstance(listeners[0].error, SamplingError) and "less extreme" in str(listeners[0].error)
    assert listeners[1].generated.ids == alone(model, asked[1]).ids


def test_a_model_that_fails_ends_those_it_failed_and_no_others(monkeypatch):
    model = decoder()
    engine, noted = counting(model, slots=2)
    lost, waiting = ask(engine, *[Request((5, n), replace(AS_IT_IS, max_tokens=5), ends=frozenset()) for n in (6, 7)])
    engine.step()
    (late,) = ask(engine, Request((8,), AS_IT_IS))
    with monkeypatch.context() as patch:
        patch.setattr(noted.model, "step", lambda *_: 1 / 0)
        engine.step()
    assert "ZeroDivisionError" in str(lost.error) and isinstance(waiting.error, EngineError)
    run(engine)
    assert_same(late.generated, alone(model, Request((8,), AS_IT_IS)))


def test_end_all_ends_all():
    engine = engine_of(Markov.random(5, 0), slots=2)
    listeners = ask(engine, *[Request((0,) * 40, AS_IT_IS, client=str(n % 3)) for n in range(7)])
    engine.step()
    engine.end_all(EngineError("closed"))
    assert all(str(listener.error) == "closed" for listener in listeners)
    assert not engine.busy and not engine.under_way and not engine.slots.taken.any()


def many(engine: Engine, n: int) -> None:
    """Requests of as many clients, some of which are cut short."""
    for i in range(n):
        request = Request((i % 5, i % 3), replace(GREEDY, max_tokens=2, temperature=float(i % 2)), client=f"client {i}")
        writing = engine.submit(request, lambda heard: None)
        if i % 5 == 0:
            engine.step()
        if i % 11 == 0:
            engine.cancel(writing)
    run(engine)
    assert not engine.slots.taken.any() and not engine.under_way and not engine.queue.turns


REQUESTS = 1000
LEFT_BEHIND = 16 * REQUESTS  # bytes: no object of Python is smaller than 16


def test_memory_stays_flat():
    """What each request left behind would grow in every round; lists of free places, which libraries keep, in one."""
    engine = engine_of(Markov.random(6, 0), slots=8)
    many(engine, 500)
    grown, submitted = [], 500
    tracemalloc.start()
    while len(grown) < 8 and min(grown, default=LEFT_BEHIND) >= LEFT_BEHIND:
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        many(engine, REQUESTS)
        gc.collect()
        grown.append(tracemalloc.get_traced_memory()[0] - before)
        submitted += REQUESTS
    tracemalloc.stop()
    assert min(grown) < LEFT_BEHIND, grown
    facts = engine.facts
    assert facts.submitted == submitted == facts.finished + facts.cancelled


@pytest.mark.parametrize("family", ["qwen3", "recurrent", "encoder_decoder"])
def test_no_tensor_is_left_behind(family):
    engine = engine_of(FAMILIES[family](), slots=4, capacity=12)

    def tensors() -> int:
        gc.collect()
        return sum(issubclass(type(each), torch.Tensor) for each in gc.get_objects())

    many(engine, 20)
    before = tensors()
    many(engine, 50)
    assert tensors() <= before + 4  # states of slots may lie together or apart


def test_characters_come_out_whole():
    tokenizer = byte_tokenizer()
    table = torch.full((tokenizer.vocab_size, tokenizer.vocab_size), -50.0)
    path = [tokenizer.end, *tokenizer.encode("a墨b"), tokenizer.end]
    for now, then in itertools.pairwise(path):
        table[now, then] = 0.0
    engine = engine_of(Markov(tokenizer, table))
    (listener,) = ask(engine, Request((tokenizer.end,), GREEDY))
    run(engine)
    assert [heard.text for heard in listener.heard if heard.text] == ["a", "墨", "b"]
