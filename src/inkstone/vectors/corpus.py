"""Text as arrays of word ids, most frequent word first: what word vectors are learned from."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inkstone.errors import TextError
from inkstone.progress import LiveLine, human_count
from inkstone.text.document import kept
from inkstone.text.reading import read
from inkstone.text.repair import repair
from inkstone.text.words import words as words_of

LONGEST_PIECE = 10_000  # words; longer documents are cut, so that a piece of work is never long


@dataclass(frozen=True)
class Corpus:
    """Pieces of text as ids: piece i is `ids[starts[i]:starts[i + 1]]`. No window of context reaches past a piece."""

    words: list[str]  # most frequent first
    counts: np.ndarray  # int64, of each word
    ids: np.ndarray  # int32
    starts: np.ndarray  # int64, one more than pieces

    @property
    def n_pieces(self) -> int:
        """Documents, and parts of those that were too long."""
        return len(self.starts) - 1


def corpus_of(documents: Iterable[Sequence[str]], *, min_count: int = 5, longest: int = LONGEST_PIECE) -> Corpus:
    """A corpus from documents as lists of words. Words rarer than `min_count` are left out, as if they were not there.

    Raises TextError where fewer than two words are left.

    >>> corpus = corpus_of([["ink", "stone", "ink"], ["stone", "ink", "brush"]], min_count=2)
    >>> corpus.words, corpus.ids.tolist(), corpus.starts.tolist()
    (['ink', 'stone'], [0, 1, 0, 1, 0], [0, 3, 5])
    """
    numbers: dict[str, int] = {}
    read_ids, lengths = array("i"), array("q")
    for document in documents:
        read_ids.extend([numbers.setdefault(word, len(numbers)) for word in document])
        lengths.append(len(document))
    all_ids = np.frombuffer(read_ids, np.int32) if read_ids else np.zeros(0, np.int32)
    counts = np.bincount(all_ids, minlength=len(numbers))
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] >= min_count]
    if len(order) < 2:
        raise TextError(
            f"{len(all_ids):,} words of text, of which {len(order)} occur {min_count} times or more; vectors need two such "
            "words at least: give more text, or a lower --min-count"
        )
    rank = np.full(len(numbers), -1, np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    ranks = rank[all_ids]
    document_of = np.repeat(np.arange(len(lengths)), np.frombuffer(lengths, np.int64))
    kept_lengths = np.bincount(document_of[ranks >= 0], minlength=len(lengths))
    spelled = list(numbers)
    return Corpus(
        [spelled[number] for number in order], counts[order], ranks[ranks >= 0], _starts(kept_lengths, longest)
    )


def read_corpus(
    sources: Sequence[str | Path],
    *,
    min_count: int = 5,
    text_column: str | None = None,
    line: LiveLine | None = None,
) -> Corpus:
    """A corpus from anything that can be read: words in lower case, Chinese by segmentation (`text/words.py`)."""
    line = line or LiveLine(quiet=True)
    corpus = corpus_of(_documents(sources, text_column, line), min_count=min_count)
    line.say(
        f"text  {human_count(len(corpus.ids), 'words')}, {len(corpus.words):,} different ones that occur {min_count} times or more"
    )
    return corpus


def _documents(sources: Sequence[str | Path], text_column: str | None, line: LiveLine) -> Iterator[list[str]]:
    read_words = 0
    for frame in read(sources, text_column=text_column):
        for text in kept(repair(frame)[0])["text"].to_list():
            document = words_of(text.lower())
            read_words += len(document)
            line.show(f"reading  {human_count(read_words, 'words')}")
            yield document


def _starts(lengths: np.ndarray, longest: int) -> np.ndarray:
    """Where the pieces of documents of these lengths begin, the end of the last one after them."""
    ends = np.cumsum(lengths)
    cuts = [np.arange(end - length, end, longest) for length, end in zip(lengths, ends, strict=True) if length]
    return np.concatenate([*cuts, [ends[-1] if len(ends) else 0]]).astype(np.int64)
