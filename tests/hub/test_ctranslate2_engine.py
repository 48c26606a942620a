"""CTranslate2 as an engine writes what our model writes, token by token."""

import threading

import pytest
import torch

from inkstone.hub.ctranslate2_engine import CTranslate2
from inkstone.hub.foreign_engine import Asked, ForeignEngineError, Token

from .checkpoints import TEXTS, decoder, greedy, tokenizer

pytest.importorskip("ctranslate2")
END = tokenizer().end


@pytest.fixture(scope="module")
def engine():
    opened = CTranslate2(decoder("llama"), slots=4, threads=1)
    yield opened
    opened.close()


def heard(engine, asked: Asked, stop_after: int | None = None) -> tuple[list[Token], str]:
    tokens: list[Token] = []

    def hear(token: Token) -> bool:
        tokens.append(token)
        return len(tokens) == stop_after

    return tokens, engine.write(asked, hear)


def prompt(text: str) -> tuple[int, ...]:
    return (END, *tokenizer().encode(text))


def numbers(tokens: list[Token]) -> list[int]:
    return [token.number for token in tokens]


def test_greedy_tokens_and_their_log_probabilities_are_ours(engine):
    model = decoder("llama")
    for text in TEXTS[:3]:
        tokens, ended = heard(engine, Asked(prompt(text), 12, frozenset()))
        assert ended == "length" and numbers(tokens) == greedy(model, list(prompt(text)), 12)
        with torch.no_grad():
            ids = torch.tensor([[*prompt(text), *numbers(tokens)]])
            scores = model.step(ids, model.start(1))[0][0, -13:-1]
        expected = scores.gather(1, torch.tensor(numbers(tokens))[:, None])[:, 0].tolist()
        assert [token.log_probability for token in tokens] == pytest.approx(expected, abs=1e-3)


def test_texts_of_unequal_prompts_written_at_once_are_those_of_each_alone(engine):
    asked = [
        Asked(prompt(text * n), most, frozenset()) for text, n, most in zip(TEXTS, (1, 2, 1), (5, 20, 9), strict=False)
    ]
    alone = [numbers(heard(engine, each)[0]) for each in asked]
    assert [len(each) for each in alone] == [5, 20, 9]
    found: list = [None] * 3
    threads = [
        threading.Thread(target=lambda n=n: found.__setitem__(n, numbers(heard(engine, asked[n])[0]))) for n in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == alone


def test_it_ends_at_the_tokens_that_are_ends_and_when_the_listener_has_had_enough(engine):
    free = numbers(heard(engine, Asked(prompt("Ink"), 12, frozenset()))[0])
    third = free[2]
    tokens, ended = heard(engine, Asked(prompt("Ink"), 12, frozenset({third})))
    assert ended == "end" and numbers(tokens) == free[: free.index(third) + 1]
    tokens, ended = heard(engine, Asked(prompt("Ink"), 12, frozenset()), stop_after=4)
    assert ended == "stopped" and numbers(tokens) == free[:4]


def test_drawing_keeps_to_its_filters(engine):
    likely = numbers(heard(engine, Asked(prompt("Ink"), 12, frozenset()))[0])
    narrow, _ = heard(engine, Asked(prompt("Ink"), 12, frozenset(), temperature=2.0, top_k=1))
    wide, _ = heard(engine, Asked(prompt("Ink"), 12, frozenset(), temperature=5.0))
    assert numbers(narrow) == likely != numbers(wide)
    assert all(token.log_probability != token.log_probability for token in wide)  # none is told


def test_what_a_listener_raises_ends_its_own_text_alone(engine):
    def fails(token: Token) -> bool:
        raise ValueError("no ear")

    with pytest.raises(ForeignEngineError, match="no ear"):
        engine.write(Asked(prompt("Ink"), 5, frozenset()), fails)
    assert len(heard(engine, Asked(prompt("Ink"), 5, frozenset()))[0]) == 5


def test_a_closed_engine_writes_no_more():
    engine = CTranslate2(decoder("gpt2"), slots=1, threads=1)
    engine.close()
    with pytest.raises(ForeignEngineError, match="closing"):
        heard(engine, Asked(prompt("a"), 3, frozenset()))
