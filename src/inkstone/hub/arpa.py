"""ARPA, the text file of n-gram models that KenLM, SRILM and speech decoders read and write.

Lines "log₁₀ p(wₙ | w₁ … wₙ₋₁) ⟶ w₁ … wₙ ⟶ log₁₀ b(w₁ … wₙ)" in one section an order; the last order has no weights b.
<s> opens a text and is never predicted, </s> ends it, <unk> is any word that is not listed.

Our own tokenizers have one token for both <s> and </s>, and know every text, so that <unk> is written as impossible.
Their tokens are written by their names in tokenizer.json; another program must cut its text the same way.
"""

import io
import math
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl
import tokenizers

from inkstone.errors import RunError
from inkstone.files import whole_file
from inkstone.models.ngram import NGram, NGramSettings
from inkstone.models.ngram_counts import find
from inkstone.models.ngram_smoothing import Table
from inkstone.tokens.tokenizer import Tokenizer

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
IMPOSSIBLE = -99.0  # how ARPA says log 0
LINES = 1 << 20  # at once


def word_tokenizer(words: list[str]) -> Tokenizer:
    """A tokenizer whose ids are the places of `words`, cut at white space; <s>, </s> and <unk> must be among them."""
    numbers = {word: number for number, word in enumerate(words)}
    if missing := [word for word in (BEGIN, END, UNKNOWN) if word not in numbers]:
        raise RunError(f"the vocabulary has no {' and no '.join(missing)}")
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(numbers, unk_token=UNKNOWN))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Split(tokenizers.Regex(r"[ \t\r\n\v\f]+"), "removed")
    backend.post_processor = tokenizers.processors.TemplateProcessing(
        single=f"{BEGIN} $A", special_tokens=[(BEGIN, numbers[BEGIN])]
    )
    return Tokenizer(backend, end=numbers[END])


def write_arpa(model: NGram, path: Path | str) -> None:
    """Write an n-gram model as ARPA, whole or not at all.

    Raises RunError for a model that the format cannot hold: add-k smoothing, or tokens with white space in their names.
    """
    if model.settings.smoothing == "add-k":
        raise RunError("ARPA holds backoff models only, and add-k is none; count with kneser-ney or stupid-backoff")
    names = _names(model)
    words = pl.Series(names)
    extra = (
        []
        if model.begin != model.end
        else [_line(IMPOSSIBLE, BEGIN, model.tables[0].log_backoff[model.end : model.end + 1])]
    )
    if UNKNOWN not in names:
        extra.append(_line(IMPOSSIBLE, UNKNOWN, model.tables[0].log_backoff[:0]))
    holes = sum(name == "" for name in names)
    with whole_file(Path(path)) as part, open(part, "wb") as file:
        sizes = [len(table.keys) for table in model.tables]
        sizes[0] += len(extra) - holes
        file.write(("\\data\\\n" + "".join(f"ngram {n}={size}\n" for n, size in enumerate(sizes, 1))).encode())
        for n in range(1, model.settings.order + 1):
            file.write(f"\n\\{n}-grams:\n".encode())
            if n == 1:
                file.write("".join(extra).encode())
            for start in range(0, len(model.tables[n - 1].keys), LINES):
                _section(model, words, n, slice(start, start + LINES)).write_csv(
                    file, include_header=False, separator="\t", quote_style="never", float_precision=7
                )
        file.write(b"\n\\end\\\n")


def read_arpa(path: Path | str) -> NGram:
    """The model of an ARPA file, with a tokenizer that cuts at white space.

    Raises RunError, with the line, for what is no ARPA file.
    """
    path = Path(path)
    try:
        with open(path, encoding="utf-8", newline="\n") as file:
            return _Reader(path, file).read()
    except OSError as error:
        raise RunError(f"{path} cannot be opened: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise RunError(f"{path} is not UTF-8 ({error.reason}); ARPA files are text") from None


def _names(model: NGram) -> list[str]:
    """The name of each id, "" for an id that is no token."""
    names = [model.tokenizer.backend.id_to_token(number) or "" for number in range(model.settings.vocab_size)]
    names[model.begin] = BEGIN
    names[model.end] = END
    for number, name in enumerate(names):
        if name.split() != [name] and name:
            raise RunError(f"token {number} is {name!r}; ARPA parts words by white space and cannot hold it")
    seen: set[str] = {BEGIN} if model.begin == model.end else set()
    for number, name in enumerate(names):
        if name and name in seen:
            raise RunError(f"token {number} is {name!r}, which has another meaning in ARPA or is there twice")
        seen.add(name)
    return names


def _line(log10: float, name: str, log_backoff: np.ndarray) -> str:
    return f"{log10:.7f}\t{name}\t{(log_backoff.sum() / math.log(10)):.7f}\n"


def _section(model: NGram, words: pl.Series, n: int, rows: slice) -> pl.DataFrame:
    """Some lines of one order as a frame."""
    made, v = model.tables, model.settings.vocab_size
    table = made[n - 1]
    keys = table.keys[rows]
    columns = []
    for order in range(n, 0, -1):
        text = words.gather(keys % v) if order > 1 else words.gather(keys)
        if order == 1 and n > 1 and model.begin == model.end:
            text = text.replace({END: BEGIN})  # the token that ends a document opens one where something follows
        columns.append(text.alias(str(order)))
        if order > 1:
            parents = keys // v
            keys = made[order - 2].keys[parents]
    logs = np.maximum(table.log_probability[rows].astype(np.float64) / math.log(10), IMPOSSIBLE)
    frame = pl.DataFrame(columns[::-1]).select(pl.concat_str(pl.all(), separator=" ").alias("words"))
    frame = frame.insert_column(0, pl.Series("log", logs))
    if len(table.log_backoff):
        frame = frame.with_columns(backoff=pl.Series(table.log_backoff[rows].astype(np.float64) / math.log(10)))
        if n == 1 and model.begin == model.end:  # the weight belongs to <s>, which has a line of its own
            frame = frame.with_columns(backoff=pl.when(pl.col("words") == END).then(0.0).otherwise("backoff"))
    return frame.filter(pl.col("words") != "") if n == 1 else frame


class _Reader:
    """An ARPA file on its way in."""

    def __init__(self, path: Path, file: io.TextIOBase):
        self.path, self.file, self.at = path, file, 0

    def read(self) -> NGram:
        sizes = self._sizes()
        words: list[str] = []
        made: list[Table] = []
        for n, size in enumerate(sizes, 1):
            begins = self.at
            logs, columns, weights = self._rows(n, size)
            if n == 1:
                words = columns[0].to_list()
                if len(set(words)) < len(words):
                    raise RunError(f"{self.path}: a word is listed twice among the 1-grams")
                if UNKNOWN not in words:
                    words, logs, weights = [*words, UNKNOWN], np.append(logs, -100.0), np.append(weights, 0.0)
                if BEGIN in words:
                    logs[words.index(BEGIN)] = -np.inf
                keys = np.arange(len(words))
            else:
                keys = self._keys(made, words, columns, begins)
            rise = np.argsort(keys, kind="stable")
            keys = keys[rise]
            if (keys[1:] == keys[:-1]).any():
                raise RunError(f"{self.path}: a {n}-gram is listed twice")
            backoff = weights[rise] if n < len(sizes) else weights[:0]
            natural = [(x * math.log(10)).astype(np.float32) for x in (logs[rise], backoff)]
            made.append(Table(keys, *natural))
        tokenizer = word_tokenizer(words)
        return NGram.from_tables(NGramSettings(len(words), len(sizes), smoothing="foreign"), tokenizer, made)

    def _line(self) -> str:
        line = self.file.readline()
        self.at += 1
        if not line:
            raise RunError(f"{self.path}:{self.at}: the file ends before \\end\\; it is incomplete, or no ARPA file")
        return line.strip()

    def _sizes(self) -> list[int]:
        """What stands under \\data\\; reads up to the headline of the 1-grams."""
        while self._line() != "\\data\\":
            pass
        sizes: list[int] = []
        while (line := self._line()) != "\\1-grams:":
            if not line:
                continue
            name, _, size = line.partition("=")
            if name.split() != ["ngram", str(len(sizes) + 1)] or not size.strip().isdigit():
                raise RunError(f"{self.path}:{self.at}: {line!r}, where 'ngram {len(sizes) + 1}=COUNT' should stand")
            sizes.append(int(size))
        if not sizes:
            raise RunError(f"{self.path}:{self.at}: no order is counted under \\data\\")
        return sizes

    def _rows(self, n: int, size: int) -> tuple[np.ndarray, list[pl.Series], np.ndarray]:
        """One section: log₁₀ probabilities, one column of words for each place, log₁₀ weights."""
        while n > 1 and (line := self._line()) != f"\\{n}-grams:":
            if line:
                raise RunError(f"{self.path}:{self.at}: {line[:80]!r}, where '\\{n}-grams:' should stand")
        names = ["log", *map(str, range(n)), "backoff"]
        frames = [pl.DataFrame(schema=dict.fromkeys(names, pl.String))]
        left = size
        while left:
            lines = pl.Series(list(islice(self.file, min(left, LINES))), dtype=pl.String)
            if not len(lines):
                self._line()
            fields = lines.str.strip_chars(" \t\r\n").str.replace_all("[ \t]+", " ").str.split_exact(" ", n + 1)
            frame = fields.struct.rename_fields(names).struct.unnest()
            logs = frame["log"].cast(pl.Float64, strict=False)
            weights = frame["backoff"].fill_null("0").cast(pl.Float64, strict=False)
            bad = logs.is_null() | weights.is_null() | frame[str(n - 1)].is_null()
            if bad.any():
                first = bad.arg_max() or 0
                line = lines[first].strip()[:80]
                raise RunError(
                    f"{self.path}:{self.at + first + 1}: {line!r} is no line of a {n}-gram with its logarithm"
                )
            frames.append(frame)
            self.at += len(lines)
            left -= len(lines)
        whole = pl.concat(frames)
        logs, weights = (whole[name].cast(pl.Float64).to_numpy() for name in ("log", "backoff"))
        return logs.copy(), [whole[str(k)] for k in range(n)], np.nan_to_num(weights)

    def _keys(self, made: list[Table], words: list[str], columns: list[pl.Series], begins: int) -> np.ndarray:
        """The keys of n-grams, from the rows of the shorter n-grams that they begin with."""
        kind = pl.Enum(words)
        rows = np.zeros(0, np.int64)
        keys = rows
        for k, column in enumerate(columns):
            ids = column.cast(kind, strict=False).to_physical().cast(pl.Int64).fill_null(-1).to_numpy()
            self._refuse(ids < 0, columns, begins, f"the word {k + 1} is not among the 1-grams")
            keys = ids if k == 0 else rows * len(words) + ids
            if k + 1 < len(columns):
                rows = keys if k == 0 else find(made[k].keys, keys)
                self._refuse(rows < 0, columns, begins, f"its first {k + 1} words are no {k + 1}-gram of the file")
        return keys

    def _refuse(self, bad: np.ndarray, columns: list[pl.Series], begins: int, reason: str) -> None:
        if bad.any():
            row = int(bad.argmax())
            # Between the sections stand an empty line, which may be missing, and the headline.
            text = " ".join(column[row] for column in columns)
            raise RunError(f"{self.path}, after line {begins}: {text!r}: {reason}")
