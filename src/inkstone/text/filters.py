"""Quality filters: each drops documents that are no text to learn from, and says why.

The limits are far wider than those of web corpora (Gopher: Rae et al. 2021, appendix A; C4: Raffel et al. 2020): a
person's own novels, poems, notes and code must pass, and in a corpus of one's own a doubtful page does little harm.
They are the same for all languages, but for the word length, which only scripts with spaces have.
"""

from dataclasses import dataclass

import polars as pl
import zstandard

from inkstone.text.characters import DENSE, SCRIPT_NAMES
from inkstone.text.document import drop


@dataclass(frozen=True)
class Limits:
    """The limits of the quality filters."""

    min_characters: int = 15  # Han, kana and Hangul characters count three times
    max_control: float = 0.01  # share of control characters; text has none but tabs and line ends
    max_replacement: float = 0.05  # share of U+FFFD, the sign of bytes that could not be read
    min_letters: float = 0.25  # share of the characters without blanks (Gopher asks it of 80 % of the words)
    mean_word: tuple[float, float] = (1.5, 25.0)  # characters between blanks, Latin script (Gopher: 3 to 10)
    max_repeated_lines: float = 0.6  # share of the characters in lines that stood before (Gopher: 0.2)
    min_lines: int = 8  # fewer lines than that may repeat as they like: songs do
    max_compression: float = 12.0  # bytes to zstd -1 bytes; prose 2 to 3, code 4 to 6, a sentence said over and over 50
    min_compressed: int = 400  # bytes; a shorter text says too little about how it repeats itself


def binary(frame: pl.DataFrame, limits: Limits) -> pl.DataFrame:
    """Drop what looks like binary data: control characters or undecodable ones in more than stray places.

    Looks at the text as it was read: the repair takes control characters out.
    """
    length = pl.col("text").str.len_chars()
    control = pl.col("text").str.count_matches("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
    frame = drop(frame, control > length * limits.max_control, "binary data")
    unreadable = pl.col("text").str.count_matches("\ufffd", literal=True)
    return drop(frame, unreadable > length * limits.max_replacement, "undecodable characters")


def quality(frame: pl.DataFrame, kinds: pl.DataFrame, limits: Limits) -> pl.DataFrame:
    """Drop documents that are too short, mostly signs or digits, of absurd words, or that repeat themselves.

    `kinds` are the counts of `characters.count_kinds` for the same rows.
    """
    letters = pl.sum_horizontal(SCRIPT_NAMES)
    dense = pl.sum_horizontal(DENSE)
    signs = letters + pl.col("digit") + pl.col("punctuation") + pl.col("symbol")
    latin = (pl.col("latin") > letters * 0.9) & (pl.col("words") >= 5)
    shortest, longest = limits.mean_word
    verdict = (
        pl.when(signs == 0)
        .then(pl.lit("empty"))
        .when(signs + pl.col("space") + 2 * dense < limits.min_characters)
        .then(pl.lit("too short"))
        .when((letters < signs * limits.min_letters) & (pl.col("digit") * 2 > signs))
        .then(pl.lit("mostly digits"))
        .when(letters < signs * limits.min_letters)
        .then(pl.lit("mostly symbols"))
        .when(latin & (signs < pl.col("words") * shortest))
        .then(pl.lit("letters apart"))
        .when(latin & (signs > pl.col("words") * longest))
        .then(pl.lit("endless words"))
    )
    frame = frame.with_columns(pl.coalesce("dropped", kinds.select(verdict.alias("verdict"))["verdict"]))
    return _repetitive(frame, limits)


def _repetitive(frame: pl.DataFrame, limits: Limits) -> pl.DataFrame:
    """Drop documents most of which is said more than once."""
    live = frame["dropped"].is_null()
    compressor = zstandard.ZstdCompressor(level=1)
    suspects = (live & (frame["text"].str.len_bytes() >= limits.min_compressed)).arg_true()
    texts = frame["text"].gather(suspects).cast(pl.Binary).to_list()
    ratios = [len(text) / len(compressor.compress(text)) for text in texts]
    table = pl.DataFrame({"row": suspects, "text": frame["text"].gather(suspects), "ratio": ratios})
    repeated = repeated_lines(table.filter(pl.col("ratio") > 2), limits.min_lines)
    verdicts = (
        table.select("row", "ratio")
        .join(repeated, on="row", how="left")
        .with_columns(
            pl.when(pl.col("ratio") > limits.max_compression)
            .then(pl.lit("repeats itself"))
            .when(pl.col("repeated") > limits.max_repeated_lines)
            .then(pl.lit("repeated lines"))
            .alias("verdict")
        )
    )
    found = verdicts.drop_nulls("verdict")
    return frame.with_columns(frame["dropped"].clone().scatter(found["row"], found["verdict"]).alias("dropped"))


def repeated_lines(table: pl.DataFrame, min_lines: int) -> pl.DataFrame:
    """For each `row` with enough lines, the share of its `text` that is in lines that stood in it before."""
    lines = (
        table.select("row", pl.col("text").str.split("\n").alias("line"))
        .explode("line")
        .with_columns(pl.col("line").str.strip_chars())
        .with_columns(pl.col("line").str.len_bytes().alias("bytes"))
        .filter(pl.col("bytes") > 0)
    )
    again = ~pl.struct("row", pl.col("line").hash()).is_first_distinct()
    return (
        lines.with_columns(again.alias("again"))
        .group_by("row")
        .agg((pl.col("bytes").filter("again").sum() / pl.col("bytes").sum()).alias("repeated"), pl.len().alias("lines"))
        .filter(pl.col("lines") >= min_lines)
        .select("row", "repeated")
    )
