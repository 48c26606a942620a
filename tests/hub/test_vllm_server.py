"""vLLM as an engine, against a stand-in for its command that speaks its protocol; and vLLM itself where it is installed."""

import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest
import torch

from inkstone.hub.folder import save
from inkstone.hub.foreign_engine import Asked, ForeignEngineError, Token
from inkstone.hub.vllm_server import MissingEngineError, VllmServer, cache_gibibytes
from inkstone.inference.generation import stream
from inkstone.inference.sampling import Sampling
from inkstone.models.decoder import Decoder, DecoderSettings

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
    assert started["cache"] == "1"
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


def test_memory_of_its_cache_on_a_cpu(folder):
    shape = json.loads((folder / "config.json").read_text())
    token = 8 * shape["num_hidden_layers"] * shape["num_key_value_heads"] * shape["head_dim"]  # bytes
    assert cache_gibibytes(folder, 96) == 1
    assert cache_gibibytes(folder, 2 * 2**30 // token) == 3  # 2 GiB and room for pages that are not full


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
    with pytest.raises(ForeignEngineError, match=r"ended while it was starting; .*no GPU was found .*see above"):
        opened(folder)


def test_where_there_is_no_such_command_the_way_out_is_named(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingEngineError, match=r"install vLLM .* or take --engine llama.cpp"):
        opened(folder)


@pytest.mark.skipif(shutil.which("vllm") is None, reason="vLLM is not installed here")
def test_the_likeliest_text_of_vllm_itself_is_ours(tmp_path):
    shape = DecoderSettings(tokenizer().vocab_size, 128, 2, 2, 1, 64, 256, 128)  # heads as wide as its kernels want
    model = Decoder(shape, tokenizer()).initialise(torch.Generator().manual_seed(0))
    save(model, tmp_path)
    engine = VllmServer(tmp_path, tokenizer(), slots=2, capacity=128, dtype="float32")
    try:
        for seed in range(3):
            prompt = torch.randint(0, 256, (9,), generator=torch.Generator().manual_seed(seed)).tolist()
            tokens, ended = heard(engine, Asked(tuple(prompt), 40, frozenset()))
            ours = list(stream(model, prompt, Sampling(temperature=0, max_tokens=40), ends=()))[-1].generated
            assert ended == "length" and [token.number for token in tokens] == list(ours.ids)
            assert sum(token.log_probability for token in tokens) == pytest.approx(
                sum(ours.log_probabilities), abs=1e-3
            )
    finally:
        engine.close()
