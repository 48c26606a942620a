"""Plain text: one file is one document, unless it is huge.

A file of more than `WHOLE` bytes of text is streamed and cut into pieces of at most `PIECE` bytes: after the last form
feed in the second half of a piece, else its last blank line, else its last line end, else between two characters.
Nothing is lost: the pieces put together are the file.
"""

from collections.abc import Iterable, Iterator

import polars as pl

from inkstone.text.member import Member

WHOLE = 8 << 20
PIECE = 1 << 20
BOUNDARIES = (b"\f", b"\n\n", b"\n\r\n", b"\n", b"\r")


def texts(member: Member) -> Iterator[pl.Series]:
    """The document of a text file, or the pieces of a huge one."""
    for piece in pieces(member.utf8()):
        yield pl.Series([piece], dtype=pl.Binary).cast(pl.String)


def pieces(blocks: Iterable[bytes], whole: int = WHOLE, piece: int = PIECE) -> Iterator[bytes]:
    """Blocks of UTF-8 put together and cut anew; where the cuts fall does not depend on the size of the blocks."""
    waiting: list[bytes] = []
    size = 0
    blocks = iter(blocks)
    for block in blocks:
        waiting.append(block)
        size += len(block)
        if size > whole:
            break
    buffer = b"".join(waiting)
    if size <= whole:
        if buffer:
            yield buffer
        return
    start = 0
    more = True
    while more or len(buffer) - start > piece:
        while more and len(buffer) - start <= piece:
            block = next(blocks, None)
            more = block is not None
            buffer, start = buffer[start:] + (block or b""), 0
        if len(buffer) - start > piece:
            end = _cut(buffer, start, piece)
            yield buffer[start:end]
            start = end
    if start < len(buffer):
        yield buffer[start:]


def _cut(buffer: bytes, start: int, piece: int) -> int:
    """Where the piece that begins at `start` ends."""
    for boundary in BOUNDARIES:
        found = buffer.rfind(boundary, start + piece // 2, start + piece)
        if found >= 0:
            return found + len(boundary)
    end = start + piece
    while buffer[end] & 0xC0 == 0x80:  # inside a character
        end -= 1
    return end
