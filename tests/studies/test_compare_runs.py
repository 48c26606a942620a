"""Two runs on the same data: what is compared is pair by pair, and what cannot be compared is refused."""

import numpy as np
import pytest
import torch

from inkstone import compare, tune
from inkstone.cli import main
from inkstone.errors import RecipeError, RunError
from inkstone.hub.folder import save
from inkstone.hub.headed_layout import save_headed
from inkstone.models.encoder import Encoder, EncoderSettings
from inkstone.models.headed import Headed
from inkstone.models.ngram import NGram, NGramSettings
from inkstone.tasks.classify import Classify
from inkstone.tasks.labelled import Labelled
from inkstone.tokens.learning import learn_tokenizer


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two untrained classifiers, two n-gram models, and data for both."""
    folder = tmp_path_factory.mktemp("runs")
    lines = [f"the film number {n} is {'fine' if n % 2 else 'dull'}" for n in range(60)]
    tokenizer = learn_tokenizer(lines, vocab_size=290)
    task = Classify()
    task.learn([Labelled("1", "x", None, ("bad",)), Labelled("2", "y", None, ("good",))])
    for seed in (0, 1):
        body = Encoder(EncoderSettings.of_size(tokenizer.vocab_size, 16, 1), tokenizer)
        body.initialise(torch.Generator().manual_seed(seed))
        model = Headed(body, task.head()).initialise_head(torch.Generator().manual_seed(seed + 1))
        save_headed(model, folder / f"tuned{seed}", {"name": "classify", "context": 32, **task.to_dict()})
        ngram = NGram(NGramSettings(tokenizer.vocab_size, 1 + seed), tokenizer)
        ngram.fit([np.array(ids, dtype=np.int64) for ids in tokenizer.encode_batch(lines[:30])])
        save(ngram, folder / f"ngram{seed}")
    rows = "\n".join(f"{line},{'good' if n % 2 else 'bad'}" for n, line in enumerate(lines))
    (folder / "data.csv").write_text(f"text,label\n{rows}\n", encoding="utf-8")
    (folder / "text.jsonl").write_text("\n".join(f'{{"text": "{line}"}}' for line in lines), encoding="utf-8")
    return folder


def test_a_run_beside_itself_differs_by_nothing(runs):
    table = compare([str(runs / "tuned0")] * 2, on=[str(runs / "data.csv")])
    for row in table["rows"]:
        assert row["difference"] == 0 and row["p"] == 1.0 and (row["low"], row["high"]) == (0.0, 0.0)
    assert table["rows"][0]["mcnemar"]["only_first"] == table["rows"][0]["mcnemar"]["only_second"] == 0


def test_a_bigram_model_beats_a_unigram_model_hardly_by_luck(runs):
    table = compare([str(runs / "ngram0"), str(runs / "ngram1")], on=[str(runs / "text.jsonl")])
    (row,) = table["rows"]
    assert table["units"] == 60 and row["difference"] > 0 and row["low"] > 0 and row["p"] < 0.001


def test_a_run_that_learned_from_the_data_is_named(tmp_path, capsys):
    rows = "\n".join(f"the film number {n} is {'fine' if n % 2 else 'dull'},{n % 2}" for n in range(60))
    (tmp_path / "data.csv").write_text(f"text,label\n{rows}\n", encoding="utf-8")
    data, run = str(tmp_path / "data.csv"), str(tmp_path / "run")
    tune("classify", [data], settings=["train.steps=2", "task.yardstick=false"], out=run, quiet=True)
    told = compare([run, run], on=[data])["notices"]
    assert told and all(notice.startswith(run) for notice in told) and "the figures flatter" in told[0]
    capsys.readouterr()
    assert main(["compare", run, run, "--on", data]) == 0
    assert "the figures flatter" in capsys.readouterr().out


def test_runs_that_know_other_labels_are_compared_in_what_they_have_in_common(runs, tmp_path):
    known = Classify()
    known.learn(
        [Labelled("1", "x", None, ("bad",)), Labelled("2", "y", None, ("good",)), Labelled("3", "z", None, ("fair",))]
    )
    tokenizer = learn_tokenizer(["the film is fine"], vocab_size=290)
    body = Encoder(EncoderSettings.of_size(tokenizer.vocab_size, 16, 1), tokenizer)
    body.initialise(torch.Generator().manual_seed(0))
    model = Headed(body, known.head()).initialise_head(torch.Generator().manual_seed(1))
    save_headed(model, tmp_path / "three", {"name": "classify", "context": 32, **known.to_dict()})
    table = compare([str(runs / "tuned0"), str(tmp_path / "three")], on=[str(runs / "data.csv")])
    assert [row["name"] for row in table["rows"]] == ["accuracy"]


def test_the_command_says_it_in_words(runs, capsys):
    assert main(["compare", str(runs / "tuned0"), str(runs / "tuned1"), "--on", str(runs / "data.csv")]) == 0
    said = capsys.readouterr().out
    assert "accuracy" in said and "McNemar p" in said and "60 units" in said


def test_what_cannot_be_compared_is_refused(runs):
    data = [str(runs / "data.csv")]
    with pytest.raises(RunError, match=r"was tuned for a task and .* was not"):
        compare([str(runs / "tuned0"), str(runs / "ngram0")], on=data)
    with pytest.raises(RecipeError, match="--on DATA"):  # and nothing is trained on the folders of the runs
        compare([str(runs / "tuned0"), str(runs / "tuned1")])
    with pytest.raises(RunError, match="two runs, not 1"):
        compare([str(runs / "tuned0")], on=data)
    with pytest.raises(RecipeError, match="as they are"):
        compare([str(runs / "tuned0"), str(runs / "tuned1")], on=data, families=["ngram"])
