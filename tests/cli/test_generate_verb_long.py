"""Drafts, windows and longer contexts by the command that a person types."""

import json

import pytest

from inference.decoders import byte_tokenizer, decoder
from inkstone.cli import main
from inkstone.hub.folder import load, save
from inkstone.tokens.shards import write_shards


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "mine"
    save(decoder(context=32, vocab_size=byte_tokenizer().vocab_size), folder)
    write_shards([["ab abc abcd " * 30]], byte_tokenizer(), folder / "shards" / "train")
    return folder


def told(capsys, *words: str) -> dict:
    assert main(["generate", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("draft", ["lookup", "ngram", "itself"])
def test_a_draft_changes_no_greedy_text_and_says_what_it_was_worth(run, draft, capsys):
    # Past its context a draft reads its last half, and then guesses worse than the model with its window.
    tokens = "18" if draft == "itself" else "40"
    words = [str(run), "ab ab ab", "--temperature", "0", "--max-tokens", tokens, "--endless"]
    plain = told(capsys, *words)
    guessed = told(capsys, *words, "--draft", str(run) if draft == "itself" else draft, "--draft-tokens", "3")
    assert [one["ids"] for one in guessed["samples"]] == [one["ids"] for one in plain["samples"]]
    facts = guessed["samples"][0]["speculated"]
    assert 0 <= facts["acceptance"] <= 1 and facts["accepted"] <= facts["drafted"]
    assert draft != "itself" or facts["acceptance"] == 1
    assert "speculated" not in plain["samples"][0]
    assert main(["generate", *words, "--draft", draft if draft != "itself" else str(run)]) == 0
    assert "draft: " in capsys.readouterr().err


def test_an_endless_text_goes_on_and_a_short_window_is_refused_by_name(run, capsys):
    one = told(
        capsys, str(run), "a", "--endless", "--max-tokens", "70", "--seed", "1", "--window", "16", "--sinks", "2"
    )
    assert len(one["samples"][0]["ids"]) == 70 or one["samples"][0]["finish_reason"] == "end"
    assert main(["generate", str(run), "a", "--window", "5"]) == 2
    assert "window = 5 with sinks = 4" in capsys.readouterr().err


def test_a_longer_context_is_read_and_exported(run, tmp_path, capsys):
    assert told(capsys, str(run), "a" * 60, "--context", "128", "--max-tokens", "3")["tokens"] >= 1
    assert main(["generate", str(run), "a", "--rope-scaling", "ntk"]) == 2
    assert "needs the context" in capsys.readouterr().err
    out = tmp_path / "long"
    assert main(["export", str(run), "--out", str(out), "--context", "128"]) == 0
    config = json.loads((out / "config.json").read_text())
    assert config["max_position_embeddings"] == 128
    assert config["rope_parameters"]["rope_type"] == "yarn" and config["rope_parameters"]["factor"] == 4
    assert load(out).settings.rotary_scaling.original_context == 32
    assert main(["export", str(run), "--to", "gguf", "--out", str(tmp_path / "long.gguf"), "--context", "128"]) == 2
    assert "rotary scaling 'yarn'" in capsys.readouterr().err
