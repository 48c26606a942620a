import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from inkstone.errors import Interrupted, RunError
from inkstone.evaluation.report import report
from inkstone.progress import LiveLine
from inkstone.recipe import Recipe
from inkstone.run import Run
from inkstone.text.clean import clean_batches
from inkstone.tokens.shards import TokenShards
from inkstone.training import preparing, pretraining
from inkstone.training.preparing import prepare, sample_for, usable_bytes
from training.small_runs import MACHINE, prose


@pytest.fixture
def corpus(tmp_path) -> Path:
    path = tmp_path / "corpus.jsonl"
    paragraphs = prose(150_000).split("\n\n")
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in paragraphs))
    return path


@pytest.fixture
def little(monkeypatch):
    """A run that can use 40 kB only."""
    monkeypatch.setattr(preparing, "LEAST_BYTES", 0)
    monkeypatch.setattr(preparing, "usable_bytes", lambda *_: 40_000)


class Said(LiveLine):
    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.words: list[str] = []

    def say(self, text: str) -> None:
        self.words.append(text)


def prepared(folder: Path, corpus: Path, seconds: float | None, **train) -> tuple[Run, TokenShards, list[str]]:
    recipe = Recipe.model_validate(
        {"text": {"sources": [str(corpus)]}, "tokenizer": {"vocab_size": 300}, "train": train}
    )
    run, line = Run.create(folder, recipe), Said()
    _, shards, _ = prepare(run, recipe, MACHINE, seconds, line)
    return run, shards, line.words


def test_a_run_of_minutes_reads_what_it_can_use_and_says_so(tmp_path, corpus, little):
    run, shards, words = prepared(tmp_path / "run", corpus, 300.0, minutes=5.0)
    assert 20_000 < shards.n_bytes < 50_000
    facts = run.facts()["text"]["sample"]
    assert facts["total_bytes"] == corpus.stat().st_size and facts["most_bytes"] == 40_000
    assert 25_000 < facts["read_bytes"] < 55_000 and facts["ended_after_documents"] is None
    assert any("drawn from all over it: what can be used in 5m00s" in line for line in words), words
    assert facts["told"] in "".join(words)


def test_prepared_again_a_run_gets_the_same_text(tmp_path, corpus, little, monkeypatch):
    run, shards, _ = prepared(tmp_path / "run", corpus, 300.0, minutes=5.0)
    monkeypatch.setattr(preparing, "usable_bytes", lambda *_: 90_000)  # the machine is faster today
    _, again, _ = prepare(run, run.recipe(), MACHINE, 300.0, LiveLine(quiet=True))
    assert again.index["checksum"] == shards.index["checksum"]


def test_a_run_of_steps_reads_everything(tmp_path, corpus, little):
    run, shards, _ = prepared(tmp_path / "run", corpus, None, steps=10)
    assert shards.n_bytes > 100_000 and "sample" not in run.facts()["text"]
    _, again, _ = prepared(tmp_path / "again", corpus, None, steps=10)
    assert again.index["checksum"] == shards.index["checksum"]


@pytest.mark.parametrize("clean", [True, False])
def test_lines_in_another_encoding_are_told_of_the_text_and_of_the_held_out_text(tmp_path, clean):
    files = {}
    for name, seed in (("learned.txt", 1), ("held.txt", 2)):
        lines = prose(20_000, seed).encode().split(b"\n")
        lines[6] = "老人和孩子带着渔网走到海边，看见远方的船慢慢靠近。".encode()
        lines[8] = "今天天气很好，我们去公园走走，看看花和树。".encode("gb18030")
        files[name] = tmp_path / name
        files[name].write_bytes(b"\n".join(lines))
    text = {"sources": [str(files["learned.txt"])], "held_out_sources": [str(files["held.txt"])], "clean": clean}
    recipe = Recipe.model_validate({"text": text, "tokenizer": {"vocab_size": 300}, "train": {"steps": 1}})
    run, line = Run.create(tmp_path / "run", recipe), Said()
    prepare(run, recipe, MACHINE, None, line)
    told = "1 line in another encoding than its file, read as what it is"
    assert f"text  {told} ({files['learned.txt']}:7)" in line.words
    assert f"held-out  {told} ({files['held.txt']}:7)" in line.words
    facts = run.facts()["text"]
    assert facts["lines_otherwise"] == 1 and facts["otherwise_at"] == [f"{files['learned.txt']}:7"]
    assert facts["held_out_encodings"] == [f"{told} ({files['held.txt']}:7)"]
    page = report(run.folder).read_text(encoding="utf-8")
    assert "Lines in another encoding than their file" in page and f"1: {files['learned.txt']}:7" in page


def test_a_run_that_was_stopped_after_preparing_counts_what_that_took(tmp_path, corpus, monkeypatch):
    def stop(*given, **more):
        raise Interrupted("stopped")

    monkeypatch.setattr(pretraining, "measure_machine", lambda *_: MACHINE)
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(pretraining, "make_plan", stop)
        small = ["tokenizer.vocab_size=300"]
        pretraining.train([str(corpus)], minutes=5, settings=small, out=tmp_path / "run", quiet=True)
    run = Run(tmp_path / "run")
    took = run.facts()["preparation"]
    assert sum(took.values()) > 0 and "plan" not in run.facts()
    run.record(preparation={**took, "clean": 1000.0})
    with pytest.raises(RunError, match=r"took 16m.*left of 5m.*start a new run with more minutes"):
        pretraining.train(resume=tmp_path / "run", quiet=True)


def test_reading_ends_with_its_share_of_the_time(tmp_path, corpus, monkeypatch):
    lines = corpus.read_text().splitlines(keepends=True)
    folder = tmp_path / "in"
    folder.mkdir()
    for start in range(0, len(lines), 50):
        (folder / f"{start:05d}.jsonl").write_text("".join(lines[start : start + 50]))
    monkeypatch.setattr(preparing, "CLEANING_SHARE", 0.0)  # no time is left after the first batch
    monkeypatch.setattr(preparing, "clean_batches", partial(clean_batches, batch_bytes=5_000))
    run, shards, words = prepared(tmp_path / "run", folder, 300.0, minutes=5.0)
    facts = run.facts()["text"]["sample"]
    assert facts["ended_after_documents"] == facts["read_documents"] == 50
    assert shards.n_bytes < 20_000 and any("give more minutes to read more" in line for line in words)
    sample = sample_for(run.recipe(), run.facts(), MACHINE, 300.0)
    assert sample.most_documents == 50 and sample.seconds is None


def test_more_minutes_and_a_faster_machine_can_use_more():
    recipe = Recipe()
    faster = replace(MACHINE, matmul_gflops={"float32": 1000.0})
    minute, hour = usable_bytes(recipe, MACHINE, 60.0), usable_bytes(recipe, MACHINE, 3600.0)
    assert preparing.LEAST_BYTES <= minute < hour
    assert usable_bytes(recipe, faster, 3600.0) >= hour
    counted = Recipe.model_validate({"model": {"family": "ngram"}})
    assert usable_bytes(counted, MACHINE, 3600.0) == 0.15 * 3600 * 2.5e6 > hour
