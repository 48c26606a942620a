"""A Whisper that is tuned on recordings: what is read of them, the loss, and a tiny checkpoint that learns, there and back."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from transformers import WhisperForConditionalGeneration

from hub.whisper_checkpoints import STATES, whisper_checkpoint
from inkstone import export, predict, tune
from inkstone.audio.whisper_features import whisper_features
from inkstone.cli import main
from inkstone.cli.tune_verb import as_text
from inkstone.errors import RecipeError, RunError
from inkstone.models.headed import Headed
from inkstone.tasks.predict import Predictor
from inkstone.tasks.scoring import eval
from inkstone.tasks.tuned_whisper import TunedWhisper, WindowEars
from inkstone.tasks.understanding import Understanding
from inkstone.tokens.example_batches import collate

RATE = 16_000
WORDS = {"Ink.": 300, "A stone": 900, "墨": 1800, "Paper, too": 3200}  # and the pitch that each is said at
EXACT = {"temperatures": (0.0,), "language": "en"}


def said(text: str, seconds: float = 0.5, seed: int = 0) -> np.ndarray:
    """A tone for each text, a little of noise in it."""
    draw = np.random.default_rng(seed)
    time = np.arange(int(seconds * RATE)) / RATE
    sound = 0.4 * np.sin(2 * np.pi * WORDS[text] * draw.uniform(0.97, 1.03) * time)
    return (sound + 0.01 * draw.standard_normal(len(time))).astype(np.float32)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    """A checkpoint, and train.tsv and dev.tsv with recordings of half a second."""
    folder = tmp_path_factory.mktemp("recordings")
    whisper_checkpoint(folder / "whisper", seed=2)
    for part, number in (("train", 8), ("dev", 2)):
        rows = []
        for at, text in enumerate(WORDS):
            for seed in range(number):
                name = f"{part}{at}-{seed}.wav"
                soundfile.write(folder / name, said(text, 0.4 + 0.02 * seed, seed + 100 * (part == "dev")), RATE)
                rows.append(f"{name}\t{text}\n")
        (folder / f"{part}.tsv").write_text("audio\ttext\n" + "".join(rows), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def tuned(recordings) -> tuple[Path, dict]:
    settings = [
        "train.steps=120", "train.learning_rate=3e-3", "task.rows=16", "task.source_language=en", "model.dropout=0",
        "task.spec_augment=false", "task.speeds=[0.95]", "train.evaluate_steps=30",
    ]  # fmt: skip
    outcome = tune(
        "transcribe",
        [str(recordings / "train.tsv")],
        dev=[str(recordings / "dev.tsv")],
        model=recordings / "whisper",
        out=recordings / "run",
        settings=settings,
        quiet=True,
    )
    return recordings / "run", outcome


def task_of(folder: Path, **settings) -> TunedWhisper:
    return TunedWhisper.of({"source_language": "en", **settings}).begin(folder / "whisper")


def test_features_end_where_silence_begins():
    ears = WindowEars(80, 200)
    silent, tone = np.zeros(RATE, dtype=np.float32), said("Ink.")
    for name, samples in (("silent", silent), ("tone", tone), ("long", np.tile(tone, 5))):
        ears.keep(name, samples)
    shapes = [ears.kept[name, 1.0].shape for name in ("silent", "tone", "long")]
    assert shapes[0] == (1, 80) and 50 <= shapes[1][0] <= 55 and shapes[2] == (0, 80)


def test_the_loss_is_the_cross_entropy_that_transformers_has_of_the_text(recordings):
    from inkstone.hub.folder import load

    task, theirs = task_of(recordings), whisper_checkpoint(recordings / "again", seed=2)
    model = Headed(load(recordings / "whisper"), task.head()).eval()
    examples = task.read([str(recordings / "dev.tsv")], Understanding("dev", []))
    encoded = [own[0] for own in task.encode(examples, Predictor(model, task, 40).frame)]
    with torch.inference_mode():
        nats, tokens = task.nats(model, collate(encoded))
    ids = theirs.generation_config
    expected, counted = 0.0, 0
    for example, own in zip(examples, encoded, strict=True):
        before = [ids.lang_to_id["<|en|>"], ids.task_to_id["transcribe"], ids.no_timestamps_token_id]
        assert own.written is not None and own.written[:3].tolist() == before and own.written[-1] == ids.eos_token_id
        text = model.tokenizer.decode(own.written[3:-1])
        assert text == (example.text if example.text == "墨" else f" {example.text}")  # as a Whisper writes them
        labels = torch.tensor([own.written.tolist()])
        read = torch.cat((torch.tensor([[ids.decoder_start_token_id]]), labels[:, :-1]), dim=1)
        sound = soundfile.read(example.audio, dtype="float32")[0]
        window = whisper_features(sound, 80, least=RATE)[None]
        with torch.no_grad():
            logits = theirs(input_features=window, decoder_input_ids=read).logits
        each = torch.nn.functional.cross_entropy(logits[0], labels[0], reduction="none")[3:]
        expected, counted = expected + float(each.sum()), counted + len(each)
    assert tokens == counted and nats == pytest.approx(expected, rel=1e-4)


def test_it_learns_and_beats_what_it_was(tuned, recordings):
    folder, outcome = tuned
    assert outcome["yardstick"]["name"] == "as it began"
    assert f"next      inkstone predict {outcome['folder']} RECORDING" in as_text(outcome)
    half = {"dev": {"word accuracy": {**outcome["figures"]["dev"]["word accuracy"], "value": 0.5}}}
    told = as_text({**outcome, "figures": half, "yardstick": {"name": "as it began", "figures": half}})
    assert "no better than it was" in told and "--from" not in told and "seconds" not in told
    figures = outcome["figures"]["dev"]
    assert figures["word accuracy"]["value"] > 0.85 > outcome["yardstick"]["figures"]["dev"]["word accuracy"]["value"]
    (answer,) = predict(folder, [str(recordings / "dev0-0.wav")])
    assert answer["text"] == "Ink." and answer["language"] == "en"  # with its case and marks
    scored = eval(folder, [recordings / "dev.tsv"])["figures"]["word accuracy"]["value"]
    assert scored == pytest.approx(figures["word accuracy"]["value"])
    assert eval(folder)["figures"]["dev"]["word accuracy"]["value"] == figures["word accuracy"]["value"]


def test_the_exported_folder_writes_the_same_in_transformers(tuned, recordings, tmp_path):
    folder, _ = tuned
    out = export(folder, out=tmp_path / "hf")
    assert (out / "generation_config.json").read_bytes() == (recordings / "whisper/generation_config.json").read_bytes()
    assert not (out / "task.json").exists()
    theirs = WhisperForConditionalGeneration.from_pretrained(out).eval()
    predictor = Predictor.load(folder)
    predictor.task.decoding = replace(predictor.task.decoding, **EXACT)
    for at in range(len(WORDS)):
        file = recordings / f"dev{at}-1.wav"
        window = whisper_features(soundfile.read(file, dtype="float32")[0], 80, least=RATE)[None]
        written = theirs.generate(window, language="en", task="transcribe", return_timestamps=False)[0].tolist()
        text = predictor.task.tokenizer.decode([number for number in written if number < theirs.config.eos_token_id])
        (answer,) = predictor.answers(predictor.task.asked([str(file)]))
        assert answer["text"] == text.strip() != ""


def test_low_rank_changes_are_merged_and_open_in_peft(recordings, tmp_path):
    from peft import PeftModel

    tune(
        "transcribe", [str(recordings / "train.tsv")], dev=[str(recordings / "dev.tsv")], model=recordings / "whisper",
        out=tmp_path / "run", quiet=True,
        settings=["train.steps=3", "train.learning_rate=1e-2", "task.lora_rank=4", "task.source_language=en", "task.yardstick=false"],
    )  # fmt: skip
    window = whisper_features(said("Ink."), 80, least=RATE)[None]
    read = torch.tensor([[257, 258, 263, 267, 40]])
    whole = WhisperForConditionalGeneration.from_pretrained(export(tmp_path / "run", out=tmp_path / "hf")).eval()
    base = WhisperForConditionalGeneration.from_pretrained(recordings / "whisper").eval()
    with torch.no_grad():
        before = base(input_features=window, decoder_input_ids=read).logits
        adapted = PeftModel.from_pretrained(base, str(tmp_path / "run/adapter")).eval()
        beside = adapted.base_model.model(input_features=window, decoder_input_ids=read).logits
        merged = whole(input_features=window, decoder_input_ids=read).logits
    torch.testing.assert_close(merged, beside, atol=1e-3, rtol=1e-3)
    assert (merged - before).abs().max() > 0.01


def test_what_is_too_long_is_named_and_not_learned_from(recordings, tmp_path):
    soundfile.write(tmp_path / "long.wav", said("Ink.", 1.2), RATE)
    soundfile.write(tmp_path / "short.wav", said("Ink.", 0.9), RATE)
    rows = [("long.wav", "ink"), ("short.wav", "砚台里的墨已经磨好了可以写"), (recordings / "dev0-0.wav", "Ink.")]
    (tmp_path / "some.tsv").write_text("".join(f"{name}\t{text}\n" for name, text in rows), encoding="utf-8")
    task, understanding = task_of(recordings), Understanding("train", [])
    found = task.read([str(tmp_path / "some.tsv")], understanding)
    told = "\n".join(understanding.lines())
    assert f"longer than {STATES * 0.02:.3g} s" in told and "not learned from; cut it between sentences" in told
    assert "can be written: not learned from; cut it" in told
    encoded = task.encode(found, Predictor.load(recordings / "whisper").frame)
    assert [len(own) for own in encoded] == [0, 0, 1]
    (answer,) = predict(recordings / "whisper", [str(tmp_path / "long.wav")])
    assert answer["seconds"] == 1.2


def test_a_long_recording_is_still_written_window_by_window(tuned, tmp_path):
    folder, _ = tuned
    soundfile.write(tmp_path / "long.wav", np.concatenate([said("Ink.", 1.0), said("A stone", 1.0)]), RATE)
    (answer,) = predict(folder, [str(tmp_path / "long.wav")])
    assert answer["seconds"] == 2.0 and all(0 <= each["start"] <= each["end"] <= 2 for each in answer["segments"])


def test_the_language_is_told_from_the_transcripts_or_asked_for(recordings, tmp_path):
    chinese = "砚台里的墨已经磨好了，可以写字。"
    name = tmp_path / "one.wav"
    soundfile.write(name, said("墨", 0.95), RATE)
    rows = "".join(f"{name}\t{chinese}\n" for _ in range(3))
    (tmp_path / "zh.tsv").write_text(rows, encoding="utf-8")
    task = TunedWhisper.of({}).begin(recordings / "whisper")
    understanding = Understanding("train", [])
    task.read([str(tmp_path / "zh.tsv")], understanding)
    assert task.source_language == "zh" and "spoken language: zh" in "\n".join(understanding.lines())
    (tmp_path / "ru.tsv").write_text(f"{name}\tЧернила на камне\n", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"task\.source_language=CODE"):
        TunedWhisper.of({}).begin(recordings / "whisper").read([str(tmp_path / "ru.tsv")], Understanding("train", []))
    with pytest.raises(RunError, match="no language 'xx'"):
        task_of(recordings, source_language="xx")


@pytest.mark.parametrize("setting", ["task.beams=4", "task.throats=0.1", "task.language_model=x", "task.rate=8000"])
def test_settings_of_other_models_are_refused(setting, recordings, tmp_path, capsys):
    told = ["tune", "transcribe", str(recordings / "train.tsv"), "--from", str(recordings / "whisper")]
    assert main([*told, "--out", str(tmp_path / "run"), "--set", setting]) == 2
    assert f"{setting.partition('=')[0]}: a Whisper has no such setting" in capsys.readouterr().err


def test_a_whisper_is_tuned_for_nothing_else(recordings, tmp_path, capsys):
    (tmp_path / "some.jsonl").write_text("".join(f'{{"text": "ink {n}", "label": "{n % 2}"}}\n' for n in range(60)))
    told = ["tune", "classify", str(tmp_path / "some.jsonl"), "--from", str(recordings / "whisper")]
    assert main([*told, "--out", str(tmp_path / "run")]) == 2
    assert "inkstone tune transcribe DATA --from CHECKPOINT" in capsys.readouterr().err


def test_the_run_says_what_it_was_made_from(tuned, recordings):
    folder, _ = tuned
    assert json.loads((folder / "config.json").read_text())["model_type"] == "whisper"
    assert json.loads((folder / "task.json").read_text())["source_language"] == "en"
    assert str(recordings / "whisper") in (folder / "README.md").read_text(encoding="utf-8")
