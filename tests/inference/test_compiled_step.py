"""Artefacts of compiled steps: found again, refused where they are stale or damaged, made only where that can be."""

import json
import os

import pytest
import torch

from inkstone.errors import InkstoneError
from inkstone.files import sha256
from inkstone.inference import compiled_step
from inkstone.inference.compiled_step import PARTS, SUMS, StepPlan, artefacts, build, compiler, find
from inkstone.inference.fast_decoder import fast_decoder
from inkstone.inference.generation import generate
from inkstone.inference.single_token import for_generation
from inkstone.inference.step_graph import Kinds
from inkstone.models.quantised_decoder import dense, quantised

from .decoders import decoder

KINDS = Kinds("int8", "int8", "int8", "int8")


def plan(single=True, **changes) -> StepPlan:
    return StepPlan.of(decoder(**changes).settings, KINDS, "int8", single, torch.float32)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("INKSTONE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def no_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)


def test_a_plan_survives_the_command_line():
    assert StepPlan.from_json(plan().to_json()) == plan()


def test_the_key_is_of_what_the_code_depends_on(monkeypatch):
    key = plan().key
    assert plan(context=200, rotary_theta=5e5).key == key  # which are arguments, or nothing to it
    others = [plan(single=False), plan(width=64), plan(layout="llama"), plan(n_layers=4)]
    assert len({key, *(other.key for other in others)}) == 5
    compiled_step._surroundings.cache_clear()
    monkeypatch.setattr(torch, "__version__", "0.0")
    assert plan().key != key
    compiled_step._surroundings.cache_clear()


def test_blocks_are_compiled_a_few_at_a_time():
    assert [plan(n_layers=n).blocks for n in (1, 3, 8, 10, 7)] == [1, 3, 4, 2, 1]


def artefact(sums: dict) -> None:
    folder = artefacts() / plan().key
    folder.mkdir(parents=True)
    for part in PARTS:
        (folder / part).write_bytes(b"no package")
    (folder / SUMS).write_text(json.dumps(sums))


def test_none_is_found_where_none_is_or_it_is_damaged():
    assert find(plan()) is None
    artefact({part: "0" * 64 for part in PARTS})
    assert find(plan()) is None


def test_one_that_is_whole_but_cannot_be_loaded_is_as_good_as_none(tmp_path):
    (tmp_path / "x").write_bytes(b"no package")
    artefact(dict.fromkeys(PARTS, sha256(tmp_path / "x")))
    assert find(plan()) is None


def test_without_a_compiler_it_says_so_and_generation_goes_on(no_compiler):
    assert compiler() is None
    with pytest.raises(InkstoneError, match=r"install g\+\+"):
        for_generation(decoder(), 1, compiled=True)
    fast = fast_decoder(decoder(), 1)
    fast.compile_beside()
    assert not fast._under_way and fast.compiled == {"one row": False, "several": False}
    assert generate(decoder(), "Ink", max_tokens=3, temperature=0)[0].ids
    assert not artefacts().exists()


def test_a_place_that_cannot_be_written_is_named(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("INKSTONE_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(compiled_step, "compiler", lambda: "g++")
    with pytest.raises(InkstoneError, match="INKSTONE_CACHE"):
        build(plan())


def test_only_what_can_be_compiled_may_be_asked_for():
    with pytest.raises(InkstoneError, match="leave out compiled"):
        for_generation(decoder().double(), 1, compiled=True)


@pytest.mark.slow
@pytest.mark.skipif(compiler() is None, reason="no C++ compiler here")
def test_a_compiled_step_gives_the_log_probabilities_of_the_decoder_and_is_found_again():
    model = quantised(decoder(n_layers=1, vocab_size=264), 8)
    fast, plain = fast_decoder(model, 1), dense(model)
    for rows, most in ((1, 1e-4), (3, 0.3)):
        fast.compile(rows)
        written = {path.name for path in artefacts().iterdir()}
        ids = torch.randint(0, 260, (rows, 40), generator=torch.Generator().manual_seed(1))
        with torch.inference_mode():
            expected, _ = plain.step(ids, plain.start(rows))
            for again in (fast, fast_decoder(model, rows)):
                assert again.compiled["one row" if rows == 1 else "several"]
                _, state = plain.step(ids[:, :30], plain.start(rows))  # as the prompt is read otherwise, in integers
                for place in range(30, 40):
                    found, state = again.step(ids[:, place : place + 1], state)
                    assert (found[:, 0] - expected[:, place]).abs().max() < most
    assert all(not name.startswith(".") for name in written)
    damaged = next(artefacts().iterdir()) / PARTS[0]
    os.truncate(damaged, damaged.stat().st_size // 2)
    assert sum(fast_decoder(model, 1).compiled.values()) == 1
