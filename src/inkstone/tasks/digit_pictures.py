"""Pictures of written digits: the 1,797 that come with scikit-learn, or MNIST from its own files.

scikit-learn's are 8 × 8 (Alpaydin & Kaynak 1998, UCI optdigits), the last fifth kept for testing: other hands wrote it than
the first. MNIST (LeCun et al. 1998) is 28 × 28, 60,000 to learn from and 10,000 to test on, in four idx files.
"""

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from inkstone.errors import MissingExtraError, TextError

MNIST_PARTS = ("train", "t10k")
IDX_BYTES = 0x08  # the type of unsigned bytes, the only one MNIST has


@dataclass(frozen=True)
class DigitPictures:
    """Grey values from 0 to 1, 1 the ink; and which digit each is."""

    name: str
    train: Float[np.ndarray, "n h w"]
    train_digits: Int[np.ndarray, " n"]
    test: Float[np.ndarray, "m h w"]
    test_digits: Int[np.ndarray, " m"]


def built_in_digits() -> DigitPictures:
    """scikit-learn's digits. Raises MissingExtraError where it is not installed."""
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError:
        raise MissingExtraError("scikit-learn", "digits", "a demonstration on its digits") from None
    bunch = load_digits()
    pictures = (bunch.images / 16).astype(np.float32)  # type: ignore[union-attr]
    digits = bunch.target.astype(np.int64)  # type: ignore[union-attr]
    cut = len(pictures) * 4 // 5
    return DigitPictures("scikit-learn digits", pictures[:cut], digits[:cut], pictures[cut:], digits[cut:])


def mnist(folder: Path | str) -> DigitPictures:
    """MNIST from a folder with its four files, each as it is or with .gz.

    Raises TextError where a file is missing, damaged, or not what its name says.
    """
    folder = Path(folder)
    parts = []
    for part in MNIST_PARTS:
        pictures = read_idx(_found(folder, f"{part}-images-idx3-ubyte"), 3)
        digits = read_idx(_found(folder, f"{part}-labels-idx1-ubyte"), 1)
        if len(pictures) != len(digits) or not len(pictures):
            raise TextError(f"{folder}: {len(pictures):,} pictures but {len(digits):,} labels in the part {part!r}")
        parts += [(pictures / np.float32(255)).astype(np.float32), digits.astype(np.int64)]
    if parts[0].shape[1:] != parts[2].shape[1:]:
        raise TextError(f"{folder}: pictures of {parts[0].shape[1:]} to learn from, of {parts[2].shape[1:]} to test on")
    return DigitPictures("MNIST", *parts)


def read_idx(path: Path, dimensions: int) -> Int[np.ndarray, "..."]:
    """The bytes of an idx file: two zeros, the type, the number of dimensions, their sizes, the numbers, all big-endian.

    Raises TextError where the file is none of bytes, has other dimensions, or is not as long as it says.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise TextError(f"{path} cannot be read: {error}") from None
    head = 4 + 4 * dimensions
    if len(content) < head or content[:3] != bytes((0, 0, IDX_BYTES)) or content[3] != dimensions:
        raise TextError(
            f"{path} is no idx file of bytes in {dimensions} dimensions: it begins with {content[:4].hex()!r}"
        )
    sizes = struct.unpack(f">{dimensions}I", content[4:head])
    expected = head + int(np.prod(sizes, dtype=np.int64))
    if len(content) != expected:
        raise TextError(f"{path} has {len(content):,} bytes, but says it has {expected:,}; fetch it again")
    return np.frombuffer(content, dtype=np.uint8, offset=head).reshape(sizes)


def _found(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise TextError(f"{folder} holds neither {name} nor {name}.gz, one of the four files of MNIST")
