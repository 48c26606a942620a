"""`inkstone vectors`: text in, a folder of word vectors out, with a map, neighbours and the tests' figures."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from inkstone.environment import available_cores
from inkstone.errors import RecipeError, TextError
from inkstone.files import whole_folder, write_json, write_text
from inkstone.progress import LiveLine, human_count, human_time
from inkstone.vectors.acceleration import has_numba
from inkstone.vectors.corpus import Corpus, read_corpus
from inkstone.vectors.formats import BINARY, file_of, read_vectors, write_vectors
from inkstone.vectors.glove import GloveSettings, train_glove
from inkstone.vectors.judgements import public_scores
from inkstone.vectors.word2vec import Word2VecSettings, train_word2vec
from inkstone.vectors.word_map import Method, word_map
from inkstone.vectors.word_vectors import WordVectors

METHODS = ("skip-gram", "cbow", "glove")
TEXT, MAP, FACTS = "vectors.txt", "map.svg", "vectors.json"
WORDS_TO_READ = 30_000_000  # that as many epochs as this takes, from 5 to 30, are read where nobody says how many
PASSES_OF_GLOVE = 15
SHOWN = 5  # words whose neighbours are shown
PASSED_OVER = 100  # the most frequent words, which are of every text


def learn_vectors(
    text: Sequence[str | Path],
    out: str | Path | None = None,
    *,
    method: str = "skip-gram",
    width: int = 100,
    window: int | None = None,
    negative: int = 5,
    min_count: int = 5,
    minutes: float | None = None,
    epochs: int | None = None,
    threads: int | None = None,
    seed: int = 0,
    text_column: str | None = None,
    map_method: Method = "pca",
    quiet: bool = False,
) -> dict[str, Any]:
    """Learn word vectors and write the folder `out`: vectors.bin, vectors.txt, map.svg, vectors.json.

    text: files, folders, "data:NAME", "-" for standard input. out: default runs/NAME-vectors; an earlier one is replaced.
    method: "skip-gram", "cbow" or "glove". window: words on each side; default 5, for GloVe 10. negative: 0 is
    hierarchical softmax. minutes or epochs: how long; by default as many epochs as read 30 million words, 5 to 30.
    threads: default one a core; one thread and `epochs` give the same vectors each time.

    Returns the facts: folder, words, seconds, neighbours of some words, figures of the public tests that are there.
    Raises TextError, RecipeError, MissingExtraError.
    """
    if method not in METHODS:
        raise RecipeError(f"the method must be one of {', '.join(METHODS)}, not {method!r}")
    if minutes is not None and epochs is not None:
        raise RecipeError("give --minutes or --epochs, not both")
    if minutes is not None and minutes <= 0:
        raise RecipeError(f"--minutes must be above 0, not {minutes}")
    settings = _settings(method, width, window, negative)
    folder = Path(out) if out is not None else Path("runs") / f"{_name(text)}-vectors"
    _refuse_foreign(folder)
    began = time.perf_counter()
    line = LiveLine(quiet=quiet)
    fast = has_numba()
    if not fast:
        line.say("numba is not installed; twenty times as fast with it: pip install 'inkstone[vectors]'")
    corpus = read_corpus(text, min_count=min_count, text_column=text_column, line=line)
    threads = threads if threads is not None else (available_cores() if fast else 1)
    if epochs is None:
        epochs = PASSES_OF_GLOVE if method == "glove" else min(30, max(5, WORDS_TO_READ // len(corpus.ids)))
    seconds = None if minutes is None else max(1.0, 60 * minutes - (time.perf_counter() - began))
    learned, learning_seconds = _learn(corpus, settings, epochs, seconds, seed, threads, line)
    line.show("testing", force=True)
    facts: dict[str, Any] = {
        "folder": str(folder),
        "method": method,
        "settings": asdict(settings),
        "words": len(learned),
        "text_words": len(corpus.ids),
        "epochs": epochs if seconds is None else None,
        "threads": threads,
        "seed": seed,
        "compiled": fast,
        "learning_seconds": learning_seconds,
        "neighbours": {word: learned.neighbours(word, 6) for word in shown_words(corpus)},
        "tests": public_scores(learned),
    }
    with whole_folder(folder) as part:
        write_vectors(learned, part / BINARY)
        write_vectors(learned, part / TEXT)
        write_text(part / MAP, word_map(learned, method=map_method, seed=seed))
        facts["seconds"] = time.perf_counter() - began
        write_json(part / FACTS, facts)
    line.clear()
    return facts


def open_vectors(path: str | Path) -> WordVectors:
    """Read word vectors: a folder that `learn_vectors` wrote, or a file in word2vec's form (.bin: binary; else text)."""
    return read_vectors(file_of(path))


def shown_words(corpus: Corpus) -> list[str]:
    """Some words to show the neighbours of: the most frequent of a certain length beyond those of every text."""
    long = [word for word in corpus.words[PASSED_OVER:] if len(word) >= (2 if ord(word[0]) > 0x2E7F else 4)]
    return (long or corpus.words)[:SHOWN]


def _settings(method: str, width: int, window: int | None, negative: int) -> Word2VecSettings | GloveSettings:
    if method == "glove":
        return GloveSettings(width, 10 if window is None else window)
    return Word2VecSettings(method, width, 5 if window is None else window, negative)


def _learn(
    corpus: Corpus,
    settings: Word2VecSettings | GloveSettings,
    epochs: int,
    seconds: float | None,
    seed: int,
    threads: int,
    line: LiveLine,
) -> tuple[WordVectors, float]:
    begin = time.perf_counter()
    unit = "words" if isinstance(settings, Word2VecSettings) else "cells"

    def report(share: float, done: int) -> None:
        passed = time.perf_counter() - begin
        left = human_time(passed * (1 - share) / share) if share > 0 else "…"
        line.show(f"learning  {share:.0%} · {human_count(done / max(passed, 1e-9), unit)}/s · {left} left")

    how: dict[str, Any] = {"epochs": epochs, "seconds": seconds, "seed": seed, "threads": threads}
    if isinstance(settings, Word2VecSettings):
        learned = train_word2vec(corpus, settings, **how, report=report)
    else:
        line.show("counting what stands near what", force=True)
        learned = train_glove(corpus, settings, **how, report=report)
    return learned, time.perf_counter() - begin


def _name(text: Sequence[str | Path]) -> str:
    first = str(text[0]) if text else ""
    return Path(first.removeprefix("data:").rstrip(":/")).stem.strip("-") or "text"


def _refuse_foreign(folder: Path) -> None:
    """Only a folder that is empty or that holds earlier vectors is ever replaced."""
    if folder.is_file():
        raise TextError(f"{folder}: is a file; --out names a folder")
    if folder.is_dir() and any(path.name not in (BINARY, TEXT, MAP, FACTS) for path in folder.iterdir()):
        raise TextError(f"{folder}: holds something else than earlier word vectors; name another folder for --out")
