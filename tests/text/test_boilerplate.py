import numpy as np
import polars as pl
import pytest

from inkstone.text.boilerplate import LineCounts, line_hashes, remove
from inkstone.text.document import documents

BANNER = "Welcome to the Daily Inkwell, your source of stationery news"
FOOTER = "联系我们：编辑部电话，投稿信箱，广告合作，请写信给我们"


def pages(count: int) -> list[str]:
    return [
        f"{BANNER}\n\nArticle number {n} tells of ink number {n * 7}, and how it was made in the year {1000 + n}.\n"
        f"The second paragraph of article {n} goes on about stone number {n * 3}, which was found near the river.\n\n{FOOTER}"
        for n in range(count)
    ]


def clean(texts: list[str]):
    frame = documents(texts)
    counts = LineCounts()
    counts.add(len(texts), line_hashes(frame)[1])
    return remove(frame, counts.recurring())


def test_recurring_lines_go_and_are_counted():
    frame, removed = clean(pages(30))
    assert not frame["text"].str.contains("Inkwell|联系").any()
    assert frame["text"].str.contains("Article number").all()
    assert (removed.documents, removed.lines) == (30, 60)
    assert removed.examples == {BANNER: 30, FOOTER: 30}
    assert removed.bytes > 30 * len((BANNER + FOOTER).encode())


def test_few_documents_are_left_alone():
    frame, removed = clean(pages(9))
    assert frame["text"].to_list() == pages(9)
    assert removed.lines == 0


def test_drafts_of_one_text_are_left_alone():
    chapter = "\n".join(f"This is line {n} of the chapter, which is in every draft." for n in range(40))
    drafts = [f"{chapter}\nEnding number {n}, tried out on the {n}th of May." for n in range(20)]
    assert clean(drafts)[0]["text"].to_list() == drafts


def test_code_and_refrains_are_left_alone():
    code = [
        f"import collections.abc as abc\nfrom typing import Any, Callable\n\ndef f{n}(x):\n    return {{x: {n}}}\n"
        for n in range(30)
    ]
    refrain = "Sing we all merrily, the winter is gone,"
    songs = [
        f"{refrain}\nVerse {n} is about {n * 11} birds in a tree\n{refrain}\nand so on\n{refrain}\nthe end {n}"
        for n in range(30)
    ]
    assert clean(code)[0]["text"].to_list() == code
    assert clean(songs)[0]["text"].to_list() == songs


@pytest.mark.parametrize(
    "line",
    [
        "We use cookies to give you the best experience.", "Accept all cookies", "Please enable JavaScript to view the comments.",
        "Skip to main content", "Share on Facebook", "© 2023 Example Ltd. All rights reserved.", "版权所有 © 2020 某某公司", "京ICP备12345678号-1",
    ],
)  # fmt: skip
def test_well_known_phrases_go_anywhere(line):
    text = "A story about ink, as long as it needs to be."
    frame, removed = remove(documents([f"{text}\n{line}\n{text}"]), np.zeros(0, dtype=np.uint64))
    assert frame["text"].item() == f"{text}\n{text}"
    assert removed.lines == 1


def test_sentences_that_speak_of_such_things_stay():
    texts = [
        "She baked cookies and we use them all.",
        "He told me to share on Facebook what I had seen, and I did.",
        "版权所有者是谁？没有人知道，我们也不知道答案。" * 5,
    ]
    frame, removed = remove(documents(texts), np.zeros(0, dtype=np.uint64))
    assert frame["text"].to_list() == texts and removed.documents == 0


def test_project_gutenberg_wrapping_goes():
    book = (
        "The Project Gutenberg eBook of Nothing\n\nThis ebook is for the use of anyone\n\n"
        "*** START OF THE PROJECT GUTENBERG EBOOK NOTHING ***\n\n\nChapter I\n\nIt was nothing.\n\n\n"
        "*** END OF THE PROJECT GUTENBERG EBOOK NOTHING ***\n\nSection 1. General terms of use\n"
    )
    assert remove(documents([book]), np.zeros(0, dtype=np.uint64))[0]["text"].item() == "Chapter I\n\nIt was nothing."


def test_counting_in_bounded_memory_never_counts_too_much():
    generator = np.random.default_rng(0)
    counts = LineCounts(capacity=1000)
    true: dict[int, int] = {}
    for _ in range(50):
        rare = generator.integers(0, 1 << 62, 300, dtype=np.uint64)
        batch = np.concatenate([rare, np.repeat(np.array([1, 2, 3], dtype=np.uint64), 5)])
        for value in batch.tolist():
            true[value] = true.get(value, 0) + 1
        counts.add(300, batch)
    assert len(counts.hashes) <= 1000
    assert all(
        count <= true[value] for value, count in zip(counts.hashes.tolist(), counts.counts.tolist(), strict=True)
    )
    assert counts.recurring().tolist() == []  # 250 of 15,000 documents are less than two in a hundred
    counts.documents = 5000
    assert counts.recurring().tolist() == [1, 2, 3]


def test_dropped_documents_do_not_count():
    frame = documents(pages(30)).with_columns(dropped=pl.lit("duplicate"))
    assert len(line_hashes(frame)[0]) == 0
