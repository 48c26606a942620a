"""The verb `eval` on a run of its own and on a checkpoint of others."""

import shutil

import pytest

import inkstone
from inkstone.errors import RunError, TextError
from inkstone.evaluation.evaluate import eval, evaluate, window_of
from inkstone.hub.folder import load
from inkstone.tokens.shards import TokenShards

from .tiny_runs import texts


def test_own_held_out_text_is_scored_and_recorded(tiny_run):
    figures = eval(tiny_run.folder)
    held_out = TokenShards(tiny_run.held_out_shards)
    assert figures["bytes"] == held_out.n_bytes
    assert figures["tokens"] == held_out.n_tokens - 1  # the end that opens the stream is context only
    assert figures["documents"] == 40 and figures["interval_over"] == "documents"
    # A fresh model is all but uniform over 257 bytes, and each document's end costs eight bits as well.
    assert figures["bits_per_byte"] == pytest.approx(8 * figures["tokens"] / figures["bytes"], rel=0.02)
    assert figures["low"] < figures["bits_per_byte"] < figures["high"]
    yard = figures["yardsticks"]
    assert yard["zstd -19 after training text"] < yard["zstd -19"] < 8
    assert tiny_run.facts()["evaluation"] == figures
    again = eval(tiny_run.folder, share=0.5, compressors=False)
    assert tiny_run.facts()["evaluation"] == {**again, "yardsticks": yard}


def test_given_text_is_scored_and_leaves_the_record_alone(tiny_run, tmp_path):
    (tmp_path / "a.txt").write_text("墨分五色\r\nink and stone", encoding="gb18030")
    before = tiny_run.facts()
    figures = eval(tiny_run.folder, [tmp_path / "a.txt"], compressors=False)
    assert figures["bytes"] == len("墨分五色\nink and stone".encode())
    assert figures["low"] is None and "yardsticks" not in figures
    assert tiny_run.facts() == before


def test_held_out_text_given_as_a_file_gets_the_same_figure(tiny_run, tmp_path):
    lines = [f'{{"text": "{text}"}}' for text in texts(40, seed=2)]
    (tmp_path / "held.jsonl").write_text("\n".join(lines), encoding="utf-8")
    own, given = (
        eval(tiny_run.folder, compressors=False),
        eval(tiny_run.folder, [tmp_path / "held.jsonl"], compressors=False),
    )
    assert given["bits_per_byte"] == pytest.approx(own["bits_per_byte"], rel=1e-9)
    assert given["words"] == own["words"]


def test_a_checkpoint_without_held_out_text_needs_some(tiny_run, tmp_path):
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_run.folder / name, tmp_path)
    with pytest.raises(RunError, match=r"no held-out text of its own.*inkstone eval .* TEXT"):
        eval(tmp_path)
    (tmp_path / "a.txt").write_text("ink " * 50, encoding="utf-8")
    figures = eval(tmp_path, [tmp_path / "a.txt"])
    assert figures["yardsticks"]["train_bytes"] == 0
    assert not (tmp_path / "facts.json").exists()


def test_text_without_text_is_named(tiny_run, tmp_path):
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(TextError, match=r"empty\.txt"):
        eval(tiny_run.folder, [tmp_path / "empty.txt"])


def test_a_share_is_close_to_the_whole(tiny_run):
    model, held_out = load(tiny_run.folder), TokenShards(tiny_run.held_out_shards)
    assert window_of(model) == 64
    part = evaluate(model, held_out, share=0.25, compressors=False)
    whole = evaluate(model, held_out, compressors=False)
    assert part["documents"] == 10 and part["share"] == 0.25
    assert part["bits_per_byte"] == pytest.approx(whole["bits_per_byte"], rel=0.01)


def test_the_public_name_scores_a_language_model_as_the_function_here(tiny_run):
    ours, public = (how(tiny_run.folder, compressors=False) for how in (eval, inkstone.eval))
    assert {**ours, "seconds": 0} == {**public, "seconds": 0}
