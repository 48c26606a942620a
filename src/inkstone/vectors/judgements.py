"""Tests of word vectors against people: similarity of pairs, and analogies. What was not covered is always said.

The public tests are taken where a mirror of public data sets or its cache has them; any file of the same form may be named.
"""

import lzma
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from inkstone.errors import TextError
from inkstone.text.datasets import MIRROR, cache_folder
from inkstone.vectors.word_vectors import WordVectors

SIMILARITY_TESTS = {"WordSim-353": "wordsim-en/EN-WS-353-ALL.txt", "SimLex-999": "wordsim-en/EN-SIMLEX-999.txt"}
ANALOGY_TESTS = {
    "Google analogies": "analogy-en/questions-words.txt",
    "CA8 morphological": "analogy-zh-ca8/morphological.txt",
    "CA8 semantic": "analogy-zh-ca8/semantic.txt",
}
BATCH = 512  # questions whose scores over all words are in memory at once

Pair = tuple[str, str, float]
Question = tuple[str, str, str, str]


@dataclass(frozen=True)
class SimilarityScore:
    """The rank correlation of cosines with people's scores, over the pairs of which both words have a vector."""

    spearman: float | None  # None where fewer than three pairs are covered
    covered: int
    pairs: int


@dataclass(frozen=True)
class AnalogyScore:
    """The share of questions answered right, of those whose four words all have a vector; `sections` in the same way."""

    accuracy: float | None  # None where no question is covered
    right: int
    covered: int
    questions: int
    sections: dict[str, tuple[int, int, int]]  # right, covered, questions


def read_pairs(path: Path) -> list[Pair]:
    """Lines "word word score". Raises TextError with the line that is none."""
    pairs: list[Pair] = []
    for number, line in enumerate(_lines(path), start=1):
        try:
            first, second, score = line.split()
            pairs.append((first, second, float(score)))
        except ValueError:
            raise TextError(f'{path}:{number}: a line must be "word word score", not {line[:60]!r}') from None
    return pairs


def read_questions(path: Path) -> dict[str, list[Question]]:
    """Lines ": section" and "a b c d", a to b as c to d. Raises TextError with the line that is neither."""
    sections: dict[str, list[Question]] = {}
    section = "all"
    for number, line in enumerate(_lines(path), start=1):
        if line.startswith(":"):
            section = line[1:].strip()
            continue
        words = line.split()
        if len(words) != 4:
            raise TextError(f'{path}:{number}: a line must be ": section" or "a b c d", not {line[:60]!r}')
        sections.setdefault(section, []).append((words[0], words[1], words[2], words[3]))
    return sections


def similarity_score(vectors: WordVectors, pairs: Sequence[Pair]) -> SimilarityScore:
    """Spearman's correlation between the cosine of each pair and people's score."""
    rows = [(vectors.find(first), vectors.find(second), score) for first, second, score in pairs]
    known = [(first, second, score) for first, second, score in rows if first is not None and second is not None]
    if len(known) < 3:
        return SimilarityScore(None, len(known), len(pairs))
    first, second, scores = (np.array(column) for column in zip(*known, strict=True))
    cosines = (vectors.unit[first] * vectors.unit[second]).sum(axis=1)
    return SimilarityScore(spearman(cosines, scores), len(known), len(pairs))


def analogy_score(vectors: WordVectors, sections: dict[str, list[Question]]) -> AnalogyScore:
    """3CosAdd over the whole vocabulary; the three given words are never the answer (`WordVectors.analogy`)."""
    counted: dict[str, tuple[int, int, int]] = {}
    for section, questions in sections.items():
        found = [[vectors.find(word) for word in question] for question in questions]
        rows = np.array([row for row in found if None not in row], dtype=np.int64).reshape(-1, 4)
        right = 0
        for begin in range(0, len(rows), BATCH):
            a, b, c, d = rows[begin : begin + BATCH].T
            scores = (vectors.unit[b] - vectors.unit[a] + vectors.unit[c]) @ vectors.unit.T
            for given in (a, b, c):
                scores[np.arange(len(given)), given] = -np.inf
            right += int((scores.argmax(axis=1) == d).sum())
        counted[section] = (right, len(rows), len(questions))
    right, covered, questions_in_all = (
        (sum(part) for part in zip(*counted.values(), strict=True)) if counted else (0,) * 3
    )
    return AnalogyScore(right / covered if covered else None, right, covered, questions_in_all, counted)


def spearman(left: np.ndarray, right: np.ndarray) -> float | None:
    """Pearson's correlation of the ranks, ties sharing the mean of theirs; None where all values of a side are equal."""
    a, b = _ranks(left), _ranks(right)
    a, b = a - a.mean(), b - b.mean()
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else None


def public_scores(vectors: WordVectors) -> dict[str, dict[str, Any]]:
    """Every public test that is on this machine and of which at least one part in twenty is covered, by name."""
    scores: dict[str, dict[str, Any]] = {}
    for name, file in SIMILARITY_TESTS.items():
        path = public_test(file)
        if path and (score := similarity_score(vectors, read_pairs(path))).covered * 20 >= score.pairs:
            scores[name] = asdict(score)
    for name, file in ANALOGY_TESTS.items():
        path = public_test(file)
        if path and (answered := analogy_score(vectors, read_questions(path))).covered * 20 >= answered.questions:
            scores[name] = asdict(answered)
    return scores


def public_test(file: str) -> Path | None:
    """Where a public test lies: in the mirror (packed), else in the cache; None where in neither."""
    mirror = os.environ.get(MIRROR)
    path = Path(mirror) / f"{file}.xz" if mirror else cache_folder() / file
    return path if path.is_file() else None


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, times = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(times)
    return (ends - (times - 1) / 2)[place]


def _lines(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
        text = (lzma.decompress(content) if path.suffix == ".xz" else content).decode("utf-8-sig")
    except (OSError, lzma.LZMAError, UnicodeDecodeError) as error:
        raise TextError(f"{path}: cannot be read: {error}") from None
    return [line for line in text.splitlines() if line.strip()]
