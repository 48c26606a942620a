"""llama.cpp as an engine writes what our model writes, token by token."""

import threading

import pytest
import torch
import torch.nn.functional as F

from inkstone.errors import RunError
from inkstone.hub.foreign_engine import Asked, Token
from inkstone.hub.hidden_tokens import spelled_by
from inkstone.hub.llama_cpp import LlamaCpp

from .checkpoints import TEXTS, decoder, tokenizer

pytest.importorskip("xllamacpp")
PRINTABLE = [
    number for number, word in enumerate(tokenizer().spelling) if word.isascii() and word.decode().isprintable()
]
ONLY_PRINTABLE = {number: 60.0 for number in PRINTABLE if number not in tokenizer().special_ids}


@pytest.fixture(scope="module")
def engine():
    opened = LlamaCpp(decoder("qwen3", context=128), slots=2, threads=1)
    yield opened
    opened.close()
    assert not opened.folder.exists()


def heard(engine, asked: Asked, stop_after: int | None = None) -> tuple[list[Token], str]:
    tokens: list[Token] = []

    def hear(token: Token) -> bool:
        tokens.append(token)
        return len(tokens) == stop_after

    return tokens, engine.write(asked, hear)


def prompt(text: str) -> tuple[int, ...]:
    return (tokenizer().end, *tokenizer().encode(text))


def most_likely(prompt, n: int, bias: dict[int, float]) -> list[tuple[int, float]]:
    """Our own greedy text under a bias, with the log-probabilities before the bias."""
    model, ids = decoder("qwen3", context=128), list(prompt)
    added = torch.zeros(model.settings.vocab_size)
    added[list(bias)] = torch.tensor(list(bias.values()))
    told = []
    for _ in range(n):
        with torch.no_grad():
            scores = model.step(torch.tensor([ids]), model.start(1), last=True)[0][0, 0]
        ids.append(int((scores + added).argmax()))
        told.append((ids[-1], float(scores[ids[-1]])))
    return told


def test_greedy_tokens_and_their_log_probabilities_are_ours_under_a_bias(engine):
    for text in TEXTS[:2]:
        asked = Asked(prompt(text), 12, frozenset({tokenizer().end}), bias=ONLY_PRINTABLE, alternatives=3)
        tokens, ended = heard(engine, asked)
        expected = most_likely(asked.prompt, 12, ONLY_PRINTABLE)
        assert ended == "length" and [token.number for token in tokens] == [number for number, _ in expected]
        assert [token.log_probability for token in tokens] == pytest.approx([value for _, value in expected], abs=1e-2)
        assert all(len(token.alternatives) == 3 for token in tokens)


def writes_in_a_circle(ids: list[int]):
    """A decoder that writes these tokens again and again: each row of the output matrix points at the token before it."""
    model = decoder("qwen3", tied=False, context=128)
    with torch.no_grad():
        for block in model.blocks:
            block.out.weight.zero_()
            block.feed_forward.down.weight.zero_()
        model.norm.weight.fill_(1.0)
        model.head.weight.zero_()
        states = F.rms_norm(model.embedding.weight, (32,))
        for before, after in zip(ids, [*ids[1:], ids[0]], strict=True):
            model.head.weight[after] = states[before]
    return model


def test_tokens_within_a_character_are_found_by_their_bytes():
    ids = tokenizer().encode("𝄞 é")
    assert len(ids) == len(set(ids)) == 7  # bytes
    model = writes_in_a_circle(ids)
    engine = LlamaCpp(model, slots=1, threads=1)
    try:
        tokens, ended = heard(engine, Asked((tokenizer().end, *ids), 14, frozenset()))
    finally:
        engine.close()
    assert ended == "length" and [token.number for token in tokens] == ids * 2
    told = [token.log_probability == token.log_probability for token in tokens]
    assert told == [False, False, False, True, True, False, True] * 2


def test_it_stops_when_the_listener_has_had_enough_and_at_a_token_that_is_an_end(engine):
    asked = Asked(prompt("Ink"), 60, frozenset({tokenizer().end}), bias=ONLY_PRINTABLE)
    tokens, ended = heard(engine, asked, stop_after=3)
    assert ended == "stopped" and len(tokens) == 3
    tokens, ended = heard(engine, Asked(prompt("Ink"), 60, frozenset({tokenizer().end}), bias={tokenizer().end: 90.0}))
    assert ended == "end" and [token.number for token in tokens] == [tokenizer().end]


def test_the_same_seed_draws_the_same_text_and_another_another(engine):
    def drawn(seed: int, **settings) -> list[int]:
        asked = Asked(prompt("Ink"), 20, frozenset(), temperature=1.5, seed=seed, bias=ONLY_PRINTABLE, **settings)
        return [token.number for token in heard(engine, asked)[0]]

    assert drawn(1) == drawn(1) != drawn(2)
    assert len(set(drawn(1, repetition_penalty=9.0))) > len(set(drawn(1, top_k=2)))
    likely = [number for number, _ in most_likely(prompt("Ink"), 20, ONLY_PRINTABLE)]
    assert drawn(3, top_k=1) == likely == drawn(4, min_p=1.0)


def test_two_texts_at_once_are_those_of_each_alone(engine):
    asked = [Asked(prompt(text), 30, frozenset(), bias=ONLY_PRINTABLE) for text in TEXTS[:2]]
    alone = [heard(engine, each)[0] for each in asked]
    found: list = [None, None]
    threads = [threading.Thread(target=lambda n=n: found.__setitem__(n, heard(engine, asked[n])[0])) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [[token.number for token in each] for each in found] == [[token.number for token in each] for each in alone]


def test_what_llama_cpp_cannot_run_is_refused_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(RunError, match="without biases"):
        LlamaCpp(decoder("qwen3", attention_bias=True))
    assert not list(tmp_path.iterdir())


def test_spellings_have_exactly_so_many_tokens():
    ids = {b"\xe5": 1, b"\xa2": 2, b"\x83": 3, b"\xe5\xa2": 4}
    assert spelled_by(b"\xe5\xa2\x83", 3, ids) == (1, 2, 3) and spelled_by(b"\xe5\xa2\x83", 2, ids) == (4, 3)
    assert (
        spelled_by(b"\xe5\xa2\x83", 1, ids) is None
        and spelled_by(b"\xff", 1, ids) is None
        and spelled_by(b"", 0, ids) == ()
    )
