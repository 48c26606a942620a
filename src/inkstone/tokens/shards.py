"""Token shards: a corpus as memory-mapped ids on disk, with checksums and the place of every document.

The stream is `end d1 end d2 end ... dn end`, cut into files `tokens-00000.bin`, ... of little-endian uint16 (uint32
for more than 65,536 ids). `document-starts.npy` holds the position of each `end`, n + 1 of them;
`document-bytes.npy` the UTF-8 bytes of each document's text; `index.json` the counts and the SHA-256 of every file.
"""

import bisect
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from inkstone.errors import CheckpointError, TextError
from inkstone.files import sha256, whole_folder
from inkstone.tokens.tokenizer import Tokenizer, whole_characters

if TYPE_CHECKING:  # what reads shards, or only names them, need not wait for it
    import polars as pl

FORMAT = "inkstone-shards-1"
BATCH_BYTES = 4 << 20  # of text, tokenised at once: enough for every core, little for the memory


class ShardWriter:
    """Writes documents of ids, one after another, into a folder that must be empty."""

    def __init__(self, folder: Path, tokenizer: Tokenizer, shard_tokens: int = 100_000_000):
        self.folder = Path(folder)
        self.tokenizer = tokenizer
        self.shard_tokens = shard_tokens
        self.starts: list[int] = []
        self.sizes: list[int] = []
        self.tokens = 0
        self.replaced = 0
        self.files: list[dict[str, Any]] = []
        self.file: BinaryIO | None = None
        self._write_end()

    def add(self, ids: np.ndarray, text_bytes: int) -> None:
        """Append one document; one without ids leaves no trace."""
        if not len(ids):
            return
        self._write(ids)
        self.sizes.append(text_bytes)
        self._write_end()

    def close(self) -> None:
        """Write what is left and the index. Raises TextError where no document was added."""
        if not self.sizes:
            raise TextError("no text is left to tokenise: every document is empty or was dropped")
        self._close_file()
        for name, values in (("document-starts.npy", self.starts), ("document-bytes.npy", self.sizes)):
            np.save(self.folder / name, np.array(values, dtype="<i8"))
            self.files.append(_described(self.folder / name))
        index = {
            "format": FORMAT,
            "dtype": self.tokenizer.dtype.name,
            "tokens": self.tokens,
            "documents": len(self.sizes),
            "bytes": sum(self.sizes),
            "replaced_characters": self.replaced,
            "end": self.tokenizer.end,
            "vocab_size": self.tokenizer.vocab_size,
            "tokenizer": self.tokenizer.fingerprint,
            "files": self.files,
        }
        index["checksum"] = _index_checksum(index)
        (self.folder / "index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")

    def _write_end(self) -> None:
        self.starts.append(self.tokens)
        self._write(np.array([self.tokenizer.end]))

    def _write(self, ids: np.ndarray) -> None:
        ids = ids.astype(self.tokenizer.dtype, copy=False)
        while len(ids):
            if self.file is None:
                self.file = open(self.folder / f"tokens-{len(self.files):05d}.bin", "wb")  # noqa: SIM115
                self.digest, self.in_file = hashlib.sha256(), 0
            part = ids[: self.shard_tokens - self.in_file].tobytes()
            self.file.write(part)
            self.digest.update(part)
            count = len(part) // ids.itemsize
            self.in_file += count
            self.tokens += count
            ids = ids[count:]
            if self.in_file == self.shard_tokens:
                self._close_file()

    def _close_file(self) -> None:
        if self.file is None:
            return
        self.file.close()
        size = self.in_file * self.tokenizer.dtype.itemsize
        self.files.append({"name": Path(self.file.name).name, "size": size, "sha256": self.digest.hexdigest()})
        self.file = None


def write_shards(
    documents: "Iterable[pl.DataFrame | list[str]]",
    tokenizer: Tokenizer,
    folder: Path | str,
    *,
    shard_tokens: int = 100_000_000,
    report: Callable[[int], None] | None = None,
) -> "TokenShards":
    """Tokenise documents on all cores into a folder of shards, which appears whole or not at all.

    `documents` are frames as in `text/document.py`, of which the dropped rows are left out, or lists of texts.
    `report` is told of every batch's bytes of text. Memory stays bounded by the batch, whatever the corpus.
    Raises TextError where no text is left.
    """
    with whole_folder(Path(folder)) as part:
        writer = ShardWriter(part, tokenizer, shard_tokens)

        def write(encoded: list[np.ndarray], sizes: list[int]) -> None:
            for ids, size in zip(encoded, sizes, strict=True):
                writer.add(ids, size)

        # One batch is written, with its checksum, while the next is read and tokenised.
        with ThreadPoolExecutor(max_workers=1) as pool:
            written: Future[None] | None = None
            for texts, sizes, replaced in _text_batches(documents):
                encoded = tokenizer.encode_batch(texts)
                if written:
                    written.result()
                written = pool.submit(write, encoded, sizes)
                writer.replaced += replaced
                if report:
                    report(sum(sizes))
            if written:
                written.result()
        writer.close()
    return TokenShards(Path(folder), verify=False)


def _text_batches(documents: "Iterable[pl.DataFrame | list[str]]") -> Iterator[tuple[list[str], list[int], int]]:
    """Texts in batches of about BATCH_BYTES, their UTF-8 sizes, and the characters that had to be replaced."""
    from inkstone.text.document import kept

    texts: list[str] = []
    sizes: list[int] = []
    replaced = waiting = 0
    for group in documents:
        for text in group if isinstance(group, list) else kept(group)["text"].to_list():
            if not text:
                continue
            whole, count = whole_characters(text)
            texts.append(whole)
            sizes.append(len(whole.encode()))
            replaced += count
            waiting += sizes[-1]
            if waiting >= BATCH_BYTES:
                yield texts, sizes, replaced
                texts, sizes, replaced, waiting = [], [], 0, 0
    if texts:
        yield texts, sizes, replaced


@dataclass(frozen=True)
class _TokenFile:
    path: Path
    first: int  # position of its first token in the stream
    tokens: np.ndarray


class TokenShards:
    """A folder of shards, opened for reading at any place.

    With `verify`, every file is read once and compared with its checksum. Raises CheckpointError, which names the
    file, where one is missing, torn or changed.
    """

    def __init__(self, folder: Path | str, verify: bool = True):
        self.folder = Path(folder)
        self.index = _read_index(self.folder)
        for file in self.index["files"]:
            _check(self.folder / file["name"], file, verify)
        self.n_tokens: int = self.index["tokens"]
        self.n_documents: int = self.index["documents"]
        self.n_bytes: int = self.index["bytes"]
        self.end: int = self.index["end"]
        self.vocab_size: int = self.index["vocab_size"]
        self.tokenizer_fingerprint: str = self.index["tokenizer"]
        self.dtype = np.dtype(self.index["dtype"]).newbyteorder("<")
        self.document_starts: np.ndarray = np.load(self.folder / "document-starts.npy", mmap_mode="r")
        self.document_bytes: np.ndarray = np.load(self.folder / "document-bytes.npy", mmap_mode="r")
        self.files: list[_TokenFile] = []
        position = 0
        for file in self.index["files"]:
            if file["name"].endswith(".bin"):
                tokens = np.memmap(self.folder / file["name"], dtype=self.dtype, mode="r")
                self.files.append(_TokenFile(self.folder / file["name"], position, tokens))
                position += len(tokens)
        self._firsts = [file.first for file in self.files]

    @classmethod
    def open(cls, folder: Path | str, verify: bool = True) -> "TokenShards":
        """The shards in `folder`; raises CheckpointError where they are not what was written."""
        return cls(folder, verify)

    def read(self, start: int, stop: int) -> np.ndarray:
        """Tokens `start` to `stop` of the stream, across files. Raises IndexError outside the stream."""
        if not 0 <= start <= stop <= self.n_tokens:
            raise IndexError(f"tokens {start} to {stop} are outside the {self.n_tokens} of {self.folder}")
        number = bisect.bisect_right(self._firsts, start) - 1
        file = self.files[number]
        if stop <= file.first + len(file.tokens):
            return file.tokens[start - file.first : stop - file.first]
        parts = []
        while start < stop:
            file = self.files[number]
            parts.append(file.tokens[start - file.first : stop - file.first])
            start += len(parts[-1])
            number += 1
        return np.concatenate(parts)

    def document(self, number: int) -> np.ndarray:
        """The ids of one document, without the `end` on either side."""
        return self.read(int(self.document_starts[number]) + 1, int(self.document_starts[number + 1]))

    def documents(self) -> Iterator[np.ndarray]:
        """The ids of every document in turn, without the `end` on either side."""
        return (self.document(number) for number in range(self.n_documents))


def _described(path: Path) -> dict[str, Any]:
    return {"name": path.name, "size": path.stat().st_size, "sha256": sha256(path)}


def _index_checksum(index: dict[str, Any]) -> str:
    facts = {name: value for name, value in index.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _read_index(folder: Path) -> dict[str, Any]:
    path = folder / "index.json"
    again = "delete the folder and tokenise the text again"
    if not path.is_file():
        raise CheckpointError(f"{folder} holds no token shards: index.json is missing")
    try:
        index = json.loads(path.read_bytes())
        checksum = index["checksum"]
    except (ValueError, KeyError, TypeError):
        raise CheckpointError(f"{path} is damaged: it is no index of token shards; {again}") from None
    if checksum != _index_checksum(index):
        raise CheckpointError(f"{path} is damaged: its checksum does not match; {again}")
    if index["format"] != FORMAT:
        raise CheckpointError(f"{path} has the format {index['format']!r}, this version reads {FORMAT!r}; {again}")
    return index


def _check(path: Path, file: dict[str, Any], verify: bool) -> None:
    again = "delete the folder and tokenise the text again"
    if not path.is_file():
        raise CheckpointError(f"{path} is missing; {again}")
    size = path.stat().st_size
    if size != file["size"]:
        raise CheckpointError(f"{path} is torn: {size} bytes, {file['size']} were written; {again}")
    if verify and sha256(path) != file["sha256"]:
        raise CheckpointError(f"{path} is damaged: its checksum does not match; {again}")
