"""Train and held-out: what a model learns from, and what it is measured on and must not have seen.

A corpus of many documents is split by document: each has a random number, drawn from its text and the seed, and those
with the smallest are held out, so that the same document is held out whatever stands around it. A corpus of few or of
some very long documents gives the end of each long one. Either way, a paragraph that also stands in train is taken
out of held-out, and so is a document that is a near-duplicate of one in train.
"""

import hashlib
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from inkstone.errors import TextError
from inkstone.progress import human_bytes
from inkstone.text.document import SCHEMA, compact, kept
from inkstone.text.duplicates import NearDuplicates, band_keys, signature_marks
from inkstone.text.shingles import signatures

DEFAULT_SHARE = 0.1
MOST_HELD_OUT = 2_000_000  # bytes: enough for an interval of a few per mille
LEAST_HELD_OUT = 20_000  # bytes, where the corpus can spare them
MOST_SHARE = 0.2  # what even the smallest corpus is asked for
LEAST_TEXT = 2_000  # bytes; below, nothing can be learnt or measured
FEW_DOCUMENTS = 50
LARGE_DOCUMENT = 0.1  # of the text
LONG_DOCUMENT = 2_000  # bytes; shorter ones give no tail
LONG_PARAGRAPH = 200  # characters from which a paragraph in both parts is a leak and no turn of phrase
PART_BYTES = 32 << 20

How = Literal["by document", "tail of each document", "named"]


@dataclass
class Split:
    """A split corpus. `train()` reads from the part files in `folder`, which must stay while it is used."""

    folder: Path
    held_out: pl.DataFrame  # document.SCHEMA
    how: How
    seed: int
    share: float  # of the bytes, as asked
    train_documents: int = 0
    train_bytes: int = 0
    held_out_documents: int = 0
    held_out_bytes: int = 0
    paragraphs_removed: int = 0  # from held-out, because they stand in train
    near_duplicates_removed: int = 0  # from held-out, because train has one like it
    left_out: set[int] = field(default_factory=set, repr=False)  # numbers of documents that are not in train
    cuts: dict[int, int] = field(default_factory=dict, repr=False)  # document number: characters that are in train

    def train(self) -> Iterator[pl.DataFrame]:
        """The documents to learn from, batch by batch in the order of the corpus (`document.SCHEMA`); can be repeated."""
        left_out = pl.Series(sorted(self.left_out), dtype=pl.UInt64).implode()
        for frame in _parts(self.folder):
            frame = frame.filter(~pl.col("number").is_in(left_out))
            for row, number in enumerate(frame["number"]) if self.cuts else ():
                if number in self.cuts:
                    frame = frame.with_columns(
                        frame["text"].clone().scatter(row, frame["text"][row][: self.cuts[number]])
                    )
            if len(frame):
                yield frame.select(*SCHEMA.names())


def split_documents(
    batches: Iterable[pl.DataFrame],
    *,
    share: float | None = None,
    seed: int = 0,
    spill: Path,
    deduplicated: bool = True,
) -> Split:
    """Split the documents that are not dropped into train and held-out.

    Train goes to parquet files under `spill` (a folder of the caller, made if missing), so that the corpus may be larger
    than memory; held-out stays in memory. `share` is the part of the bytes to hold out; by default a tenth, at most
    2 MB, and at least 20 kB where that is no more than a fifth. With `deduplicated` false (no near-duplicates were
    removed before), documents are also compared across the parts, and held-out ones with a near-duplicate in train go.

    Fewer than 50 documents, or one with a tenth of the text, are split by the tail of each long document, cut between
    paragraphs (else lines, else sentences), otherwise by document.

    Raises TextError for a corpus below 2 kB and for a share outside (0, 0.9].
    """
    if share is not None and not 0 < share <= 0.9:
        raise TextError(f"the held-out share must lie above 0 and be at most 0.9, not {share}")
    draws, sizes = _spill(batches, spill, seed)
    total = _enough(sizes)
    target = total * share if share else _target(total)
    is_long = sizes >= LONG_DOCUMENT
    few = len(sizes) < FEW_DOCUMENTS or int(sizes.max()) > LARGE_DOCUMENT * total
    if few and int(sizes[is_long].sum()) * 2 > total:
        split = _by_tail(spill, sizes, is_long, target)
    else:
        split = _by_document(spill, draws, sizes, target)
    split.seed, split.share = seed, round(target / total, 6)
    _purge(split, compare=not deduplicated and split.how == "by document")
    return _counted(split, total)


def split_named(batches: Iterable[pl.DataFrame], held_out: Iterable[pl.DataFrame], *, spill: Path) -> Split:
    """All of the corpus as train, and the text that the person named as held-out.

    Held-out is treated as in `split_documents`: what also stands in train, as a long paragraph or as a near-duplicate,
    is taken out of it. Raises TextError for a corpus below 2 kB and where nothing is left to score.
    """
    _, sizes = _spill(batches, spill, 0)
    total = _enough(sizes)
    named = pl.concat([SCHEMA.to_frame(), *(kept(frame) for frame in held_out)])
    split = Split(spill, named, "named", 0, 0.0, train_documents=len(sizes), train_bytes=total)
    _purge(split, compare=True)
    return _counted(split, total)


def _enough(sizes: np.ndarray) -> int:
    """The bytes of the corpus, or TextError where they are too few."""
    total = int(sizes.sum())
    if total < LEAST_TEXT:
        raise TextError(
            f"only {total:,} bytes of text are left after cleaning ({len(sizes)} documents); at least {LEAST_TEXT:,} bytes "
            "are needed to learn and to measure anything, and a model worth having wants a megabyte or more"
        )
    return total


def _counted(split: Split, total: int) -> Split:
    split.held_out_documents = len(split.held_out)
    split.held_out_bytes = int(split.held_out["text"].str.len_bytes().sum())
    if split.held_out_bytes == 0:
        raise TextError(
            f"all text that could be held out also stands in the rest ({human_bytes(total)}): the corpus repeats itself; "
            "give more text"
        )
    return split


def _target(total: int) -> float:
    """Bytes to hold out by default."""
    return max(min(total * DEFAULT_SHARE, MOST_HELD_OUT), min(LEAST_HELD_OUT, total * MOST_SHARE))


def _spill(batches: Iterable[pl.DataFrame], spill: Path, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Write all kept documents with running numbers; return the draw in [0, 1) and the bytes of each."""
    shutil.rmtree(spill, ignore_errors=True)
    spill.mkdir(parents=True)
    draws, sizes, waiting = [], [], []
    number = waiting_bytes = parts = 0
    for batch in batches:
        frame = kept(batch)
        if len(frame) == 0:
            continue
        encoded = frame["text"].cast(pl.Binary).to_list()
        sizes.append(np.array([len(text) for text in encoded], dtype=np.int64))
        draws.append(np.array([_draw(text, seed) for text in encoded]))
        waiting.append(frame.with_columns(pl.int_range(number, number + len(frame), dtype=pl.UInt64).alias("number")))
        number += len(frame)
        waiting_bytes += int(sizes[-1].sum())
        if waiting_bytes >= PART_BYTES:
            pl.concat(waiting).write_parquet(spill / f"part-{parts:05d}.parquet", compression="lz4")
            waiting, waiting_bytes, parts = [], 0, parts + 1
    if waiting:
        pl.concat(waiting).write_parquet(spill / f"part-{parts:05d}.parquet", compression="lz4")
    if not sizes:
        return np.zeros(0), np.zeros(0, dtype=np.int64)
    return np.concatenate(draws), np.concatenate(sizes)


def _draw(text: bytes, seed: int) -> float:
    digest = hashlib.blake2b(text, digest_size=8, salt=seed.to_bytes(8, "little", signed=True)).digest()
    return int.from_bytes(digest, "little") / 2**64


def _parts(folder: Path) -> Iterator[pl.DataFrame]:
    for path in sorted(folder.glob("part-*.parquet")):
        yield pl.read_parquet(path)


def _by_document(spill: Path, draws: np.ndarray, sizes: np.ndarray, target: float) -> Split:
    """Hold out the documents with the smallest draws up to the target, one at least and not all."""
    order = np.argsort(draws, kind="stable")
    reach = np.cumsum(sizes[order])
    count = min(max(int(np.searchsorted(reach, target, side="right")), 1), len(order) - 1)
    if count < 1:
        raise TextError("a single short document cannot be split by document; give more text")
    chosen = {int(number) for number in order[:count]}
    wanted = pl.Series(sorted(chosen), dtype=pl.UInt64).implode()
    held_out = pl.concat([compact(frame.filter(pl.col("number").is_in(wanted))) for frame in _parts(spill)])
    return Split(
        spill,
        held_out.select(*SCHEMA.names()),
        "by document",
        seed=0,
        share=0.0,
        train_documents=len(sizes) - count,
        train_bytes=int(sizes.sum() - sizes[order[:count]].sum()),
        left_out=chosen,
    )


def _by_tail(spill: Path, sizes: np.ndarray, is_long: np.ndarray, target: float) -> Split:
    """Hold out the tail of each long document, each the same share of its document."""
    share = min(target / int(sizes[is_long].sum()), 0.9)
    cuts, tails = {}, []
    for frame in _parts(spill):
        for row, number in enumerate(frame["number"]):
            if not is_long[number]:
                continue
            text = frame["text"][row]
            cut = _cut(text, share)
            cuts[number] = cut
            tail = frame.slice(row, 1).with_columns(pl.lit(text[cut:].lstrip("\n")).alias("text"))
            tails.append(compact(tail.select(*SCHEMA.names())))
    held_out = pl.concat(tails)
    taken = int(held_out["text"].str.len_bytes().sum())
    return Split(
        spill,
        held_out,
        "tail of each document",
        seed=0,
        share=0.0,
        train_documents=len(sizes),
        train_bytes=int(sizes.sum()) - taken,
        cuts=cuts,
    )


def _cut(text: str, share: float) -> int:
    """Where the tail begins: the boundary nearest to its share, of paragraphs, else lines, else sentences, else words."""
    ideal = round(len(text) * (1 - share))
    reach = max(round(len(text) * share * 0.2), 1)  # how far a boundary may lie from the ideal
    low, high = max(ideal - reach, 1), min(ideal + reach, len(text) - 1)
    for boundary in (r"\n[ \t]*\n\s*", r"\n\s*", r"[.!?。！？…．]+[”’\"'）)」』]*\s*", r"\s+"):
        places = [match.end() for match in re.compile(boundary).finditer(text, low, high)]
        if places:
            return min(places, key=lambda place: abs(place - ideal))
    return ideal


def _purge(split: Split, compare: bool) -> None:
    """Take out of held-out what stands in train too: long paragraphs and, with `compare`, near-duplicate documents."""
    paragraphs = {paragraph for text in split.held_out["text"] for paragraph in _long_paragraphs(text)}
    wanted = pl.Series(sorted(paragraphs), dtype=pl.String).implode()
    leaked: set[str] = set()
    comparison = _Comparison(split.held_out) if compare else None
    for frame in split.train():
        if paragraphs:
            for pattern in (
                frame["text"].str.split("\n"),
                frame["text"].str.replace_all(_BLANK_LINES, "\0").str.split("\0"),
            ):
                found = pl.DataFrame({"paragraph": pattern.explode().str.strip_chars()})
                found = found.filter(pl.col("paragraph").str.len_bytes() >= LONG_PARAGRAPH)
                leaked.update(found.filter(pl.col("paragraph").is_in(wanted))["paragraph"])
        if comparison:
            comparison.look(frame)
    if comparison and comparison.alike:
        split.near_duplicates_removed = len(comparison.alike)
        split.held_out = split.held_out.filter(
            ~pl.Series(np.isin(np.arange(len(split.held_out)), list(comparison.alike)))
        )
    if leaked:
        texts = [_without(text, leaked) for text in split.held_out["text"]]
        split.paragraphs_removed = sum(removed for _, removed in texts)
        split.held_out = split.held_out.with_columns(pl.Series("text", [text for text, _ in texts], dtype=pl.String))
    split.held_out = split.held_out.filter(pl.col("text").str.len_chars() > 0)


_BLANK_LINES = r"\n[ \t]*\n\s*"


def _long_paragraphs(text: str) -> Iterator[str]:
    """Paragraphs in both senses, between blank lines and between line ends, from `LONG_PARAGRAPH` characters on."""
    for pieces in (text.split("\n"), re.split(_BLANK_LINES, text)):
        for piece in pieces:
            if len(piece.strip()) >= LONG_PARAGRAPH:
                yield piece.strip()


def _without(text: str, leaked: set[str]) -> tuple[str, int]:
    """The text without the leaked paragraphs, and how many went."""
    removed = 0
    blocks = []
    for block in re.split(f"({_BLANK_LINES})", text):
        if block.strip() in leaked:
            removed += 1
            continue
        lines = block.split("\n")
        left = [line for line in lines if line.strip() not in leaked]
        removed += len(lines) - len(left)
        blocks.append("\n".join(left))
    return "".join(blocks).strip("\n"), removed


class _Comparison:
    """Which held-out documents have a near-duplicate among the frames looked at."""

    def __init__(self, held_out: pl.DataFrame) -> None:
        self.near = NearDuplicates()
        self.alike: set[int] = set()
        values, enough = signatures(held_out["text"])
        self.rows = np.flatnonzero(enough)
        self.near.remember(held_out["id"].gather(self.rows), signature_marks(values[enough]), band_keys(values[enough]))

    def look(self, frame: pl.DataFrame) -> None:
        """Note the held-out documents that one in this frame is like."""
        values, enough = signatures(frame["text"])
        for matches in self.near.all_alike(signature_marks(values[enough]), band_keys(values[enough])):
            self.alike.update(int(self.rows[number]) for number in matches)
