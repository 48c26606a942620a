"""`inkstone stats`: what a text is made of, as facts, tables and plots."""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from inkstone.errors import TextError
from inkstone.evaluation.text_plots import bar_plot, histogram, zipf_plot
from inkstone.files import whole_folder, write_json, write_text
from inkstone.progress import LiveLine, human_bytes, human_count, human_time
from inkstone.text.features import Features, FeatureSettings, count, in_languages, sentence_table
from inkstone.text.reading import ReadingReport, read, total_bytes
from inkstone.text.richness import zipf_exponent
from inkstone.text.workers import Workers

BATCH_BYTES = 4 << 20
TERM_UNITS = 5  # documents whose terms the outcome shows
SUMMARY = "summary.json"
Format = Literal["parquet", "csv", "jsonl"]


def stats(
    sources: Sequence[str | Path],
    out: str | Path | None = None,
    *,
    settings: FeatureSettings | None = None,
    tagger: str | Path | None = None,
    top: int = 20,
    format: Format = "parquet",
    processes: int = 1,
    quiet: bool = False,
    text_column: str | None = None,
) -> dict[str, Any]:
    """Count words, n-grams, sentences and, with a tagger, parts of speech; weigh the terms of each document by TF–IDF.

    The facts are returned: sizes, sentence lengths (mean, median, 90th percentile in words) and ends, the type/token ratio
    and its moving average, Zipf's exponent, and the `top` words, n-grams and terms. With `out`, the whole tables
    and the plots are written there: `summary.json`, `words`, `ngrams`, `terms`, `sentence_lengths`, `parts_of_speech`
    in the format asked for, and `zipf.svg`, `words.svg`, `sentence_lengths.svg`, `parts_of_speech.svg`. The folder appears
    whole or not at all. `tagger` is the folder of a trained part-of-speech tagger.

    Raises TextError when nothing can be read, when no word is found and when `out` holds anything but earlier statistics.
    """
    settings = settings or FeatureSettings()
    if format not in ("parquet", "csv", "jsonl"):
        raise TextError(f"the format must be parquet, csv or jsonl, not {format!r}")
    if top < 1 or processes < 1:
        name, value = ("top", top) if top < 1 else ("the number of processes", processes)
        raise TextError(f"{name} must be at least 1, not {value}")
    if out is not None:
        _refuse_foreign(Path(out))
    with tempfile.TemporaryDirectory(prefix="inkstone-stats-") as spill:
        features = Features(settings, Path(spill))
        tags, facts = _read(sources, features, tagger, processes, quiet, text_column)
        if not features.total.words:
            raise TextError(f"{', '.join(map(str, sources))}: {features.total.documents:,} documents hold no word")
        facts |= _facts(features, tags, top)
        if out is not None:
            with whole_folder(Path(out)) as folder:
                write_json(folder / SUMMARY, facts)
                _write_tables(folder, features, tags, top, format)
                _write_plots(folder, features, tags, facts, top)
    return facts


def _read(
    sources: Sequence[str | Path],
    features: Features,
    tagger: str | Path | None,
    processes: int,
    quiet: bool,
    text_column: str | None,
) -> tuple[Counter[str] | None, dict[str, Any]]:
    """Count all batches into `features`; the counts of tags, and what the reading was."""
    tag = None if tagger is None else _tagger(tagger)
    tags: Counter[str] = Counter()
    begin = time.monotonic()
    reading, line = ReadingReport(), LiveLine(quiet)
    frames = read(sources, text_column=text_column, batch_bytes=BATCH_BYTES, report=reading)
    total = None if quiet else total_bytes(sources)
    head = list(islice(frames, 3))
    size = 0

    def batches() -> Any:
        nonlocal size
        for frame in chain(head, frames):
            size += int(frame["text"].str.len_bytes().sum())
            if tag is not None:
                table = sentence_table(in_languages(frame, features.settings.language))
                for tagged in tag(table["words"].to_list()):
                    tags.update(tagged)
            yield frame, features.settings

    with Workers(processes if len(head) == 3 else 1) as workers:
        for batch in workers.map(count, batches()):
            features.add(batch)
            seconds = max(time.monotonic() - begin, 1e-9)
            share = f"{min(reading.bytes / total, 1):.0%} · " if total else ""
            found = human_count(features.total.words, "words")
            line.show(f"counting · {share}{found} · {human_bytes(size / seconds)}/s · {human_time(seconds)}")
    features.finish()
    line.clear()
    facts = {"bytes": size, "seconds": round(time.monotonic() - begin, 3), "skipped": len(reading.skipped)}
    return (tags if tag is not None else None), facts


def _tagger(folder: str | Path) -> Callable[[list[list[str]]], list[list[str]]]:
    """The function of a trained tagger that gives each sentence of words its tags."""
    from inkstone.models.tagger import load_tagger  # torch, which nothing else here needs

    return load_tagger(folder).tag


def _facts(features: Features, tags: Counter[str] | None, top: int) -> dict[str, Any]:
    total, known, ngrams = features.total, features.word_table(), features.ngram_table()
    every = features.words.table()
    sentences = sum(total.sentence_words.values())
    lengths = sorted(total.sentence_words.items())
    terms: dict[str, list[str]] = {}
    for frame in features.terms(top):
        for unit, key in frame.select("unit", "key").iter_rows():
            if unit in terms or len(terms) < TERM_UNITS:
                terms.setdefault(unit, []).append(key)
        if len(terms) == TERM_UNITS:
            break
    moving = total.moving.ratio()
    exponent = zipf_exponent(every["count"].to_numpy())
    return {
        "documents": total.documents,
        "units": features.units,
        "by": features.settings.by,
        "languages": dict(total.languages.most_common()),
        "words": total.words,
        "distinct_words": len(every),
        "once": int((every["count"] == 1).sum()),
        "word_characters": round(total.word_characters / total.words, 2),
        "type_token_ratio": round(len(every) / total.words, 4),
        "moving_type_token_ratio": None if moving is None else round(moving, 4),
        "moving_window": total.moving.window,
        "zipf_exponent": None if exponent is None else round(exponent, 3),
        "counts_too_low_by_at_most": max(tally.missing for tally in (features.words, *features.ngrams)),
        "sentences": sentences,
        "sentence_words": {
            "mean": round(total.words / sentences, 2),
            "median": _quantile(lengths, 0.5),
            "percentile_90": _quantile(lengths, 0.9),
            "longest": lengths[-1][0],
        },
        "clauses_per_sentence": round(total.clauses / sentences, 2),
        "sentence_ends": dict(total.sentence_ends.most_common()),
        "parts_of_speech": None if tags is None else dict(tags.most_common()),
        "top_words": [[key, number] for key, number in known.head(top).select("key", "count").iter_rows()],
        "top_ngrams": {
            str(n): [[key, number] for _, key, number in ngrams.filter(pl.col("n") == n).head(top).iter_rows()]
            for n in range(2, features.settings.ngrams + 1)
        },
        "top_terms": terms,
    }


def _quantile(counts: list[tuple[int, int]], share: float) -> int:
    """The least value that at least `share` of the sorted (value, count) pairs do not exceed."""
    needed = share * sum(count for _, count in counts)
    for value, number in counts:
        needed -= number
        if needed <= 0:
            return value
    return counts[-1][0]


def _write_tables(folder: Path, features: Features, tags: Counter[str] | None, top: int, format: Format) -> None:
    words = features.word_table().rename({"key": "word", "units": "documents"})
    _write(words, folder / f"words.{format}", format)
    if features.ngrams:
        _write(features.ngram_table().rename({"key": "ngram"}), folder / f"ngrams.{format}", format)
    lengths = pl.DataFrame(
        sorted(features.total.sentence_words.items()), schema={"words": pl.Int64, "sentences": pl.Int64}, orient="row"
    )
    _write(lengths, folder / f"sentence_lengths.{format}", format)
    if tags is not None:
        table = pl.DataFrame(tags.most_common(), schema={"tag": pl.String, "count": pl.Int64}, orient="row")
        _write(table, folder / f"parts_of_speech.{format}", format)
    with tempfile.TemporaryDirectory(dir=features.spill) as parts:
        for number, frame in enumerate(features.terms(top)):
            frame.rename({"unit": features.settings.by, "key": "term"}).write_parquet(
                Path(parts, f"{number:05d}.parquet")
            )
        _write(pl.scan_parquet(Path(parts, "*.parquet")), folder / f"terms.{format}", format)


def _write(table: pl.DataFrame | pl.LazyFrame, path: Path, format: Format) -> None:
    lazy = table.lazy()
    if format == "parquet":
        lazy.sink_parquet(path)
    elif format == "csv":
        lazy.sink_csv(path)
    else:
        lazy.sink_ndjson(path)


def _write_plots(folder: Path, features: Features, tags: Counter[str] | None, facts: dict[str, Any], top: int) -> None:
    counts = features.words.table()["count"].to_numpy().astype(np.float64)
    exponent = facts["zipf_exponent"]
    law = "" if exponent is None else f", count ∝ rank^−{exponent}"
    write_text(folder / "zipf.svg", zipf_plot(f"Zipf's law{law}", counts, exponent, "rank", "count"))
    words = facts["top_words"]
    write_text(folder / "words.svg", bar_plot("Most frequent words", [w for w, _ in words], [n for _, n in words]))
    lengths = histogram("Length of sentences", "words", features.total.sentence_words)
    write_text(folder / "sentence_lengths.svg", lengths)
    if tags is not None:
        common = tags.most_common(top)
        plot = bar_plot("Parts of speech", [tag for tag, _ in common], [number for _, number in common])
        write_text(folder / "parts_of_speech.svg", plot)


def _refuse_foreign(out: Path) -> None:
    """Only a folder that is empty or that holds earlier statistics is ever replaced."""
    if out.is_file():
        raise TextError(f"{out}: is a file; --out names a folder")
    if out.is_dir() and any(out.iterdir()) and not (out / SUMMARY).is_file():
        raise TextError(f"{out}: holds something else than earlier statistics; name another folder for --out")
