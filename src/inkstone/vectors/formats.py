"""Files of word vectors in the form of word2vec.c, text and binary, which gensim and spaCy read too.

Both begin with the line "words width". Text: a word and its numbers a line, nine digits each,
which is a float32 exactly. Binary: the word in UTF-8, a space, the numbers
as little-endian float32, and a line end that readers must do without.
"""

from pathlib import Path

import numpy as np

from inkstone.errors import TextError
from inkstone.files import whole_file
from inkstone.vectors.word_vectors import WordVectors

BINARY = "vectors.bin"  # in a folder that `inkstone vectors` wrote
LONGEST_WORD = 10_000  # bytes; a longer one means that the file is something else


def write_vectors(vectors: WordVectors, path: Path | str) -> None:
    """Write a file whole or not at all: binary where its name ends in .bin, else text.

    Raises TextError for a word that the form cannot hold: an empty one, or one with a blank or a line end.
    """
    path = Path(path)
    for word in vectors.words:
        if not word or any(character in word for character in " \n\r\t\v\f\x85\u2028\u2029"):
            raise TextError(
                f"{path}: the word {word!r} cannot be written: the form parts words by blanks and line ends"
            )
    head = f"{len(vectors)} {vectors.vectors.shape[1]}\n".encode()
    rows = vectors.vectors.astype("<f4")
    with whole_file(path) as part, open(part, "wb") as file:
        file.write(head)
        for word, row in zip(vectors.words, rows, strict=True):
            numbers = (
                row.tobytes()
                if path.suffix == ".bin"
                else " ".join(f"{number:.9g}" for number in row.tolist()).encode()
            )
            file.write(word.encode() + b" " + numbers + b"\n")


def read_vectors(path: Path | str) -> WordVectors:
    """Read a file of word2vec.c, gensim or our own: binary where its name ends in .bin, else text.

    Raises TextError with the line or word at which the file is not what it says.
    """
    path = Path(path)
    words, width = promised(path)
    body = path.read_bytes().partition(b"\n")[2]
    read = _read_binary if path.suffix == ".bin" else _read_text
    return read(path, body, words, width)


def file_of(path: Path | str) -> Path:
    """The file of word vectors that a path names, itself or by the folder that `inkstone vectors` wrote.

    Raises TextError for another folder.
    """
    path = Path(path)
    if not path.is_dir():
        return path
    if not (path / BINARY).is_file():
        raise TextError(
            f"{path}: no folder of word vectors: it holds no {BINARY}; make one with: inkstone vectors TEXT"
        )
    return path / BINARY


def promised(path: Path | str) -> tuple[int, int]:
    """How many words of which width the first line of a file says it has. Raises TextError where it says no such thing."""
    try:
        with open(path, "rb") as file:
            head = file.readline(100)
    except OSError as error:
        raise TextError(f"{path}: cannot be read: {error.strerror}") from None
    numbers = head.split()
    whole = head.endswith(b"\n") and len(numbers) == 2 and all(number.isdigit() for number in numbers)
    if not whole or int(numbers[1]) == 0:
        raise TextError(f'{path}:1: the first line must be "words width", two numbers, not {head[:40]!r}')
    return int(numbers[0]), int(numbers[1])


def _read_binary(path: Path, body: bytes, count: int, width: int) -> WordVectors:
    if count * (4 * width + 2) > len(body) + 1:
        raise TextError(f"{path}: cut short: {count} words of width {width} need more than {len(body):,} bytes")
    words: list[str] = []
    vectors = np.empty((count, width), np.float32)
    at = 0
    for number in range(count):
        while body[at : at + 1] == b"\n":
            at += 1
        blank = body.find(b" ", at, at + LONGEST_WORD)
        end = blank + 1 + 4 * width
        if blank < 0 or end > len(body):
            raise TextError(f"{path}: cut short or damaged at word {number + 1} of {count}")
        words.append(body[at:blank].decode("utf-8", "replace"))
        vectors[number] = np.frombuffer(body, "<f4", width, blank + 1)
        at = end
    return WordVectors(words, vectors)


def _read_text(path: Path, body: bytes, count: int, width: int) -> WordVectors:
    lines = body.split(b"\n")
    while lines and not lines[-1].strip():
        lines.pop()
    if len(lines) != count:
        raise TextError(f"{path}: the first line promises {count} words, and {len(lines)} lines follow")
    words: list[str] = []
    vectors = np.empty((count, width), np.float32)
    for number, line in enumerate(lines):
        word, *values = line.strip(b" \r").split(b" ")
        if len(values) != width:
            raise TextError(f"{path}:{number + 2}: {len(values)} numbers after the word, not {width}")
        try:
            vectors[number] = [float(value) for value in values]
        except ValueError:
            raise TextError(f"{path}:{number + 2}: a number cannot be read: {line[:60]!r}") from None
        words.append(word.decode("utf-8", "replace"))
    return WordVectors(words, vectors)
