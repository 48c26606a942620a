"""Speech that tests make themselves: each letter is a sound of its own, two tones for a tenth of a second, a blank is silence."""

from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000
LETTER = 0.12  # seconds
PITCHES = {"a": (400, 2600), "b": (800, 1700), "c": (1500, 4200), "d": (3000, 600)}
WORDS = ("ab", "cad", "dab", "bad", "cab")


def say(text: str, draw: np.random.Generator, rate: int = RATE) -> np.ndarray:
    """The sound of a text, with a little silence around it, noise, and a pitch that is never quite the same."""
    voice = draw.uniform(0.95, 1.05)
    parts = [np.zeros(int(0.05 * rate))]
    for letter in text:
        time = np.arange(int(draw.uniform(0.9, 1.1) * LETTER * rate)) / rate
        pitches = PITCHES.get(letter, ())
        sound = sum((np.sin(2 * np.pi * voice * pitch * time) for pitch in pitches), np.zeros(len(time)))
        parts.append(0.2 * sound * np.hanning(len(time)) ** 0.25)
    whole = np.concatenate([*parts, np.zeros(int(0.05 * rate))])
    return (whole + 0.003 * draw.standard_normal(len(whole))).astype(np.float32)


def sentence(draw: np.random.Generator, most: int = 2) -> str:
    return " ".join(draw.choice(WORDS, draw.integers(1, most + 1)))


def written(folder: Path, number: int, seed: int, most: int = 2) -> str:
    """A manifest of so many recordings in a folder; returns its path."""
    draw = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for at in range(number):
        text = sentence(draw, most)
        soundfile.write(folder / f"{at}.wav", say(text, draw), RATE)
        rows.append(f"{at}.wav\t{text}\n")
    (folder / "list.tsv").write_text("audio\ttext\n" + "".join(rows), encoding="utf-8")
    return str(folder / "list.tsv")
