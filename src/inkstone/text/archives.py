"""Files inside files: gz, bz2, xz, zst, zip and tar, each inside the others, streamed and never written out by name.

The kind is told by the first bytes, so that a wrong extension does not matter. Path names inside archives are only
names of documents. What expands beyond measure is refused.
"""

import bz2
import gzip
import io
import lzma
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any, BinaryIO

import zstandard

from inkstone.errors import TextError
from inkstone.progress import human_bytes
from inkstone.text.encoding import detect

BUFFER = 1 << 18
DEEPEST = 6  # layers: a .tar.gz has two
BOMB_BYTES = 1_000_000_000
BOMB_RATIO = 200
IN_MEMORY = 32 << 20  # what needs random access stays in memory up to this size, and in a nameless temporary file above

COMPRESSED = {b"\x1f\x8b": ".gz", b"BZh": ".bz2", b"\xfd7zXZ\x00": ".xz", b"\x28\xb5\x2f\xfd": ".zst"}
ZIP_MARKS = (b"PK\x03\x04", b"PK\x05\x06")
ZIP_EXTENSIONS = ("", ".zip")  # .docx, .jar and many others are zip files too, but not archives of texts
SHORT = {".tgz": ".tar", ".tbz2": ".tar", ".txz": ".tar", ".tzst": ".tar"}

DAMAGE = (EOFError, OSError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError, zstandard.ZstdError)

Skip = Callable[[str, str], None]


class Bomb(TextError):
    """A file that expands past every honest measure: nothing more of it is read, members included."""


class Expansion:
    """Bytes that came out of one layer, against the bytes of the file on the disk."""

    def __init__(self, packed: Callable[[], int]):
        self.packed = packed
        self.bytes = 0

    def add(self, number: int) -> None:
        """Count bytes; raises Bomb when the layer has grown past every honest measure."""
        self.bytes += number
        if self.bytes > BOMB_BYTES and self.bytes > BOMB_RATIO * self.packed():
            raise Bomb(
                f"expands to more than {human_bytes(BOMB_BYTES)} and {BOMB_RATIO} times its size, like a zip bomb; "
                "unpack it yourself if you trust it"
            )


class Watched(io.RawIOBase):
    """A stream whose every byte is counted: by an expansion, a progress line or a report."""

    def __init__(self, stream: Any, count: Callable[[int], None]):
        self.stream = stream
        self.count = count

    def readable(self) -> bool:
        """Always true."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read, and count what was read."""
        if hasattr(self.stream, "readinto"):
            size = self.stream.readinto(buffer)
        else:
            data = self.stream.read(len(buffer))
            size = len(data)
            buffer[:size] = data
        self.count(size)
        return size


class ZstandardFile:
    """The content of a .zst file; unlike `zstandard.stream_reader`, it tells a truncated file from a whole one."""

    def __init__(self, stream: BinaryIO):
        self.stream = stream
        self.frame = zstandard.ZstdDecompressor().decompressobj()
        self.fresh = True  # nothing of this frame was read yet
        self.ready = b""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; EOFError when the file ends inside a frame."""
        while not self.ready:
            data = self.frame.unused_data if self.frame.eof else b""
            if self.frame.eof:
                self.frame = zstandard.ZstdDecompressor().decompressobj()
                self.fresh = True
            data = data or self.stream.read(1 << 16)
            if not data:
                if self.fresh:
                    return b""
                raise EOFError("the file ends inside a zstandard frame")
            self.ready = self.frame.decompress(data)
            self.fresh = False
        data, self.ready = self.ready[:size], self.ready[size:]
        return data


DECOMPRESSORS: dict[str, Callable[[Any], Any]] = {
    ".gz": lambda stream: gzip.GzipFile(fileobj=stream),
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    ".zst": ZstandardFile,
}


def watched(stream: Any, count: Callable[[int], None]) -> io.BufferedReader:
    """A buffered stream that can be peeked into, and whose bytes are counted as they are read."""
    return io.BufferedReader(Watched(stream, count), BUFFER)


def unpacked(
    label: str, name: str, stream: io.BufferedReader, packed: Callable[[], int], skip: Skip, depth: int = 0
) -> Iterator[tuple[str, str, io.BufferedReader]]:
    """The plain files in a stream: (label, name without the extensions of compression, stream), one after the other.

    `packed` tells the size of the file on the disk; members that cannot be read go to `skip`. Raises TextError for
    nesting deeper than `DEEPEST` layers, Bomb for an expansion like a zip bomb, and any of `DAMAGE` for damaged files.
    """
    head = stream.peek(512)
    extension = PurePosixPath(name).suffix.lower()
    compression = next((kind for mark, kind in COMPRESSED.items() if head.startswith(mark)), None)
    zipped = head.startswith(ZIP_MARKS) and extension in ZIP_EXTENSIONS
    tarred = head[257:262] == b"ustar" or extension == ".tar"
    if not (compression or zipped or tarred):
        yield label, name, stream
        return
    if depth == DEEPEST:
        raise TextError(f"archives nested more than {DEEPEST} deep; unpack it yourself if you trust it")
    expansion = Expansion(packed)
    if compression:
        inner = watched(DECOMPRESSORS[compression](stream), expansion.add)
        stem = name.removesuffix(extension) + SHORT.get(extension, "") if extension else name
        if extension not in (compression, ".gzip", ".zstd", *SHORT):
            stem = name
        yield from unpacked(label, stem, inner, packed, skip, depth + 1)
        return
    for member, content in (_zip_members if zipped else _tar_members)(label, stream, expansion, skip):
        inside = f"{label}!{member}"
        try:
            yield from unpacked(inside, PurePosixPath(member).name, content, packed, skip, depth + 1)
        except Bomb:
            raise
        except (TextError, *DAMAGE) as error:
            skip(inside, damage_reason(error))


def _zip_members(
    label: str, stream: BinaryIO, expansion: Expansion, skip: Skip
) -> Iterator[tuple[str, io.BufferedReader]]:
    with seekable(stream, expansion.add) as file, zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            name = _zip_name(entry)
            if entry.is_dir() or _hidden(name):
                continue
            try:
                content = archive.open(entry)
            except (RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
                skip(f"{label}!{name}", "encrypted" if entry.flag_bits & 1 else str(error))
                continue
            with content:
                yield name, watched(content, expansion.add)


def _zip_name(entry: zipfile.ZipInfo) -> str:
    """The name of a member. Old Chinese systems wrote it in GB18030 without saying so."""
    if entry.flag_bits & 0x800:
        return entry.filename
    raw = entry.filename.encode("cp437", "replace")
    return raw.decode(detect(raw), "replace") if detect(raw) in ("utf-8", "gb18030", "big5") else entry.filename


def _tar_members(
    label: str, stream: BinaryIO, expansion: Expansion, skip: Skip
) -> Iterator[tuple[str, io.BufferedReader]]:
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for entry in archive:
            name = entry.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            content = archive.extractfile(entry) if entry.isreg() else None
            if content is not None and not _hidden(name):
                yield name, watched(content, expansion.add)


def _hidden(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") and part not in (".", "..") for part in parts) or "__MACOSX" in parts


@contextmanager
def seekable(stream: Any, count: Callable[[int], None] = lambda number: None) -> Iterator[BinaryIO]:
    """A copy of a stream with random access, gone when the block ends."""
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
        while block := stream.read(BUFFER):
            count(len(block))
            file.write(block)
        file.seek(0)
        yield file  # pyright: ignore[reportReturnType]


def damage_reason(error: BaseException) -> str:
    """Why a file could not be read, in one line."""
    if isinstance(error, TextError):
        return str(error)
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if isinstance(error, EOFError):
        return "truncated: the file ends too early"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"damaged: {error}"
