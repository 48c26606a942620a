import unicodedata

import polars as pl
import pytest
from hypothesis import given, strategies as st

from inkstone.text import characters
from inkstone.text.characters import KINDS, count_kinds


@given(st.lists(st.text(max_size=40), min_size=1, max_size=5))
def test_every_character_is_counted_once(texts):
    counts = count_kinds(pl.Series(texts, dtype=pl.String))
    assert counts.select(pl.sum_horizontal(KINDS)).to_series().to_list() == [len(text) for text in texts]


@given(st.text(st.characters(max_codepoint=0x2AF, exclude_characters="\x1c\x1d\x1e\x1f\x85"), max_size=60))
def test_latin_text_agrees_with_unicode(text):
    counts = count_kinds(pl.Series([text], dtype=pl.String)).row(0, named=True)
    assert counts["latin"] == sum(map(str.isalpha, text))
    assert counts["space"] == sum(map(str.isspace, text))
    assert counts["words"] == len(text.split())
    assert counts["digit"] == sum(character in "0123456789" for character in text)


def test_scripts_are_told_apart():
    samples = {
        "han": "砚台", "kana": "ひらがなカタカナ", "hangul": "한국어", "cyrillic": "привет", "greek": "αβγ", "arabic": "مرحبا",
        "hebrew": "שלום", "thai": "สวัสดี", "devanagari": "नमसत", "latin": "ßøł", "punctuation": "，。！？「」…—", "symbol": "+=😀",
    }  # fmt: skip
    counts = count_kinds(pl.Series(list(samples.values())))
    for (kind, text), row in zip(samples.items(), counts.iter_rows(named=True), strict=True):
        assert row[kind] == len(text), (kind, row)


def test_the_size_of_the_pieces_makes_no_difference(monkeypatch: pytest.MonkeyPatch):
    texts = pl.Series(["mixed 中文 and English, ", "", "ü" * 50, "短", "x " * 100])
    whole = count_kinds(texts)
    monkeypatch.setattr(characters, "PIECE", 7)
    assert count_kinds(texts).equals(whole)


@pytest.mark.parametrize("code", range(0x4E00, 0x9FFF, 997))
def test_han_characters_are_letters_as_unicode_says(code):
    assert unicodedata.category(chr(code)) == "Lo"
    assert count_kinds(pl.Series([chr(code)]))["han"].item() == 1
