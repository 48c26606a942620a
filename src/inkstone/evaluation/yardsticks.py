"""What a general compressor needs for the same text: the yardstick that anyone can check at a shell.

A compressor is a language model that knows nothing, and bits per byte is its own unit. Two figures each:

- alone:           8 · |compress(held-out)| / bytes, what `xz -9e FILE` or `zstd -19 FILE` give;
- having seen the training text:  8 · (|compress(training + held-out)| − |compress(training)|) / bytes, the fair
  one, since the model has read the training text too (Benedetto, Caglioti & Loreto 2002 call it relative entropy).

xz finds repeats over 64 MiB, zstd here over 128 MiB, so the training text that is passed must be smaller.
"""

import lzma
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import zstandard

HELD_OUT_LIMIT = 1_000_000  # bytes; more is sampled
TRAIN_LIMIT = 4_000_000  # bytes: a few seconds of xz
SEPARATOR = b"\n"


def yardsticks(
    held_out: Iterable[str],
    train: Iterable[str] = (),
    held_out_limit: int = HELD_OUT_LIMIT,
    train_limit: int = TRAIN_LIMIT,
) -> dict[str, Any]:
    """Bits per byte of `xz -9e` and `zstd -19` on held-out documents, alone and after training documents.

    Documents are joined by line feeds, which the compressor pays for as a model pays for the ends of documents; they
    are not counted as bytes of text. Of longer texts only whole documents up to the limits are taken (a single longer
    one is cut); "held_out_bytes", "train_bytes" and "sampled" say what was used. Returns {} for empty text.
    """
    held, held_size, held_cut = _joined(held_out, held_out_limit)
    seen, seen_size, seen_cut = _joined(train, train_limit)
    if not held_size:
        return {}
    with ThreadPoolExecutor(max_workers=2) as pool:  # both libraries let other threads run
        jobs = {
            "xz -9e": pool.submit(_xz, held),
            "zstd -19": pool.submit(_zstd, held),
        }
        if seen_size:
            before, both = pool.submit(_xz, seen), pool.submit(_xz, seen + SEPARATOR + held)
            jobs["zstd -19 after training text"] = pool.submit(_zstd_after, seen + SEPARATOR, held)
        sizes = {name: job.result() for name, job in jobs.items()}
        if seen_size:
            sizes["xz -9e after training text"] = both.result() - before.result()
    figures = {name: 8 * size / held_size for name, size in sizes.items()}
    return {
        **dict(sorted(figures.items())),
        "held_out_bytes": held_size,
        "train_bytes": seen_size,
        "sampled": held_cut or seen_cut,
    }


def _joined(texts: Iterable[str], limit: int) -> tuple[bytes, int, bool]:
    """Documents joined, their bytes without separators, and whether the limit left any out."""
    parts: list[bytes] = []
    size = 0
    for text in texts:
        data = text.encode("utf-8", errors="replace")
        if size + len(data) > limit and parts:
            return SEPARATOR.join(parts), size, True
        parts.append(data[:limit])
        size += len(parts[-1])
        if len(data) > limit:
            return SEPARATOR.join(parts), size, True
    return SEPARATOR.join(parts), size, False


def _xz(data: bytes) -> int:
    return len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))


def _zstd(data: bytes) -> int:
    return len(zstandard.ZstdCompressor(level=19, write_checksum=True).compress(data))


def _zstd_after(before: bytes, data: bytes) -> int:
    """Bytes of `data` in a zstd stream that has already carried `before`."""
    size = len(before) + len(data)
    parameters = zstandard.ZstdCompressionParameters.from_level(
        19, source_size=size, window_log=min(27, max(10, size.bit_length()))
    )
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    # A flushed block ends at a byte, so that what follows is the cost of `data` and of nothing else.
    stream.compress(before)
    stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
    return len(stream.compress(data)) + len(stream.flush())
