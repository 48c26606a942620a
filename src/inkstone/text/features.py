"""What a text is made of: words, n-grams, sentences, counted batch by batch in bounded memory.

A batch is counted by `count`, a plain function that can run in another process; `Features` adds the batches up. The
counts of each document's words, which TF–IDF needs again once all documents were seen, wait in files.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import polars as pl

from inkstone.errors import TextError
from inkstone.text.characters import count_kinds
from inkstone.text.document import kept
from inkstone.text.language import identify
from inkstone.text.richness import MovingTypes, moving_types
from inkstone.text.stop_words import stop_words
from inkstone.text.tally import Tally
from inkstone.text.term_weights import tf_idf, top_terms
from inkstone.text.words import lemmas, sentences, words

CLAUSE_BREAK = "[,;:，；：、—]+"
ENDS = {"question": "[?？]", "exclamation": "[!！]", "statement": "[.。…]"}  # the first that is found decides
CLOSING = r"[\s\"'”’»」』)\]）】]*$"


@dataclass(frozen=True)
class FeatureSettings:
    """What is counted, and how words are made alike."""

    ngrams: int = 2  # the longest, in words
    by: Literal["document", "file"] = "file"  # what TF–IDF takes as one document
    language: str | None = None  # of all documents; None looks at each
    stop_words: bool = True  # False leaves function words out of the tables of words, n-grams and terms
    lemmas: bool = False
    keep_case: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.ngrams <= 9:
            raise TextError(f"n-grams are counted up to a length of 1 to 9 words, not {self.ngrams}")
        if self.by not in ("document", "file"):
            raise TextError(f"terms are weighed by document or by file, not by {self.by!r}")


@dataclass
class Counted:
    """The counts of one batch."""

    unit_counts: pl.DataFrame  # unit, key, count: in the order of the units
    ngrams: list[pl.DataFrame]  # key, count: of 2 words, 3 words, ...
    sentence_words: Counter[int] = field(default_factory=Counter)
    sentence_ends: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    moving: MovingTypes = field(default_factory=MovingTypes)
    documents: int = 0
    words: int = 0
    clauses: int = 0
    word_characters: int = 0


def in_languages(frame: pl.DataFrame, language: str | None) -> pl.DataFrame:
    """The frame with the column `language` filled in: with `language`, or where that is None with what each text is in."""
    if language is None:
        return identify(frame, count_kinds(frame["text"]))
    return frame.with_columns(pl.lit(language).alias("language"))


def sentence_table(frame: pl.DataFrame) -> pl.DataFrame:
    """One row a sentence that has words: the number of its document's row, the sentence, the list of its words."""
    rows, found, lists = [], [], []
    for row, (text, language) in enumerate(frame.select("text", "language").iter_rows()):
        for sentence in sentences(text, language):
            inside = words(sentence, language)
            if inside:
                rows.append(row)
                found.append(sentence)
                lists.append(inside)
    schema = {"row": pl.UInt32, "sentence": pl.String, "words": pl.List(pl.String)}
    return pl.DataFrame({"row": rows, "sentence": found, "words": lists}, schema=schema)


def count(frame: pl.DataFrame, settings: FeatureSettings) -> Counted:
    """The counts of one batch of documents; dropped rows are left out."""
    frame = in_languages(kept(frame), settings.language)
    table = sentence_table(frame)
    unit = frame["source" if settings.by == "file" else "id"]
    tokens = table.select("row", pl.int_range(pl.len()).alias("number"), pl.col("words").alias("word")).explode("word")
    tokens = _alike(tokens, frame["language"], settings)
    lengths = table["words"].list.len()
    unit_counts = (
        tokens.with_columns(unit.gather(tokens["row"]).alias("unit"))
        .group_by("unit", pl.col("word").alias("key"), maintain_order=True)
        .agg(pl.len().cast(pl.Int64).alias("count"))
    )
    return Counted(
        unit_counts=unit_counts,
        ngrams=[_ngrams(tokens, n) for n in range(2, settings.ngrams + 1)],
        sentence_words=Counter(lengths.to_list()),
        sentence_ends=Counter(_ends(table["sentence"]).to_list()),
        languages=Counter(frame["language"].to_list()),
        moving=moving_types(tokens["word"]),
        documents=len(frame),
        words=len(tokens),
        clauses=int(table["sentence"].str.count_matches(CLAUSE_BREAK + r"\s*\S").sum()) + len(table),
        word_characters=int(tokens["word"].str.len_chars().sum()),
    )


def _alike(tokens: pl.DataFrame, languages: pl.Series, settings: FeatureSettings) -> pl.DataFrame:
    """Words as they are counted: their lemmas, in lower case, unless the settings say otherwise."""
    if settings.lemmas:
        tokens = tokens.with_columns(languages.gather(tokens["row"]).alias("language"))
        distinct = tokens.select("word", "language").unique(maintain_order=True)
        found = [
            group.with_columns(pl.Series("lemma", lemmas(group["word"], str(code)), dtype=pl.String))
            for (code,), group in distinct.group_by("language", maintain_order=True)
        ]
        if found:
            tokens = tokens.join(pl.concat(found), on=["word", "language"], how="left", maintain_order="left")
            tokens = tokens.with_columns(pl.col("lemma").alias("word"))
        tokens = tokens.select("row", "number", "word")
    if not settings.keep_case:
        tokens = tokens.with_columns(pl.col("word").str.to_lowercase())
    return tokens


def _ngrams(tokens: pl.DataFrame, n: int) -> pl.DataFrame:
    """Counts of n words in a row inside a sentence."""
    return (
        tokens.select(
            pl.concat_str([pl.col("word").shift(-step) for step in range(n)], separator=" ").alias("key"),
            (pl.col("number") == pl.col("number").shift(1 - n)).alias("whole"),
        )
        .filter("whole")
        .group_by("key")
        .agg(pl.len().cast(pl.Int64).alias("count"))
    )


def _ends(found: pl.Series) -> pl.Series:
    """How each sentence ends: statement, question, exclamation, or other (titles, verses, list items)."""
    last = found.str.replace(CLOSING, "").str.tail(2).alias("last")
    kind = pl.lit("other")
    for name, pattern in reversed(ENDS.items()):
        kind = pl.when(pl.col("last").str.contains(pattern)).then(pl.lit(name)).otherwise(kind)
    return last.to_frame().select(kind.alias("kind")).to_series()


class Features:
    """Batches added up. `spill` is an empty folder for the counts of the documents."""

    def __init__(self, settings: FeatureSettings, spill: Path) -> None:
        self.settings, self.spill = settings, spill
        self.words = Tally()
        self.ngrams = [Tally() for _ in range(2, settings.ngrams + 1)]
        self.total = Counted(pl.DataFrame(), [])
        self.units = self.parts = 0
        self._open: pl.DataFrame | None = None  # the counts of the last unit, which the next batch may go on with

    def add(self, batch: Counted) -> None:
        """Add the counts of the next batch in the order of the text."""
        for tally, counts in zip(self.ngrams, batch.ngrams, strict=True):
            tally.add(counts)
        total = self.total
        total.sentence_words += batch.sentence_words
        total.sentence_ends += batch.sentence_ends
        total.languages += batch.languages
        total.moving.types += batch.moving.types
        total.moving.windows += batch.moving.windows
        total.documents += batch.documents
        total.words += batch.words
        total.clauses += batch.clauses
        total.word_characters += batch.word_characters
        counts = batch.unit_counts
        if self._open is not None:
            counts = (
                pl.concat([self._open, counts]).group_by("unit", "key", maintain_order=True).agg(pl.col("count").sum())
            )
        if len(counts):
            last = pl.col("unit") == counts["unit"][-1]
            self._open = counts.filter(last)
            self._close(counts.filter(~last))

    def finish(self) -> None:
        """Close the last document; call it once, after the last batch."""
        if self._open is not None:
            self._close(self._open)
            self._open = None

    def _close(self, counts: pl.DataFrame) -> None:
        if not len(counts):
            return
        self.units += counts["unit"].n_unique()
        self.words.add(counts.group_by("key").agg(pl.col("count").sum(), pl.len().cast(pl.Int64).alias("units")))
        counts.write_parquet(self.spill / f"{self.parts:05d}.parquet")
        self.parts += 1

    def word_table(self) -> pl.DataFrame:
        """key, count, units: words with the number of documents they stand in, the most frequent first."""
        table = self.words.table()
        return table if self.settings.stop_words else table.filter(~self._is_stop(pl.col("key")))

    def ngram_table(self) -> pl.DataFrame:
        """n, key, count; without function words, n-grams that begin or end with one are left out."""
        tables = []
        for n, tally in enumerate(self.ngrams, start=2):
            table = tally.table()
            if not self.settings.stop_words:
                parts = pl.col("key").str.split(" ")
                table = table.filter(~self._is_stop(parts.list.first()) & ~self._is_stop(parts.list.last()))
            tables.append(table.select(pl.lit(n, pl.Int64).alias("n"), "key", "count"))
        empty = pl.DataFrame(schema={"n": pl.Int64, "key": pl.String, "count": pl.Int64})
        return pl.concat(tables) if tables else empty

    def terms(self, top: int) -> Iterator[pl.DataFrame]:
        """unit, key, count, weight: the heaviest words of each document by TF–IDF, in several frames."""
        known = self.word_table()
        for part in range(self.parts):
            counts = pl.read_parquet(self.spill / f"{part:05d}.parquet")
            yield top_terms(tf_idf(counts, known, self.units), top).select("unit", "key", "count", "weight")

    def _is_stop(self, word: pl.Expr) -> pl.Expr:
        stopped = sorted(stop_words(self.settings.language))
        return word.str.to_lowercase().str.replace_all("’", "'", literal=True).is_in(stopped)
