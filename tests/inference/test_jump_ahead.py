"""Tokens that a form forces: taken without asking the model, with the texts of writing token by token, in fewer steps."""

from dataclasses import replace

import pytest
import torch

from inkstone.inference.constrained import Constraint, Followed
from inkstone.inference.continuing import continue_texts
from inkstone.inference.drafts import LookUp
from inkstone.inference.engine import Engine, Request
from inkstone.inference.generation import generate, stream
from inkstone.inference.sampling import Sampling
from inkstone.inference.slotted_decoder import SlottedDecoder
from inkstone.inference.speculative import Speculation
from inkstone.layers.rotary import RotaryScaling
from inkstone.tokens.tokenizer import KINDS

from .decoders import decoder
from .test_constrained import RandomModel, recurrent, tokenizer_of
from .test_engine import ask, engine_of, run
from .test_slotted import Texts, writer

SCHEMA = {
    "type": "object",
    "properties": {
        "colour": {"enum": ["red", "green", "reed"]},
        "砚台": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}, "minItems": 1, "maxItems": 2},
        "true or null": {"type": "boolean"},
    },
    "required": ["colour", "砚台", "true or null"],
    "additionalProperties": False,
}  # fmt: skip
RECORD = Constraint.json_schema(SCHEMA)
SAMPLED = Sampling(temperature=1.0, min_p=0.0, seed=3, max_tokens=200)
SAMPLINGS = [
    Sampling(temperature=0.0, max_tokens=200),
    SAMPLED,
    replace(SAMPLED, repetition_penalty=1.4, max_tokens=20),
    replace(SAMPLED, stop=("gre", "true or")),
]


@pytest.fixture
def without_jumps(monkeypatch):
    """Tokens are drawn one by one from here on."""
    return lambda: monkeypatch.setattr(Followed, "forced", lambda self: None)


def told(pieces) -> list:
    done = sorted((piece for piece in pieces if piece.generated), key=lambda piece: piece.sample)
    return [(piece.generated.text, piece.generated.ids, piece.generated.finish_reason) for piece in done]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sampling", SAMPLINGS, ids=["greedy", "sampled", "penalised", "stopped"])
@pytest.mark.parametrize("samples", [1, 4])
def test_texts_are_those_of_single_steps(kind, sampling, samples, without_jumps):
    jumping, plain = (RandomModel(tokenizer_of(kind), seed=1) for _ in range(2))
    found = told(stream(jumping, "red", sampling, samples, constraint=RECORD))
    guessed = Speculation(LookUp(2, 1), 3, always=True)
    steps = jumping.steps
    if not sampling.stop:  # with a draft the model is asked for several places at once
        model = decoder()
        drafted = told(stream(model, "red", sampling, samples, constraint=RECORD, speculation=guessed))
        assert drafted == told(stream(model, "red", sampling, samples, constraint=RECORD))
    without_jumps()
    assert found == told(stream(plain, "red", sampling, samples, constraint=RECORD))
    assert steps < plain.steps
    if samples == 1 and sampling.max_tokens == 200:
        assert steps <= 0.7 * plain.steps or kind == "word"


def test_what_is_forced_has_the_log_probability_of_what_is_certain():
    (one,) = generate(RandomModel(tokenizer_of("character")), "", json_schema=SCHEMA, temperature=0.0)
    form, forced = RECORD.begin(tokenizer_of("character")), 0
    for token, log_probability in zip(one.ids, one.log_probabilities, strict=True):
        forced += (must := form.forced()) is not None
        assert must in (None, token) and (log_probability == 0.0) == (must is not None)
        form.take(token)
    assert forced > len(one.ids) / 2 and sum(one.log_probabilities) < 0


@pytest.mark.parametrize("kind", KINDS)
def test_all_is_taken_that_llguidance_holds_for_forced(kind):
    (one,) = generate(RandomModel(tokenizer_of(kind), seed=2), "", json_schema=SCHEMA, temperature=0.0)
    form = RECORD.begin(tokenizer_of(kind))
    for at, token in enumerate(one.ids):
        if ahead := form.copy().matcher.compute_ff_tokens():
            assert form.forced() == token and tuple(ahead) == one.ids[at : at + len(ahead)]
        form.take(token)


@pytest.mark.parametrize("made", [recurrent, lambda: decoder(context=16), lambda: decoder("gpt2", context=16)])
def test_a_run_of_forced_tokens_longer_than_the_context(made, without_jumps):
    model, pattern = made(), "[ab]" + "red is no green, " * 3 + "[cd]{2}"
    settings = {"regex": pattern, "temperature": 0.0, "max_tokens": 90}
    (found,) = generate(model, "red", **settings)
    without_jumps()
    (plain,) = generate(model, "red", **settings)
    assert Constraint.regex(pattern).accepts(found.text) and found.ids == plain.ids


PROMPTS = [[65, 66, 67], [70] * 9, [5]]


@pytest.mark.parametrize("layout", ["qwen3", "gpt2"])
@pytest.mark.parametrize(("limit", "repeats"), [(90, 0), (25, 0), (70, 3)])
def test_texts_side_by_side_are_those_of_single_steps(layout, limit, repeats, without_jumps, monkeypatch):
    model, rows = decoder(layout), []
    step = SlottedDecoder.step
    monkeypatch.setattr(
        SlottedDecoder, "step", lambda self, ids, *rest: rows.append(len(ids)) or step(self, ids, *rest)
    )
    settings = {"max_tokens": limit, "constraint": RECORD, "no_repeat_ngram": repeats}
    found = continue_texts(model, PROMPTS, **settings)
    jumps = len(rows)
    monkeypatch.setattr("inkstone.inference.slotted.PLACES_AT_ONCE", 0)  # one token a step, what is forced too
    apart = continue_texts(model, PROMPTS, **settings)
    monkeypatch.undo()
    for own, others in zip(found, apart, strict=True):
        assert own[0].ids == others[0].ids and own[0].score == pytest.approx(others[0].score, abs=1e-4)
    without_jumps()
    rows.clear()
    monkeypatch.setattr(
        SlottedDecoder, "step", lambda self, ids, *rest: rows.append(len(ids)) or step(self, ids, *rest)
    )
    plain = continue_texts(model, PROMPTS, **settings)
    assert [own[0].ids for own in found] == [own[0].ids for own in plain] and jumps < 0.6 * len(rows)
    assert sum(found[0][0].log_probabilities) > sum(plain[0][0].log_probabilities)


@pytest.mark.parametrize("made", [decoder, lambda: decoder("gpt2"), lambda: writer(positions="rotary", first=7)])
def test_the_engine_writes_what_it_writes_in_single_steps(made, without_jumps):
    def written(engine: Engine) -> tuple[list, int]:
        requests = [
            Request((9, 65 + n), replace(SAMPLED, seed=n), constraint=None if n == 1 else RECORD, alternatives=2)
            for n in range(4)
        ]
        listeners = ask(engine, *requests)
        run(engine)
        assert engine.facts.tokens_written == sum(len(each.generated.ids) for each in listeners)
        for listener in listeners:
            for heard in listener.heard:
                assert len(heard.alternatives) == len(heard.ids)
                certain = [
                    each for each, p in zip(heard.alternatives, heard.log_probabilities, strict=True) if p == 0.0
                ]
                assert all(len(each) == 1 and each[0][1] == 0.0 for each in certain)
        return [(each.generated.ids, each.generated.text) for each in listeners], engine.facts.turns

    found, turns = written(engine_of(made(), slots=3, capacity=96))
    without_jumps()
    plain, single = written(engine_of(made(), slots=3, capacity=96))
    assert found == plain and turns < single


def test_rows_that_read_token_by_token_are_not_told_ahead():
    engine = engine_of(recurrent(), capacity=200)
    (heard,) = ask(engine, Request((5,), SAMPLED, constraint=Constraint.regex("red is no green")))
    run(engine)
    assert all(len(each.ids) == 1 for each in heard.heard) and set(heard.generated.log_probabilities) == {0.0}


MODELS = {
    "qwen3": decoder,
    "gpt2": lambda: decoder("gpt2"),
    "dynamic": lambda: decoder(rotary_scaling=RotaryScaling("dynamic", 4.0, original_context=8)),
}


@pytest.mark.parametrize("name", MODELS)
def test_one_step_may_read_several_tokens_into_a_slot(name):
    model = MODELS[name]()
    together, apart = (Texts(model, seed=4).rows for _ in range(2))
    for rows in (together, apart):
        rows.read(2, [9, 8, 7], 0)
        rows.read(4, [6], 0)
    ids, slots, lengths = [5, 6, 7, 8, 9], [2, 2, 2, 4, 4], [3, 4, 5, 1, 2]
    found = together.step(*map(torch.tensor, (ids, slots, lengths)))
    for at, own in enumerate(zip(ids, slots, lengths, strict=True)):
        single = apart.step(*(torch.tensor([number]) for number in own))
        torch.testing.assert_close(found[at], single[0], atol=1e-4, rtol=1e-4)
