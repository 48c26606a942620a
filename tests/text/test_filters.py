import base64
import inspect
import json
import lzma
import statistics

import numpy as np
import polars as pl
import pytest

from inkstone.text.characters import count_kinds
from inkstone.text.document import documents
from inkstone.text.filters import Limits, binary, quality, repeated_lines


def verdicts(texts: list[str], limits: Limits | None = None) -> list[str | None]:
    limits = limits or Limits()
    frame = binary(documents(texts), limits)
    return quality(frame, count_kinds(frame["text"]), limits)["dropped"].to_list()


NOISE = base64.b64encode(np.random.default_rng(0).bytes(3000)).decode()
DROPPED = {
    "empty": " \n\t ",
    "too short": "ok then",
    "mostly digits": "12.5 13.1 14.0 15.9 16.2\n" * 5,
    "mostly symbols": "=== *** === ~~~ +++ <<< >>> ||| ### ^^^ a b",
    "letters apart": "T h i s i s s e t a p a r t l e t t e r b y l e t t e r",
    "endless words": f"{NOISE[:1000]} {NOISE[1000:2000]} {NOISE[2000:3000]} {NOISE[3000:3500]} {NOISE[3500:]}",
    "binary data": "MZ\x00\x00\x03\x00\x00 some text in a program\x00\x01\x02",
    "undecodable characters": "caf\ufffd \ufffd l\ufffd c\ufffdt\ufffd de la rue",
    "repeated lines": "\n".join(f"line number {n} is said here" for n in (*range(10), *[1, 2, 3, 4, 5] * 6)),
    "repeats itself": "I love you so much, honey. " * 200,
}


@pytest.mark.parametrize("reason", DROPPED)
def test_each_reason(reason):
    assert verdicts([DROPPED[reason]]) == [reason]


def test_what_must_pass():
    texts = [
        "白日依山尽，黄河入海流。",  # five characters a line are a poem
        "古池や蛙飛びこむ水の音",
        "I wandered lonely as a cloud",
        "“Yes.”\n“No?”\n“Yes!”\n“Oh…”\n“Well — then.”",
        inspect.getsource(statistics),
        "| a | b |\n|---|---|\n| one | two |\n| three | four |",
        "Row, row, row your boat,\nGently down the stream.\n" * 4,  # a song may
        "The integral $\\int_0^1 x^2 dx = 1/3$ follows from $F(x) = x^3/3$.",
    ]
    assert verdicts(texts) == [None] * len(texts)


def test_a_reason_stays():
    frame = documents(["ok"]).with_columns(dropped=pl.lit("before"))
    assert quality(frame, count_kinds(frame["text"]), Limits())["dropped"].to_list() == ["before"]


def test_limits_can_be_set():
    assert verdicts(["ok then"], Limits(min_characters=3)) == [None]
    assert verdicts(["a longer sentence than that"], Limits(min_characters=100)) == ["too short"]


def test_repeated_lines_are_counted_in_bytes():
    table = pl.DataFrame({"row": [0, 1], "text": ["aaaa\nbb\n  aaaa \n\ncc", "x\ny"]})
    assert repeated_lines(table, 1).sort("row").rows() == [(0, 4 / 12), (1, 0.0)]


def poems(path):
    with lzma.open(path, "rt", encoding="utf-8") as file:
        return ["\n".join(json.loads(line)["paragraphs"]) for line in file]


@pytest.mark.data
def test_hardly_anything_of_literature_is_dropped(data_mirror):
    chapters, verse = [], []
    for name in (
        "gutenberg-en/alice",
        "gutenberg-en/moby-dick",
        "chinese-novels/shuihu-zhuan",
        "tinyshakespeare/input",
    ):
        text = lzma.decompress((data_mirror / f"{name}.txt.xz").read_bytes()).decode()
        size = 3000 if name.startswith("g") else 1000
        chapters.append(text)
        chapters += [text[start : start + size] for start in range(0, len(text), size)]
    verse = poems(data_mirror / "chinese-poetry/tang-every5.jsonl.xz") + poems(
        data_mirror / "chinese-poetry/songci-every3.jsonl.xz"
    )
    for texts in (chapters, verse):
        gone = [text for text, reason in zip(texts, verdicts(texts), strict=True) if reason]
        assert len(gone) < 0.005 * len(texts), gone[:5]
