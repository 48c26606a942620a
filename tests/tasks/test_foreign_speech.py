"""Recordings that a Whisper checkpoint is asked about: by `predict`, by the command, and scored."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from hub.whisper_checkpoints import LANGUAGES, whisper_checkpoint
from inference.test_long_recordings import features_of, some_sound
from inkstone import predict
from inkstone.cli import main
from inkstone.errors import RunError, TextError
from inkstone.tasks.foreign_speech import WhisperPredictor
from inkstone.tasks.predict import Predictor
from inkstone.tasks.scoring import eval
from inkstone.text.spoken import as_spoken

RATE = 16_000


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A checkpoint as transformers has it, its folder, and two recordings."""
    folder = tmp_path_factory.mktemp("asked")
    theirs = whisper_checkpoint(folder / "model", seed=1, max_target_positions=10)
    for seconds, name in ((1.3, "long.wav"), (0.6, "short.wav")):
        soundfile.write(folder / name, some_sound(seconds), RATE, subtype="FLOAT")
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE)
    return theirs, folder / "model", folder


def test_what_is_said_is_what_transformers_writes(asked):
    theirs, model, folder = asked
    predictor = Predictor.load(model)
    assert isinstance(predictor, WhisperPredictor)
    predictor.task.listen("de", None)
    predictor.task.decoding = replace(predictor.task.decoding, temperatures=(0.0,))
    (answer,) = predictor.answers(predictor.task.asked([str(folder / "long.wav")]))
    options = dict(return_timestamps=True, language="de", task="transcribe")
    written = theirs.generate(features_of(some_sound(1.3)), **options)[0].tolist()
    end = theirs.generation_config.eos_token_id
    expected = predictor.task.tokenizer.decode([each for each in written if each < end])
    # A segment of blanks alone is none.
    assert "".join(answer["text"].split()) == "".join(expected.split()) != ""
    assert answer["language"] == "de" and "language_probability" not in answer


def test_answers_hold_text_language_and_segments_whose_times_rise(asked):
    _, model, folder = asked
    long, short, silent = answers = predict(
        model, [str(folder / f"{name}.wav") for name in ("long", "short", "silent")]
    )
    for answer, seconds in ((long, 1.3), (short, 0.6)):
        times = [time for each in answer["segments"] for time in (each["start"], each["end"])]
        assert times == sorted(times) and times[0] >= 0 and times[-1] <= answer["seconds"] == seconds
        assert answer["language"] in LANGUAGES and 0.25 <= answer["language_probability"] <= 1
        assert answer["text"] and 0 < answer["confidence"] <= 1
    assert (silent["text"], silent["segments"], silent["notice"]) == ("", [], "silent")
    assert json.loads(json.dumps(answers)) == answers
    (told,) = predict(model, [{"audio": str(folder / "short.wav")}], language="zh", to="en")
    assert told["language"] == "zh" and told["text"] != short["text"]


def test_the_command_shows_each_segment_of_an_imported_checkpoint(asked, tmp_path, capsys):
    _, model, folder = asked
    assert main(["import", str(model), "--out", str(tmp_path / "run")]) == 0
    assert f"inkstone predict {tmp_path / 'run'} RECORDING" in capsys.readouterr().out
    assert main(["predict", str(tmp_path / "run"), str(folder / "short.wav"), "--language", "es"]) == 0
    shown = capsys.readouterr().out
    (answer,) = predict(model, [str(folder / "short.wav")], language="es")
    first = answer["segments"][0]
    assert shown.startswith(answer["text"]) and "\tes\n" in shown
    assert f"  {first['start']:.2f}–{first['end']:.2f} {first['text']}" in shown


def test_answers_are_scored_as_they_are_spoken(asked, tmp_path):
    _, model, folder = asked
    (answer,) = predict(model, [str(folder / "short.wav")])
    right = as_spoken(answer["text"])
    assert right and right != answer["text"]
    listed = [{"audio": str(folder / "short.wav"), "text": right}, {"audio": str(folder / "long.wav"), "text": "ink"}]
    (tmp_path / "said.jsonl").write_text("".join(json.dumps(each) + "\n" for each in listed))
    scored = eval(model, [tmp_path / "said.jsonl"])
    assert scored["task"] == "transcribe" and scored["examples"] == 2
    assert scored["figures"]["all right"]["value"] == 0.5
    with pytest.raises(RunError, match="name examples to score it on"):
        eval(model)


def test_what_cannot_be_heard_or_written_is_named(asked, tmp_path):
    _, model, folder = asked
    recording = str(folder / "short.wav")
    with pytest.raises(RunError, match="no language 'zz'"):
        predict(model, [recording], language="zz")
    with pytest.raises(RunError, match="no way to write 'de'"):
        predict(model, [recording], to="de")
    (tmp_path / "noise.wav").write_bytes(b"no sound at all")
    with pytest.raises(TextError, match=r"noise\.wav"):
        predict(model, [str(tmp_path / "noise.wav")])


def test_words_have_times_where_they_are_asked_for(asked, capsys):
    _, model, folder = asked
    (plain,), (timed,) = (predict(model, [str(folder / "short.wav")], language="de", words=on) for on in (False, True))
    assert "words" not in plain and {key: value for key, value in timed.items() if key != "words"} == plain
    spoken = "".join(word["word"] for word in timed["words"])
    assert "".join(spoken.split()) == "".join(timed["text"].split()) != ""
    assert all(0 <= word["start"] <= word["end"] <= timed["seconds"] for word in timed["words"])
    assert main(["predict", str(model), str(folder / "short.wav"), "--language", "de", "--words"]) == 0
    first = timed["words"][0]
    assert f"{first['start']:.2f}–{first['end']:.2f} {first['word']}" in capsys.readouterr().out


def test_each_recording_is_opened_once(asked, monkeypatch):
    from inkstone.tasks import foreign_speech, recordings

    _, model, folder = asked
    opened = []
    for module in (foreign_speech, recordings):
        read = module.read_audio
        monkeypatch.setattr(module, "read_audio", lambda *given, read=read: opened.append(given[0]) or read(*given))
    sounds = [str(folder / f"{name}.wav") for name in ("long", "short", "long")]
    predictor = Predictor.load(model)
    kept = predictor.answers(predictor.task.asked(sounds))
    assert opened == sounds[:2] + [sounds[2]] * 2  # the same sound twice is kept once
    assert not predictor.task.ears.sounds and predictor.task.ears.room == foreign_speech.MOST_KEPT
    predictor.task.ears.room = 0  # then it is read again
    assert predictor.answers(predictor.task.asked(sounds)) == kept and len(opened) == 4 + 6
