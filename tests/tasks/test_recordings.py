"""Recordings before anything is learned: what is kept, mended and refused, each with its place."""

import json

import numpy as np
import pytest
import soundfile

from inkstone.errors import TextError
from inkstone.tasks.framing import Frame
from inkstone.tasks.parts import groups_of
from inkstone.tasks.recordings import EDGE, Ears
from inkstone.tasks.transcribe import Transcribe
from inkstone.tasks.understanding import Understanding
from inkstone.tokens.learning import learn_tokenizer
from tasks.made_speech import RATE, say


def sound(text="ab", seed=0, rate=RATE):
    return say(text, np.random.default_rng(seed), rate)


def read(folder, rows, **settings):
    (folder / "list.tsv").write_text("audio\ttext\twho\n" + rows, encoding="utf-8")
    understanding = Understanding("train", [str(folder / "list.tsv")])
    return Transcribe(**settings).read(understanding.sources, understanding), understanding


def test_bad_recordings_are_refused_by_name_and_doubtful_ones_kept(tmp_path):
    for number in range(8):
        soundfile.write(tmp_path / f"{number}.wav", sound(seed=number), RATE)
    soundfile.write(tmp_path / "stereo.flac", np.stack([sound(rate=8000)] * 2, 1), 8000)
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    (tmp_path / "text.wav").write_text("no sound at all")
    rows = "".join(f"{number}.wav\tab\tx\n" for number in range(8))
    rows += (
        "stereo.flac\tab\tx\nsilent.wav\tab\tx\ntext.wav\tab\tx\ngone.wav\tab\tx\n0.wav\t\tx\n\tab\tx\n0.wav\t?!\tx\n"
    )
    rows += f"1.wav\t{'abcd ' * 30}\tx\n0.wav\tab\ty\n"
    found, understanding = read(tmp_path, rows)
    assert [utterance.audio.rpartition("/")[2] for utterance in found] == [
        *(f"{n}.wav" for n in range(8)), "stereo.flac", "0.wav",
    ]  # fmt: skip
    refused = {reason: places[0].rpartition(":")[2] for reason, places in understanding.refused.items()}
    assert refused.pop(next(reason for reason in refused if "cannot be read as sound" in reason)) == "12 (text.wav)"
    assert refused == {
        "silent": "11 (silent.wav)",
        "no such file": "13 (gone.wav)",
        "there is no transcript": "14 (0.wav)",
        "no recording is named": "15",
        "nothing of the transcript is spoken": "16 (0.wav)",
        "too short for all that its transcript says": "17 (1.wav)",
    }
    assert set(understanding.mended) == {
        "2 channels, averaged",
        "sampled at 8,000 Hz, brought to 16,000",
        "the recording stands in the file before; both are kept",
    }
    assert any("s of sound: recordings of 0.3 s in the median" in notice for notice in understanding.notices)


def test_of_parts_that_are_scored_what_is_too_short_for_its_transcript_stays_and_counts(tmp_path):
    soundfile.write(tmp_path / "0.wav", sound(), RATE)
    (tmp_path / "list.tsv").write_text(f"audio\ttext\n0.wav\t{'abcd ' * 30}\n0.wav\tab\n", encoding="utf-8")
    understanding = Understanding("test", [str(tmp_path / "list.tsv")])
    task = Transcribe()
    found = task.read(understanding.sources, understanding)
    assert [each.fits for each in found] == [False, True] and not understanding.refused
    assert "too short for all that its transcript says, so that it cannot be right" in understanding.mended
    tokenizer = learn_tokenizer(["abcd"], "character", 300)
    (long,), (short,) = task.encode(found, Frame.of(tokenizer, 3000))
    assert long.written is None and short.written is not None
    measures = task.measures(found, [{"text": "ab"}, {"text": "ab"}])
    assert measures["WER"].statistics.tolist() == [[30.0, 30.0], [0.0, 1.0]]


def test_a_list_of_which_most_cannot_be_heard_is_refused(tmp_path):
    soundfile.write(tmp_path / "0.wav", sound(), RATE)
    with pytest.raises(TextError, match="2 rows that cannot be used: 2 rows left out: no such file"):
        read(tmp_path, "0.wav\tab\tx\ngone.wav\tab\tx\nlost.wav\tab\tx\n")


def test_transcripts_are_as_spoken_or_as_written(tmp_path):
    soundfile.write(tmp_path / "0.wav", sound("abcd"), RATE)
    assert read(tmp_path, "0.wav\tAb,  c.\tx\n")[0][0].transcript == "ab c"
    assert read(tmp_path, "0.wav\tAb,  c.\tx\n", written=True)[0][0].transcript == "Ab, c."


def test_recordings_are_told_apart_by_their_sound_and_not_by_what_is_said(tmp_path):
    for number in range(4):
        soundfile.write(tmp_path / f"{number}.wav", sound(seed=number), RATE)
    rows = "0.wav\tab\tx\n1.wav\tab\ty\n2.wav\tab\tx\n0.wav\tab\tz\n"
    assert groups_of(read(tmp_path, rows)[0]).tolist() == [0, 1, 2, 0]
    assert groups_of(read(tmp_path, rows, group_column="who")[0]).tolist() == [0, 1, 0, 0]


def test_features_are_computed_once_and_again_for_another_speed(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "0.wav", sound(), RATE)
    task = Transcribe()
    understanding = Understanding("train", [str(tmp_path)])
    (tmp_path / "0.txt").write_text("ab")
    (utterance,) = task.read(understanding.sources, understanding)
    (fast,) = [each for each in task.varied([utterance], np.random.default_rng(0), None) if each.speed == 1.1]
    plain, faster = task.ears.features(utterance), task.ears.features(fast)
    assert (plain[:EDGE] == 0).all() and abs(len(faster) - 2 * EDGE - (len(plain) - 2 * EDGE) / 1.1) <= 1
    monkeypatch.setattr("inkstone.tasks.recordings.read_audio", None)
    assert task.ears.features(utterance) is plain and task.ears.features(fast) is faster


def test_what_may_be_asked(tmp_path):
    soundfile.write(tmp_path / "0.wav", sound(), RATE)
    soundfile.write(tmp_path / "still.wav", np.zeros(RATE), RATE)
    task = Transcribe()
    path = str(tmp_path / "0.wav")
    given = [path, (tmp_path / "0.wav").read_bytes(), {"audio": path, "text": "ab"}, str(tmp_path / "still.wav")]
    one, other, third, still = task.asked(given)
    assert one.identity == other.identity == third.identity and still.silence == "silent"
    for wrong, reason in ((3, "input 1: 3 is no path"), (str(tmp_path / "no.wav"), r"no\.wav: no such file")):
        with pytest.raises(TextError, match=reason):
            task.asked([wrong])
    assert task.inputs_of(path) == [path]
    (tmp_path / "list.jsonl").write_text(json.dumps({"audio": "0.wav"}) + "\n")
    assert task.inputs_of(tmp_path / "list.jsonl") == [{"audio": path}]
    (tmp_path / "list.jsonl").write_text(json.dumps({"audio": "0.wav"}) + "\n" + json.dumps({"text": "ab"}) + "\n")
    with pytest.raises(TextError, match=r"list\.jsonl:2: no recording is named under 'audio'"):
        task.inputs_of(tmp_path / "list.jsonl")


def test_the_features_of_what_was_asked_are_not_kept(tmp_path):
    soundfile.write(tmp_path / "0.wav", sound(), RATE)
    soundfile.write(tmp_path / "1.wav", sound(seed=1), RATE)
    for number in range(2):
        (tmp_path / f"{number}.txt").write_text("ab")
    task, understanding = Transcribe(rate=RATE), Understanding("train", [str(tmp_path)])
    learned = task.read([str(tmp_path)], understanding)
    asked = task.asked([str(tmp_path / "0.wav")])
    tokenizer = learn_tokenizer(["ab"], "character", 300)
    frame = Frame.of(tokenizer, 3000)
    (first,), (again,) = task.encode(asked, frame), task.encode(asked, frame)
    assert (first[0].features == again[0].features).all() and len(task.ears.kept) == 1
    task.encode(learned, frame)
    assert len(task.ears.kept) == 2


def test_the_language_is_told_by_many_recordings_together(tmp_path):
    for number in range(10):
        soundfile.write(tmp_path / f"{number}.wav", sound("abcdabcd", seed=number), RATE)
    words = ("one", "two", "three", "four", "five", "six")
    rows = "".join(f"{number}.wav\t{words[number % 6]}\tx\n" for number in range(10))
    assert read(tmp_path, rows)[1].languages == {"en": 1}


def test_another_rate_gives_other_features(tmp_path):
    soundfile.write(tmp_path / "0.wav", sound(), RATE)
    wide, narrow = (Ears(rate).asked(str(tmp_path / "0.wav"), 1) for rate in (16_000, 8000))
    assert wide.identity != narrow.identity and wide.seconds == pytest.approx(narrow.seconds)


def test_a_model_hears_as_much_as_the_recordings_have_and_no_more_than_is_usual(tmp_path):
    for rate, wanted in ((8000, 8000), (11_025, 11_025), (44_100, RATE)):
        folder = tmp_path / str(rate)
        folder.mkdir()
        for number in range(3):
            soundfile.write(folder / f"{number}.wav", sound(seed=number, rate=rate), rate)
            (folder / f"{number}.txt").write_text("ab", encoding="utf-8")
        (folder / "broken.wav").write_bytes(b"no sound")
        (folder / "broken.txt").write_text("ab", encoding="utf-8")
        task = Transcribe()
        found = task.read([str(folder)], Understanding("train", [str(folder)]))
        assert len(found) == 3 and task.rate == wanted == task.to_dict()["rate"]
        assert Transcribe(rate=4000).rate == 4000
