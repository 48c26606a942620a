"""The grid of pictures and the PNG file, read back by hand."""

import struct
import zlib
from pathlib import Path

import numpy as np

from inkstone.evaluation.picture_grid import GAP, picture_grid, write_png


def read_png(path: Path) -> np.ndarray:
    content = path.read_bytes()
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    at, chunks = 8, {}
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        kind, body = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        assert struct.unpack(">I", content[at + 8 + length : at + 12 + length]) == (zlib.crc32(kind + body),)
        chunks[kind] = body
        at += 12 + length
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, colour, rest) == (8, 0, [0, 0, 0]) and list(chunks)[-1] == b"IEND"
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), dtype=np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    return rows[:, 1:]


def test_pictures_stand_side_by_side_ink_black():
    pictures = np.array([[[0.0, 1.0]], [[0.5, 0.0]], [[1.0, 1.0]]], dtype=np.float32)
    g = GAP
    assert picture_grid(pictures, 2).tolist() == [
        [g, g, g, g, g, g, g], [g, 255, 0, g, 128, 255, g], [g, g, g, g, g, g, g],
        [g, 0, 0, g, g, g, g], [g, g, g, g, g, g, g],
    ]  # fmt: skip


def test_pixels_are_enlarged():
    grid = picture_grid(np.array([[[0.0, 1.0]]], dtype=np.float32), 1, scale=2)
    assert grid[1:3, 1:5].tolist() == [[255, 255, 0, 0]] * 2 and grid.shape == (4, 6)


def test_the_file_holds_the_grid(tmp_path):
    grey = np.arange(35, dtype=np.uint8).reshape(5, 7)
    write_png(tmp_path / "deep" / "grid.png", grey)
    assert np.array_equal(read_png(tmp_path / "deep" / "grid.png"), grey)
