"""vLLM as an engine, against a stand-in for its command that speaks its protocol; vLLM itself is not installed here."""

import json
import os
import sys
import time
from pathlib import Path

import pytest

from inkstone.hub.folder import save
from inkstone.hub.foreign_engine import Asked, ForeignEngineError, Token
from inkstone.hub.vllm_server import MissingEngineError, VllmServer

from .checkpoints import decoder, tokenizer

END = tokenizer().end
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="vLLM runs on Linux")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("run")
    save(decoder("qwen3"), place)
    return place


@pytest.fixture
def log(tmp_path, monkeypatch) -> Path:
    """A command `vllm` on the PATH; the file of what it notes."""
    command = tmp_path / "bin" / "vllm"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("fake_vllm.py")} "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_VLLM_LOG", str(tmp_path / "log"))
    return tmp_path / "log"


def notes(log: Path, kind: str) -> list:
    return [value for name, value in map(json.loads, log.read_text().splitlines()) if name == kind]


def opened(folder: Path) -> VllmServer:
    return VllmServer(folder, tokenizer(), slots=3, capacity=96, dtype="bfloat16")


def heard(engine, asked: Asked, stop_after: int | None = None) -> tuple[list[Token], str]:
    tokens: list[Token] = []

    def hear(token: Token) -> bool:
        tokens.append(token)
        return len(tokens) == stop_after

    return tokens, engine.write(asked, hear)


def by_rule(number: int, n: int) -> list[int]:
    numbers = []
    for _ in range(n):
        numbers.append(number := (number * 7 + 3) % 290)
    return numbers


def test_it_is_started_on_the_folder_asked_by_ids_and_ended_with_us(folder, log):
    engine = opened(folder)
    (started,) = notes(log, "started")
    assert started["folder"] == str(folder) and started["host"] == "127.0.0.1" and started["dtype"] == "bfloat16"
    assert (started["max_model_len"], started["max_num_seqs"], started["generation_config"]) == ("96", "3", "vllm")
    asked = Asked((4, 5), 6, frozenset({END}), 0.7, 4, 0.9, 0.1, 1.1, 0.2, 0.3, 12, {3: -2.0}, alternatives=2)
    tokens, ended = heard(engine, asked)
    assert ended == "length" and [token.number for token in tokens] == by_rule(5, 6)
    first = tokens[0].number
    assert tokens[0] == Token(first, -0.25, ((first, -0.25), (first + 1, -3.0)))
    (sent,) = notes(log, "asked")
    assert (sent["prompt"], sent["max_tokens"], sent["stop_token_ids"], sent["seed"]) == ([4, 5], 6, [END], 12)
    assert (sent["temperature"], sent["top_k"], sent["top_p"], sent["min_p"]) == (0.7, 4, 0.9, 0.1)
    assert [sent[f"{kind}_penalty"] for kind in ("repetition", "presence", "frequency")] == [1.1, 0.2, 0.3]
    assert sent["logit_bias"] == {"3": -2.0} and sent["logprobs"] == 2 and sent["stream"] is True
    engine.close()
    assert engine.process.poll() is not None and not engine.place.exists()


def test_ends_and_enough(folder, log, monkeypatch):
    monkeypatch.setenv("FAKE_VLLM_FAULT", "slow")
    engine = opened(folder)
    try:
        third = by_rule(5, 3)[2]
        tokens, ended = heard(engine, Asked((5,), 20, frozenset({third})))
        assert ended == "end" and [token.number for token in tokens] == by_rule(5, 3)
        tokens, ended = heard(engine, Asked((6,), 500, frozenset({END})), stop_after=2)
        assert ended == "stopped" and len(tokens) == 2
        for _ in range(100):
            if notes(log, "hung up"):
                break
            time.sleep(0.05)
        assert notes(log, "hung up") == [True]  # what nobody hears is not written on
    finally:
        engine.close()


@pytest.mark.parametrize(("fault", "words"), [("refuses", "400 .*too hot"), ("breaks", "in the middle of a text")])
def test_what_goes_wrong_is_told(folder, log, monkeypatch, fault, words):
    monkeypatch.setenv("FAKE_VLLM_FAULT", fault)
    engine = opened(folder)
    try:
        with pytest.raises(ForeignEngineError, match=words):
            heard(engine, Asked((5,), 20, frozenset({END})))
    finally:
        engine.close()


def test_one_that_ends_while_it_starts_gives_its_last_words(folder, log, monkeypatch):
    monkeypatch.setenv("FAKE_VLLM_FAULT", "ends")
    with pytest.raises(ForeignEngineError, match=r"ended while it was starting; .*no GPU was found"):
        opened(folder)


def test_where_there_is_no_such_command_the_way_out_is_named(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingEngineError, match=r"install vLLM .* or take --engine llama.cpp"):
        opened(folder)
