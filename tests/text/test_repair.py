import sys
import unicodedata

import polars as pl
import pytest
from hypothesis import assume, given, strategies as st

from inkstone.text.document import documents, drop
from inkstone.text.repair import COMPOSING, SUSPICIOUS, repair


def repaired(text: str, form="NFC") -> str:
    return repair(documents([text]), form)[0]["text"].item()


def suspicious(text: str) -> bool:
    return bool(pl.Series([text], dtype=pl.String).str.contains(SUSPICIOUS).item())


@pytest.mark.parametrize("text", ["schön und gut, sagte er", "naïve café – “quoted”", "你好，世界", "привет, как дела"])
@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "cp1251"])
def test_mojibake_is_undone(text, encoding):
    try:
        broken = text.encode().decode(encoding)
    except UnicodeDecodeError:
        pytest.skip("these bytes are no text in that encoding")
    if encoding == "cp1251" and "при" not in text:
        pytest.skip("Russian is what is read as Windows-1251")
    frame, counts = repair(documents(["plain\n" + broken]))
    assert frame["text"].item() == "plain\n" + text
    assert counts.mojibake == 1


@pytest.mark.parametrize(
    "text",
    [
        "“It’s fine,” she said — “très bien.”",
        "Ångström Ø æ ß ç ñ",
        "他说：“你好！”（笑）",
        "ＡＢＣ１２３，。！？；：",
        "À la carte: 5 €",
    ],
)
def test_good_text_stays(text):
    frame, counts = repair(documents([text]))
    assert frame["text"].item() == text
    assert counts.mojibake == counts.unicode_form == counts.invisible_or_blank == 0


def test_unicode_forms():
    assert repaired("cafe\u0301") == "café"
    assert repaired("ＡＢＣ，。", "NFKC") == "ABC,。"
    assert repaired("cafe\u0301", "none") == "cafe\u0301"


def test_blanks_and_invisible_characters():
    assert repaired("\ufeffa\u200bb\x00c\r\nd  \re\n\n\n\n\n\nf\t\n\n") == "abc\nd\ne\n\n\nf"
    assert repaired("  indented\n    verse\n") == "  indented\n    verse"
    assert repaired("　　全角缩进。\n　　第二段。　") == "　　全角缩进。\n　　第二段。"
    assert repaired("می\u200cخواهم 👨\u200d👩") == "می\u200cخواهم 👨\u200d👩"


def test_dropped_rows_are_left_alone():
    frame = drop(documents(["a\x00b ", "c\x00d "]), pl.col("text").str.starts_with("a"), "for the test")
    assert repair(frame)[0]["text"].to_list() == ["a\x00b ", "cd"]


def test_all_that_nfc_can_change_is_found():
    """The oracle is `unicodedata`: each character that NFC replaces, reorders or joins to the one before."""
    needed = set()
    for code in range(sys.maxunicode + 1):
        if 0xD800 <= code < 0xE000:
            continue
        character = chr(code)
        decomposed = unicodedata.normalize("NFD", character)
        if unicodedata.combining(character) or unicodedata.normalize("NFC", character) != character:
            needed.add(character)
        elif len(decomposed) > 1:
            needed.update(decomposed[1:])
    missed = pl.Series(sorted(needed)).to_frame("c").filter(~pl.col("c").str.contains(COMPOSING))
    assert missed["c"].to_list() == []


TEXT = st.text(
    st.one_of(
        st.characters(codec="utf-8"),
        st.sampled_from(list("\n\r\t \u3000\u200b\x00，。中文字é\u0301\u0323각abcÃ¤â€™")),
    ),
    max_size=40,
)


@given(TEXT)
def test_repair_is_idempotent(text):
    once = repaired(text)
    assume(not suspicious(text) and not suspicious(once))  # what ftfy makes of noise is its own affair
    assert repaired(once) == once


@given(TEXT)
def test_no_letter_is_lost(text):
    assume(not suspicious(text))
    visible = [c for c in text if c.isalnum()]
    expected = unicodedata.normalize("NFC", "".join(visible))
    got = unicodedata.normalize("NFC", "".join(c for c in repaired(text, "none") if c.isalnum()))
    assert got == expected
    for character in unicodedata.normalize("NFC", text):
        if "\u4e00" <= character <= "\u9fff":
            assert repaired(text).count(character) == unicodedata.normalize("NFC", text).count(character)
