"""Small grey pictures side by side, as a PNG file."""

import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from inkstone.files import whole_file

GAP = 128  # grey of the lines between pictures


def picture_grid(pictures: Float[np.ndarray, "n h w"], columns: int, scale: int = 1) -> UInt8[np.ndarray, "H W"]:
    """Pictures of values from 0 (paper, white) to 1 (ink, black), row by row; each pixel becomes scale · scale."""
    n, h, w = pictures.shape
    rows = -(-n // columns)
    grey = np.round(255 * (1 - np.clip(pictures, 0, 1))).astype(np.uint8)
    grey = grey.repeat(scale, axis=1).repeat(scale, axis=2)
    h, w = h * scale, w * scale
    grid = np.full((rows * (h + 1) + 1, columns * (w + 1) + 1), GAP, dtype=np.uint8)
    for at, picture in enumerate(grey):
        top, left = at // columns * (h + 1) + 1, at % columns * (w + 1) + 1
        grid[top : top + h, left : left + w] = picture
    return grid


def write_png(path: Path, grey: UInt8[np.ndarray, "h w"]) -> None:
    """Write a grey picture as PNG (ISO/IEC 15948), whole or not at all: 8 bits, no filter, one block of zlib."""
    h, w = grey.shape
    rows = np.concatenate([np.zeros((h, 1), dtype=np.uint8), grey], axis=1)  # each row begins with the filter's number
    with whole_file(path) as part:
        part.write_bytes(
            b"\x89PNG\r\n\x1a\n"
            + _chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 0, 0, 0, 0))
            + _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9))
            + _chunk(b"IEND", b"")
        )


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
