"""Speech recognition on sounds made here: a small model learns letters, is asked as a person does, and goes on after a stop."""

import io
import json
import shutil

import jiwer
import numpy as np
import pytest
import soundfile
import torch

from inkstone.cli import main
from inkstone.errors import Interrupted, RecipeError, RunError, TextError
from inkstone.inference.ctc_search import Heard
from inkstone.run import Run
from inkstone.tasks.fuse_language_model import fuse_language_model
from inkstone.tasks.fused_language import choose_weights
from inkstone.tasks.predict import Predictor, predict
from inkstone.tasks.recordings import Utterance
from inkstone.tasks.scoring import eval as score
from inkstone.tasks.transcribe import Transcribe
from inkstone.tasks.understanding import Understanding
from inkstone.tokens.example_batches import collate
from inkstone.training.loop import Loop
from inkstone.training.pretraining import train as train_language
from inkstone.training.tuning import tune
from tasks.made_speech import RATE, say, written

SHAPE = ["model.width=32", "model.n_layers=1", "train.threads=1", "train.device=cpu", "train.dtype=float32"]
SHORT = [*SHAPE, "task.rows=8", "task.speeds=[1.1]"]


def utterance(said, place="here"):
    return Utterance(place, place, said, 1.0, place)


def test_figures_are_those_of_jiwer():
    said, heard = ["ab cad", "dab", "bad cab ab"], ["ab bad", "dab dab", "bad"]
    measures = Transcribe().measures([utterance(s) for s in said], [{"text": text} for text in heard])
    assert list(measures) == ["word accuracy", "WER", "CER", "all right"]
    assert measures["WER"].value == pytest.approx(jiwer.wer(said, heard))
    assert measures["CER"].value == pytest.approx(jiwer.cer(said, heard))
    assert measures["word accuracy"].value == pytest.approx(1 - jiwer.wer(said, heard))
    assert measures["all right"].value == 0 and measures["WER"].lower_is_better
    (mistake,) = Transcribe().mistakes([utterance("ab cad")], [{"text": "ab bad", "confidence": 0.5}])
    assert (mistake["gold"], mistake["predicted"], mistake["right"], mistake["score"]) == (
        "ab cad",
        "ab bad",
        False,
        0.5,
    )


def test_settings_that_cannot_be_are_refused():
    for settings, name in (
        ({"rate": 100}, "rate"),
        ({"beams": 0}, "beams"),
        ({"speeds": [3.0]}, "speeds"),
        ({"alpha": -1}, "alpha"),
        ({"throats": 0.5}, "throats"),
        ({"microphones": -1}, "microphones"),
        ({"floor": 200}, "floor"),
    ):
        with pytest.raises(RecipeError, match=name):
            Transcribe(**settings)
    with pytest.raises(RecipeError, match="no setting"):
        Transcribe.of({"labels": ["a"]})
    task = Transcribe(speeds=[0.9], beams=3)
    assert Transcribe.of(json.loads(json.dumps(task.to_dict()))) == task
    assert Transcribe.of({}).ears.floor == task.ears.floor == Transcribe().floor > 0
    before = {name: value for name, value in task.to_dict().items() if name not in ("floor", "microphones")}
    assert Transcribe.of(before).ears.floor == 0  # a run of before there was a floor hears as it learned
    with pytest.raises(TextError, match="nothing to learn"):
        task.learn([utterance(None)])


def test_weights_of_a_language_model_are_those_with_the_fewest_errors():
    right, wrong = (1,), (2,)

    def texts(alpha, beta):
        return [[(Heard(right, -2.0, -1.0, 1), 0), (Heard(wrong, -1.0, -3.0, 2), 1)]]

    alpha, beta = choose_weights(texts)
    assert -2.0 - alpha + beta > -1.0 - 3 * alpha + 2 * beta
    assert choose_weights(texts, alpha=0.0)[0] == 0.0 and choose_weights(texts, 0.3, 0.2) == (0.3, 0.2)
    with_nothing = [[(Heard(right, -1.0, -1.0, 1), 0), (Heard(wrong, -2.0, -1.0, 1), 1)]]
    assert choose_weights(lambda a, b: with_nothing) == (0.0, 0.0)  # of weights that do as well the smallest


def test_an_interrupted_run_goes_on_bit_for_bit(tmp_path, monkeypatch):
    data = written(tmp_path / "train", 24, 0)
    settings = [*SHORT, "train.steps=10", "train.checkpoint_steps=4"]
    tune("transcribe", [data], settings=settings, out=tmp_path / "whole", quiet=True)
    step = Loop.step

    def stopping(loop, factor):
        loop.interruption.requested = loop.position.step == 6
        return step(loop, factor)

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(Loop, "step", stopping)
        tune("transcribe", [data], settings=settings, out=tmp_path / "broken", quiet=True)
    tune(resume=tmp_path / "broken", quiet=True)
    one, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "broken"))
    assert one == other


def test_recordings_are_altered_while_it_learns_and_never_when_it_answers(tmp_path):
    data = written(tmp_path / "train", 16, 0)
    outcome = tune("transcribe", [data], settings=[*SHORT, "train.steps=1"], out=tmp_path / "run", quiet=True)
    assert outcome["steps"] == 1
    predictor = Predictor.load(tmp_path / "run", "cpu")
    understanding = Understanding("data", [data])
    examples = predictor.task.read([data], understanding)
    batch = collate([piece for pieces in predictor.task.encode(examples, predictor.frame) for piece in pieces])

    def losses(**settings):
        task = Transcribe(**settings)
        return [
            float(task.loss(predictor.model, batch, torch.Generator().manual_seed(seed)).detach()) for seed in (0, 0, 1)
        ]

    predictor.model.train()
    for block in predictor.model.body.blocks:
        block.dropout = 0.0
    predictor.model.body.settings = type(predictor.model.body.settings)(
        **{**vars(predictor.model.body.settings), "dropout": 0.0}
    )
    predictor.model.head = type(predictor.model.head)("ctc", dropout=0.0)
    still = {"spec_augment": False, "throats": 0.0, "microphones": 0.0}
    for altered in ({"spec_augment": True}, {"throats": 0.1}, {"microphones": 5.0}):  # each by itself
        first, again, other = losses(**still | altered)
        assert first == again != other
    assert len(set(losses(**still))) == 1
    predictor.model.eval()
    assert len(set(losses())) == 1
    with torch.no_grad():
        nats, tokens = predictor.task.nats(predictor.model, batch)
    assert nats / tokens == pytest.approx(losses()[0], rel=1e-5) and tokens == sum(len(each.text) for each in examples)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A run that learned from 200 recordings, and a language model of what is said."""
    folder = tmp_path_factory.mktemp("speech")
    train, dev, test = (
        written(folder / part, number, seed)
        for part, number, seed in (("train", 160, 1), ("dev", 24, 2), ("test", 24, 3))
    )
    how = ["train.steps=260", "train.scalar_learning_rate=0.006", "task.rows=16", "task.speeds=[]"]
    outcome = tune(
        "transcribe", [train], dev=[dev], test=[test], settings=[*SHAPE, *how], out=folder / "run", quiet=True
    )
    return folder, outcome


def test_it_learns_what_each_letter_sounds_like_and_when_it_is_said(tuned):
    folder, outcome = tuned
    figures = outcome["figures"]["test"]
    assert figures["WER"]["value"] < 0.1 and figures["CER"]["value"] < 0.05
    assert score(folder / "run", [folder / "test" / "list.tsv"], device="cpu")["figures"] == figures
    draw = np.random.default_rng(9)
    soundfile.write(folder / "one.wav", say("bad cab", draw), RATE)
    (answer,) = predict(folder / "run", [str(folder / "one.wav")], device="cpu")
    assert answer["text"] == "bad cab" and 0.3 < answer["confidence"] <= 1
    first, second = answer["words"]
    assert (first["word"], second["word"]) == ("bad", "cab")
    assert first["start"] == pytest.approx(0.05, abs=0.15) and second["end"] == pytest.approx(0.05 + 7 * 0.12, abs=0.2)
    assert first["end"] == pytest.approx(0.05 + 3 * 0.12, abs=0.15) and first["end"] <= second["start"]
    assert {path.name for path in (folder / "run").iterdir()} >= {"report.html", "errors.html", "README.md"}


def test_a_long_recording_is_heard_in_pieces_as_one(tuned, monkeypatch):
    folder, _ = tuned
    draw = np.random.default_rng(4)
    said = " ".join(draw.choice(["bad", "cab", "dab"], 12))
    soundfile.write(folder / "long.flac", say(said, draw), RATE)
    predictor = Predictor.load(folder / "run", "cpu")
    examples = predictor.task.asked([str(folder / "long.flac")])
    (whole,) = predictor.answers(examples)
    short = Predictor(predictor.model, predictor.task, 160)
    assert len(predictor.task.encode(examples, short.frame)[0]) > 3
    (pieced,) = short.answers(examples)
    assert jiwer.wer(said, whole["text"]) < 0.2 and jiwer.wer(said, pieced["text"]) < 0.2
    assert pieced["words"][-1]["end"] == pytest.approx(examples[0].seconds, abs=0.3)


def test_the_commands_that_a_person_types(tuned, capsys, tmp_path):
    folder, _ = tuned
    draw = np.random.default_rng(5)
    for name, rate in (("a.wav", 16_000), ("b.ogg", 44_100)):
        soundfile.write(tmp_path / name, say("dab", draw, rate), rate)
    soundfile.write(tmp_path / "still.wav", np.zeros(RATE), RATE)
    run = str(folder / "run")
    names = [str(tmp_path / name) for name in ("a.wav", "b.ogg", "still.wav")]
    assert main(["predict", run, *names, "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("dab\t") and lines[2].startswith("dab\t") and lines[4].startswith("(nothing)")
    assert "dab" in lines[1] and "–" in lines[1]
    assert main(["predict", run, "--file", names[0], "--json", "--device", "cpu"]) == 0
    assert json.loads(capsys.readouterr().out)["answers"][0]["words"][0]["word"] == "dab"
    assert main(["predict", run, str(tmp_path / "no.wav"), "--device", "cpu"]) == 2
    assert "no.wav: no such file" in capsys.readouterr().err
    content = io.BytesIO()
    soundfile.write(content, say("dab", draw), RATE, format="WAV")
    assert predict(run, [content.getvalue()], device="cpu")[0]["text"] == "dab"


def test_a_language_model_listens_in_and_its_weights_are_chosen_on_dev(tuned, tmp_path, monkeypatch):
    folder, _ = tuned
    text = tmp_path / "said.txt"
    text.write_text("bad cab\ncab bad\n" * 300, encoding="utf-8")
    train_language(
        [text],
        family="ngram",
        out=tmp_path / "language",
        quiet=True,
        settings=["text.clean=false", "tokenizer.vocab_size=270"],
    )
    settings = [
        *SHAPE,
        "train.steps=1",
        "train.learning_rate=1e-9",
        f"task.language_model={tmp_path / 'language'}",
        "task.speeds=[]",
    ]
    lists = [str(folder / part / "list.tsv") for part in ("train", "dev")]
    tune(
        "transcribe",
        lists[:1],
        dev=lists[1:],
        model=folder / "run",
        settings=settings,
        out=tmp_path / "run",
        quiet=True,
    )
    task = json.loads((tmp_path / "run" / "config.json").read_text())["task"]
    assert task["alpha"] is not None and task["beta"] is not None and task["lines"] is True
    assert (tmp_path / "run" / "language" / "model.safetensors").exists()
    (tmp_path / "language").rename(tmp_path / "moved")  # the run has its own
    soundfile.write(tmp_path / "one.wav", say("bad cab", np.random.default_rng(11)), RATE)
    assert predict(tmp_path / "run", [str(tmp_path / "one.wav")], device="cpu")[0]["text"] == "bad cab"
    assert Run(tmp_path / "run").recipe().task.language_model == str(tmp_path / "language")

    shutil.copytree(folder / "run", tmp_path / "other")
    chosen = fuse_language_model(tmp_path / "other", tmp_path / "moved", lists[1:], device="cpu")
    assert chosen["lines"] is True and chosen["dev"]["together"] >= chosen["dev"]["alone"]
    again = json.loads((tmp_path / "other" / "config.json").read_text())["task"]
    assert (again["alpha"], again["beta"]) == (chosen["alpha"], chosen["beta"])
    assert predict(tmp_path / "other", [str(tmp_path / "one.wav")], device="cpu")[0]["text"] == "bad cab"
    assert Run(tmp_path / "other").facts()["fusion"]["dev"] == chosen["dev"]
    told = f"{100 * chosen['dev']['together']:.3g} % with it"
    assert told in (tmp_path / "other" / "README.md").read_text(encoding="utf-8")
    assert "was let listen in" in (tmp_path / "other" / "report.html").read_text(encoding="utf-8")

    def cut_short(*given):
        raise OSError("the power is gone")

    monkeypatch.setattr("inkstone.tasks.fuse_language_model.write_json", cut_short)
    with pytest.raises(OSError, match="power"):
        fuse_language_model(tmp_path / "other", tmp_path / "moved", lists[1:], device="cpu")
    monkeypatch.undo()
    assert json.loads((tmp_path / "other" / "config.json").read_text())["task"] == again  # as it was
    assert predict(tmp_path / "other", [str(tmp_path / "one.wav")], device="cpu")[0]["text"] == "bad cab"
    fuse_language_model(tmp_path / "other", tmp_path / "moved", lists[1:], device="cpu")
    kept = json.loads((tmp_path / "other" / "config.json").read_text())["task"]["language_folder"]
    assert [path.name for path in (tmp_path / "other").glob("language*")] == [kept]
    with pytest.raises(RecipeError, match="no language model"):
        fuse_language_model(tmp_path / "other", folder / "run", lists[1:], device="cpu")
    with pytest.raises(RunError, match="not tuned for a task"):
        fuse_language_model(tmp_path / "moved", tmp_path / "moved", lists[1:], device="cpu")
