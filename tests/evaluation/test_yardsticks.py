"""The yardsticks against the libraries called by hand, and against what they must be able to see."""

import lzma
import os
import random

import pytest
import zstandard

from inkstone.evaluation.yardsticks import yardsticks

WORDS = [
    "grind",
    "the",
    "ink",
    "slowly",
    "upon",
    "a",
    "stone",
    "with",
    "clear",
    "water",
    "研",
    "墨",
    "于",
    "砚",
    "，",
    "以",
    "清",
    "水",
]


def text(n_words: int, seed: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=n_words))


def test_alone_is_what_the_tools_give():
    documents = [text(300, 1), text(200, 2)]
    data = "\n".join(documents).encode()
    figures = yardsticks(documents)
    size = len(data) - 1  # the line feed between the two is paid for, but is no text
    assert figures["xz -9e"] == 8 * len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)) / size
    whole = zstandard.ZstdCompressor(level=19, write_checksum=True).compress(data)
    assert figures["zstd -19"] == 8 * len(whole) / size
    assert figures["held_out_bytes"] == size and figures["train_bytes"] == 0 and not figures["sampled"]
    assert not any("after" in name for name in figures)


def test_text_that_was_seen_costs_nearly_nothing():
    document = text(5000, 3)
    figures = yardsticks([document], [text(3000, 4), document, text(3000, 5)])
    for tool in ("xz -9e", "zstd -19"):
        assert figures[f"{tool} after training text"] < 0.05 < figures[tool]


def test_unrelated_training_text_helps_little():
    figures = yardsticks([text(5000, 6)], [os.urandom(4000).hex()])
    for tool in ("xz -9e", "zstd -19"):
        assert figures[f"{tool} after training text"] == pytest.approx(figures[tool], rel=0.1)


def test_limits_take_whole_documents_and_say_so():
    figures = yardsticks(["a" * 400, "b" * 400, "c" * 400], ["d" * 3000], held_out_limit=1000, train_limit=2000)
    assert (figures["held_out_bytes"], figures["train_bytes"], figures["sampled"]) == (800, 2000, True)


def test_no_text_gives_no_figures():
    assert yardsticks([]) == {} and yardsticks([""]) == {}
