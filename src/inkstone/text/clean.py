"""Cleaning: from whatever holds text to documents worth learning from, with a reason for all that is left out.

Reading, exact duplicates and near-duplicates are decided in this process, in the order of the documents; all that
looks at one batch at a time runs in worker processes. The result is the same however many there are.
"""

import shutil
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from inkstone.environment import available_cores
from inkstone.errors import TextError
from inkstone.files import whole_folder, write_json, writing_fault
from inkstone.progress import LiveLine, human_bytes, human_count, human_time
from inkstone.text.boilerplate import LineCounts
from inkstone.text.clean_report import CleanReport
from inkstone.text.document import compact, kept
from inkstone.text.duplicates import ExactDuplicates, NearDuplicates
from inkstone.text.reading import ReadingReport, read, total_bytes
from inkstone.text.sampling import Sample
from inkstone.text.stages import CleanSettings, Judged, Prepared, judge, prepare
from inkstone.text.workers import Workers

__all__ = ["CleanReport", "CleanSettings", "clean", "clean_batches"]

BATCH_BYTES = 3 << 20  # what one block of lines gives; each batch in flight costs some twenty times its size
AHEAD = 8  # batches read before the recurring lines of the first one are judged
SHARD_BYTES = 32 << 20
DROPPED_CHARACTERS = 500
NOTES = ".cleaning"  # in the output folder; readers of folders pass over hidden names
REPORT = "report.json"
Sources = Sequence[str | Path]


def clean_batches(
    sources: Sources,
    settings: CleanSettings | None = None,
    *,
    processes: int | None = None,
    quiet: bool = False,
    text_column: str | None = None,
    batch_bytes: int = BATCH_BYTES,
    sample: Sample | None = None,
) -> tuple[Iterator[pl.DataFrame], CleanReport]:
    """Batches of cleaned documents, dropped rows and their reasons included, and the report of the whole.

    The report is complete when the batches have ended. `processes` is the number of worker processes (default: one a
    core, eight at most); a corpus of one or two batches is always cleaned right here. Of the sources, no more is read
    than the `sample` says.

    Raises TextError when nothing can be read.
    """
    if processes is not None and processes < 1:
        raise TextError(f"the number of processes must be at least 1, not {processes}")
    report = CleanReport(processes=processes or min(available_cores(), 8))
    sample = sample or Sample()
    return _batches(sources, settings or CleanSettings(), report, quiet, text_column, batch_bytes, sample), report


def clean(
    sources: Sources,
    out: str | Path,
    *,
    settings: CleanSettings | None = None,
    format: Literal["parquet", "jsonl"] = "parquet",
    processes: int | None = None,
    quiet: bool = False,
    text_column: str | None = None,
) -> CleanReport:
    """Clean text and write what is kept into the folder `out`, which `inkstone train` can read.

    The folder appears whole or not at all: `text-00000.parquet` (or `.jsonl`) and so on with the columns id, source,
    text and language; below `.cleaning/`, what was dropped and why (texts cut to 500 characters) and `report.json`.
    A folder that holds anything but an earlier cleaning is refused.

    Raises TextError when nothing can be read, when nothing is kept, and when `out` is in use or cannot be written.
    """
    if format not in ("parquet", "jsonl"):
        raise TextError(f"the format must be parquet or jsonl, not {format!r}")
    out = Path(out)
    _refuse_foreign(out)
    batches, report = clean_batches(sources, settings, processes=processes, quiet=quiet, text_column=text_column)
    try:
        with whole_folder(out) as folder:
            (folder / NOTES).mkdir()
            texts = _Shards(folder / "text", format)
            dropped = _Shards(folder / NOTES / "dropped", "parquet")
            for frame in batches:
                texts.add(kept(frame).drop("dropped"))
                gone = frame.filter(pl.col("dropped").is_not_null())
                dropped.add(compact(gone.with_columns(pl.col("text").str.head(DROPPED_CHARACTERS))))
            if report.kept_documents == 0:
                raise TextError(f"nothing is left of {report.documents:,} documents: {_reasons(report)}")
            texts.close()
            dropped.close()
            write_json(folder / NOTES / REPORT, report.to_dict())
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = writing_fault(error)
        if reason is None:
            raise
        free = f" ({human_bytes(shutil.disk_usage(out.parent).free)} free)" if out.parent.is_dir() else ""
        raise TextError(f"{out}: cannot be written: {reason}{free}; nothing was left behind") from error
    return report


def _batches(
    sources: Sources,
    settings: CleanSettings,
    report: CleanReport,
    quiet: bool,
    text_column: str | None,
    batch_bytes: int,
    sample: Sample,
) -> Iterator[pl.DataFrame]:
    begin = time.monotonic()
    reading = ReadingReport()
    frames = sample.of(
        read(sources, text_column=text_column, batch_bytes=batch_bytes, report=reading, opens=sample.opens)
    )
    head = list(islice(frames, 3))
    if len(head) < 3:
        report.processes = 1
    total = None if quiet else total_bytes(sources, sample.opens)
    line = LiveLine(quiet)
    near = NearDuplicates(settings.threshold)
    with Workers(report.processes) as workers:
        prepared = workers.map(prepare, ((frame, settings) for frame in chain(head, frames)))
        judged = workers.map(judge, ((*batch, settings) for batch in _in_order(prepared)))
        for batch in judged:
            frame = batch.frame
            if settings.near_duplicates:
                frame = near.drop(frame, batch.comparable, batch.marks, batch.bands)
            _count(report, batch, frame)
            line.show(_progress(report, reading.bytes, total, time.monotonic() - begin))
            yield frame
    line.clear()
    report.finish(reading, time.monotonic() - begin)


def _in_order(batches: Iterator[Prepared]) -> Iterator[tuple[Prepared, np.ndarray]]:
    """Drop exact duplicates, and hand each batch on with the lines that recur in it, before it and a little after it."""
    exact = ExactDuplicates()
    lines = LineCounts()
    waiting: deque[Prepared] = deque()
    for batch in batches:
        frame = exact.drop(batch.frame, batch.digests)
        live = frame["dropped"].is_null().to_numpy()
        lines.add(int(live.sum()), batch.line_hashes[live[batch.line_rows]])
        waiting.append(replace(batch, frame=frame, digests=batch.digests[:0], line_rows=_NONE, line_hashes=_NONE))
        if len(waiting) > AHEAD:
            yield waiting.popleft(), lines.recurring()
    recurring = lines.recurring()
    while waiting:
        yield waiting.popleft(), recurring


_NONE = np.zeros(0, dtype=np.uint64)


def _count(report: CleanReport, batch: Judged, frame: pl.DataFrame) -> None:
    report.bytes += batch.bytes
    report.repairs.add(batch.repairs)
    report.removed_lines.add(batch.removed)
    report.chinese_scripts.update(batch.scripts)
    report.add(frame)


def _progress(report: CleanReport, read_bytes: int, total: int | None, seconds: float) -> str:
    """How far the reading is, the speed in bytes of text, what was kept, and the time left."""
    words = [f"cleaning {human_bytes(report.bytes)}"]
    if total and read_bytes:
        share = min(read_bytes / total, 1.0)
        words[0] = f"cleaning {share:.0%} of {human_bytes(total)}"
        words.append(f"{human_time(seconds * (1 - share) / share)} left")
    words.insert(1, f"{report.bytes / 1e6 / max(seconds, 1e-9):.1f} MB/s")
    share_kept = report.kept_documents / max(report.documents, 1)
    words.insert(2, f"kept {human_count(report.kept_documents, 'documents')} ({share_kept:.1%})")
    return " · ".join(words)


def _reasons(report: CleanReport) -> str:
    return ", ".join(f"{entry.documents:,} {reason}" for reason, entry in report.dropped.items())


def _refuse_foreign(out: Path) -> None:
    """Only a folder that is empty or that a cleaning wrote is ever replaced."""
    if out.is_file():
        raise TextError(f"{out}: is a file; --out names a folder")
    if out.is_dir() and any(out.iterdir()):
        ours = (out / NOTES / REPORT).is_file()
        foreign = [path.name for path in out.iterdir() if path.name != NOTES and not path.name.startswith("text-")]
        if not ours or foreign:
            named = f" ({foreign[0]})" if foreign else ""
            raise TextError(
                f"{out}: holds something else than an earlier cleaning{named}; name another folder for --out"
            )


class _Shards:
    """Frames written to numbered files of about `SHARD_BYTES` bytes of text each."""

    def __init__(self, stem: Path, format: str) -> None:
        self.stem, self.format = stem, format
        self.waiting: list[pl.DataFrame] = []
        self.bytes = self.written = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Append rows."""
        if len(frame):
            self.waiting.append(frame)
            self.bytes += int(frame["text"].str.len_bytes().sum())
        if self.bytes >= SHARD_BYTES:
            self.close()

    def close(self) -> None:
        """Write what is waiting."""
        if not self.waiting:
            return
        frame = pl.concat(self.waiting)
        path = self.stem.with_name(f"{self.stem.name}-{self.written:05d}.{self.format}")
        if self.format == "parquet":
            frame.write_parquet(path, compression="zstd", compression_level=3)
        else:
            frame.write_ndjson(path)
        self.written += 1
        self.waiting, self.bytes = [], 0
