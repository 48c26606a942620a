"""A run that has more time than its text has to say ends once it was read often enough."""

import re

import pytest

from inkstone.run import Run
from inkstone.tokens.shards import TokenShards
from inkstone.training import pretraining, readings
from training.small_runs import known_machine, prose

SHAPE = ["model.width=32", "model.n_layers=1", "model.context=32", "train.batch_tokens=128", "train.threads=1"]


def test_a_run_ends_when_its_text_was_read_often_enough(tmp_path, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(readings, "readings_for", lambda weights, tokens: asked.append((weights, tokens)) or 0.5)
    (tmp_path / "text.txt").write_text(prose(40_000), encoding="utf-8")
    with known_machine():
        outcome = pretraining.train(
            [str(tmp_path / "text.txt")],
            minutes=0.5,
            out=tmp_path / "run",
            settings=[*SHAPE, "tokenizer.vocab_size=300"],
        )
    told = capsys.readouterr().err
    assert re.search(r", [\d.]+( k)? times the text\n", told) and "the text is read 0.5 times by then" in told
    run = Run.open(tmp_path / "run")
    tokens = TokenShards.open(run.train_shards).n_tokens
    assert set(asked) == {(run.facts()["training"]["parameters"], tokens)}
    assert outcome["steps"] == round(0.5 * tokens / 128) and outcome["seconds"] < 25
    predicted = run.facts()["plan"]["predicted"]
    assert predicted["steps"] == outcome["steps"] and predicted["epochs"] == pytest.approx(0.5, rel=0.02)
