"""Leaks: planted ones are found and named, against comparing all with all; and groups of duplicates."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, strategies as st

from inkstone.errors import TextError
from inkstone.text import leaks
from inkstone.text.duplicates import BANDS
from inkstone.text.folds import grouped_split
from inkstone.text.leaks import MATCHES, duplicate_groups, find_leaks, same_texts


def random_texts(count: int, seed: int, words: int = 60) -> list[str]:
    draw = np.random.default_rng(seed)
    return [" ".join(f"w{number}" for number in draw.integers(0, 4000, words)) for _ in range(count)]


def changed(text: str, changes: int, seed: int) -> str:
    words = text.split()
    for place in np.random.default_rng(seed).choice(len(words), changes, replace=False):
        words[place] = f"n{seed}x{place}"
    return " ".join(words)


def jaccard(a: str, b: str) -> float:
    one, other = ({tuple(text.split()[at : at + 5]) for at in range(len(text.split()) - 4)} for text in (a, b))
    return len(one & other) / len(one | other)


def test_a_text_of_many_rows_is_looked_at_once(monkeypatch):
    own = random_texts(12, seed=0)
    own = [*own, changed(own[2], 1, 3), own[4].upper()]
    draw = np.random.default_rng(1)
    rows = draw.permutation(np.repeat(np.arange(len(own)), 5))
    looked_at = {"signatures": [], "content_digests": []}
    for name, seen in looked_at.items():
        whole = getattr(leaks, name)
        monkeypatch.setattr(leaks, name, lambda texts, whole=whole, seen=seen: (seen.extend(texts), whole(texts))[1])
    group = duplicate_groups(own[row] for row in rows)
    assert sorted(looked_at["signatures"]) == sorted(own)
    assert sorted(looked_at["content_digests"]) == sorted(text.replace(" ", "") for text in own)
    alike = {12: 2, 13: 4}
    firsts = {}
    assert group.tolist() == [firsts.setdefault(alike.get(row, row), at) for at, row in enumerate(rows.tolist())]

    looked_at["signatures"].clear()
    dev = [own[12], random_texts(1, seed=5)[0], own[12], own[13], own[1], own[1]]
    found = find_leaks({"train": [own[row] for row in rows if row < 12], "dev": dev}).matches
    train = [row for row in rows.tolist() if row < 12]
    expected = [(at, train.index(row)) for at, row in ((0, 2), (2, 2), (3, 4), (4, 1), (5, 1))]
    assert found.select("row", "other_row").rows() == expected
    assert sorted(looked_at["signatures"]) == sorted([*own[:12], *dict.fromkeys(dev)])


def test_planted_leaks_are_found_and_named():
    train = random_texts(100, seed=0, words=200)
    dev = [*random_texts(20, seed=1, words=200), train[7].upper(), changed(train[9], 1, 5)]
    test = [
        train[3].replace(" ", ", ") + "!",
        *random_texts(20, seed=2, words=200),
        dev[4],
        changed(dev[5], 1, 6),
        train[7],
    ]
    found = find_leaks({"train": train, "dev": dev, "test": test})
    assert found.matches.schema == MATCHES
    rows = [(a, b, c, d, exact) for a, b, c, d, _, exact in found.matches.iter_rows()]
    assert rows == [
        ("dev", 20, "train", 7, True),
        ("dev", 21, "train", 9, False),
        ("test", 0, "train", 3, True),
        ("test", 21, "dev", 4, True),
        ("test", 22, "dev", 5, False),
        ("test", 23, "train", 7, True),
        ("test", 23, "dev", 20, True),
    ]
    assert found.rows("test") == [0, 21, 22, 23] and found.rows("train") == []
    assert found.counts().rows() == [
        ("dev", "train", 1, 1, 2 / 22),
        ("test", "train", 2, 0, 2 / 24),
        ("test", "dev", 2, 1, 3 / 24),
    ]
    first = found.examples(2)
    assert first["text"].to_list() == [dev[21], test[22]] and first["other_text"].to_list() == [train[9], dev[5]]


def test_near_leaks_against_comparing_all_with_all():
    """All above 0.9 are found, none below 0.65; between, the estimate decides. The most similar row is the one named."""
    train = random_texts(40, seed=5)
    train += [changed(train[number], 1, number) for number in range(10)]
    test = [changed(train[number % 40], n, 100 + number) for number, n in enumerate([0, 1, 2, 3, 4, 6] * 20)]
    found = find_leaks({"train": train, "test": test})
    named = {row: (other, exact) for _, row, _, other, _, exact in found.matches.iter_rows()}
    for number, text in enumerate(test):
        similar = np.array([jaccard(text, other) for other in train])
        if number in named:
            other, exact = named[number]
            assert similar[other] > 0.65 and similar[other] > similar.max() - 0.15
            assert exact == (text in train)
        else:
            assert similar.max() < 0.9


def test_a_near_leak_is_named_for_every_earlier_part():
    text = random_texts(1, seed=7, words=200)[0]
    parts = {name: [changed(text, 1, number)] for number, name in enumerate(["train", "dev", "more", "test"])}
    found = find_leaks(parts).matches.select("part", "other_part").rows()
    names = list(parts)
    assert found == [(name, other) for at, name in enumerate(names) for other in names[:at]]


def test_case_width_punctuation_and_blanks_make_no_difference_but_points_in_numbers_do():
    texts = pl.Series(
        [
            "Ink, stone!",
            "ink  STONE",
            "ｉｎｋ-ｓｔｏｎｅ",
            "1.5 yuan",
            "15 yuan",
            "1.5 yuan.",
            "!!",
            "??",
            "墨，好",
            "墨好。",
        ]
    )
    assert same_texts(texts).tolist() == [0, 0, 0, 3, 4, 3, 6, 7, 8, 8]


def test_short_texts_are_compared_word_for_word_only():
    found = find_leaks({"train": ["a fine stone", "a fine day"], "test": ["a fine brush", "A fine day."]})
    assert found.matches.select("row", "other_row", "exact").rows() == [(1, 1, True)]


def test_chinese_leaks_are_found():
    text = "话说天下大势，分久必合，合久必分。周末七国分争，并入于秦。及秦灭之后，楚、汉分争，又并入于汉。汉朝自高祖斩白蛇而起义，一统天下，后来光武中兴，传至献帝，遂分为三国。"
    found = find_leaks(
        {"train": ["滚滚长江东逝水", text], "test": [text.replace("三国", "三国矣"), text.replace("，", ",")]}
    )
    assert found.matches.select("row", "other_row", "exact").rows() == [(0, 1, False), (1, 1, True)]


@given(st.lists(st.lists(st.sampled_from(["Ink", "ink ", "stone", "墨", ""]), max_size=6), min_size=1, max_size=4))
def test_word_for_word_leaks_are_those_of_comparing_all_with_all(rows):
    parts = {f"part {number}": texts for number, texts in enumerate(rows)}
    found = find_leaks(parts).matches.select("part", "row", "other_part", "other_row", "exact").rows()
    names, expected = list(parts), []
    for at, name in enumerate(names):
        for row, text in enumerate(parts[name]):
            for other in names[:at]:
                same = [n for n, there in enumerate(parts[other]) if there.strip().lower() == text.strip().lower()]
                if same:
                    expected.append((name, row, other, same[0], True))
    assert found == expected


def test_the_pairs_that_are_compared_are_linear_in_the_rows(monkeypatch):
    """Mails of one template: every band of one is that of many."""
    compared = 0
    similarity = leaks.similarity

    def counted(first, second):
        nonlocal compared
        compared += len(first)
        return similarity(first, second)

    monkeypatch.setattr(leaks, "similarity", counted)
    template = random_texts(1, seed=3, words=200)[0]
    mails = [f"{template} number {row}" for row in range(400)]
    found = find_leaks({"train": mails[:200], "test": mails[200:]})
    assert found.rows("test") == list(range(200))
    assert compared <= len(mails) * BANDS * leaks.LOOKED_AT
    assert len(set(duplicate_groups(mails).tolist())) == 1


def test_duplicates_make_groups_through_each_other():
    first = random_texts(1, seed=4, words=300)[0]
    second = changed(first, 5, 1)
    third = changed(second, 5, 2)
    assert jaccard(first, third) < 0.75 and jaccard(first, second) > 0.83
    texts = ["ink", first, "stone", second, "INK!", third, *random_texts(5, seed=6)]
    assert duplicate_groups(texts).tolist() == [0, 1, 2, 1, 0, 1, 6, 7, 8, 9, 10]
    assert duplicate_groups(texts, threshold=None).tolist() == [0, 1, 2, 3, 0, 5, 6, 7, 8, 9, 10]
    assert duplicate_groups([]).tolist() == []


def test_a_split_by_these_groups_has_no_leak():
    texts = random_texts(100, seed=8, words=200)
    texts += [changed(text, 1, number) for number, text in enumerate(texts[:60])] + texts[:20]
    shares = {"train": 0.7, "test": 0.3}

    def leaking(groups) -> int:
        parts = grouped_split(["same"] * len(texts), shares, groups=groups)
        return len(find_leaks({name: [texts[row] for row in rows] for name, rows in parts.items()}).matches)

    assert leaking(None) > 10 and leaking(duplicate_groups(texts)) == 0


def test_parts_may_be_empty_or_alone():
    assert find_leaks({}).matches.is_empty() and find_leaks({"train": ["a", "a"]}).counts().is_empty()
    found = find_leaks({"train": [], "test": ["a"]})
    assert found.counts().rows() == [("test", "train", 0, 0, 0.0)] and found.examples().is_empty()


def test_what_is_no_text_or_no_threshold_is_refused():
    with pytest.raises(TextError, match="test: row 1 is None"):
        find_leaks({"train": ["a"], "test": ["b", None]})
    for wrong in (0.0, 1.1):
        with pytest.raises(TextError, match=f"threshold = {wrong}"):
            find_leaks({"train": ["a"]}, wrong)
