"""Pictures of digits: scikit-learn's own, and idx files whole, packed and broken."""

import gzip
import struct
import sys

import numpy as np
import pytest

from inkstone.errors import MissingExtraError, TextError
from inkstone.tasks.digit_pictures import built_in_digits, mnist, read_idx


def idx(numbers: np.ndarray) -> bytes:
    return bytes((0, 0, 8, numbers.ndim)) + struct.pack(f">{numbers.ndim}I", *numbers.shape) + numbers.tobytes()


def write_mnist(folder, size: int = 4, count: int = 6, packed: bool = False) -> None:
    draws = np.random.default_rng(0)
    for part in ("train", "t10k"):
        pictures = draws.integers(0, 256, (count, size, size), dtype=np.uint8)
        digits = draws.integers(0, 10, count, dtype=np.uint8)
        for name, numbers in ((f"{part}-images-idx3-ubyte", pictures), (f"{part}-labels-idx1-ubyte", digits)):
            if packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(idx(numbers)))
            else:
                (folder / name).write_bytes(idx(numbers))


def test_the_built_in_digits():
    pytest.importorskip("sklearn")
    pictures = built_in_digits()
    assert pictures.train.shape == (1437, 8, 8) and pictures.test.shape == (360, 8, 8)
    assert pictures.train.min() == 0 and pictures.train.max() == 1
    assert set(pictures.test_digits) == set(range(10))


def test_without_scikit_learn_the_way_out_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'inkstone\[digits\]'"):
        built_in_digits()


@pytest.mark.parametrize("packed", [False, True])
def test_mnist_files(tmp_path, packed):
    write_mnist(tmp_path, packed=packed)
    pictures = mnist(tmp_path)
    raw = np.random.default_rng(0).integers(0, 256, (6, 4, 4), dtype=np.uint8)
    assert pictures.name == "MNIST" and pictures.test_digits.shape == (6,)
    np.testing.assert_allclose(pictures.train, raw / 255, rtol=1e-6)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no idx file"),
        (b"<html>", "no idx file"),
        (idx(np.zeros((2, 2), dtype=np.uint8)), "no idx file of bytes in 3 dimensions"),
        (idx(np.zeros((2, 2, 2), dtype=np.uint8))[:-1], "23 bytes, but says it has 24"),
    ],
)
def test_what_is_no_idx_file_is_refused(tmp_path, content, said):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(TextError, match=said):
        read_idx(tmp_path / "train-images-idx3-ubyte", 3)


def test_a_broken_archive_is_refused(tmp_path):
    (tmp_path / "a.gz").write_bytes(gzip.compress(idx(np.zeros((2, 2, 2), dtype=np.uint8)))[:-9])
    with pytest.raises(TextError, match="cannot be read"):
        read_idx(tmp_path / "a.gz", 3)


def test_a_missing_file_is_named(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(TextError, match="t10k-labels-idx1-ubyte"):
        mnist(tmp_path)


def test_labels_that_are_too_few(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(5, dtype=np.uint8)))
    with pytest.raises(TextError, match="6 pictures but 5 labels"):
        mnist(tmp_path)
