import pytest
from hypothesis import given, strategies as st

from inkstone.text.encoding import Decoding, detect, utf8_blocks

SIMPLIFIED = ["你好", "今天天气很好，我们去公园走走。", "他说：“学习中文要多读多写。”", "第3章 机器学习的基本概念"]
TRADITIONAL = ["歷史", "今天天氣很好，我們去公園走走。", "他說：「學習中文要多讀多寫。」", "第3章 機器學習的基本概念"]
GERMAN = ["Größe", "Die Bäume blühen im Frühling, und überall hört man Vögel.", "Straße nach Köln"]
FRENCH = ["déjà vu", "L'élève préférait la poésie à l'école.", "Ça, c'est Noël : créée, éphémère, où ?"]
SAMPLES = [
    *((text, codec, "gb18030") for text in SIMPLIFIED for codec in ("gb18030", "gbk", "gb2312")),
    *((text, "big5", "big5") for text in TRADITIONAL),
    *((text, "latin-1", "latin-1") for text in GERMAN + FRENCH),
    ("It’s – as they say – “naïve”, and costs 5 €.", "cp1252", "cp1252"),
    *((text, "utf-8", "utf-8") for text in SIMPLIFIED + TRADITIONAL + GERMAN + FRENCH),
    *((text, "utf-8-sig", "utf-8-bom") for text in SIMPLIFIED + GERMAN),
    *((text, "utf-16", "utf-16-le") for text in SIMPLIFIED + GERMAN),
    *((text, "utf-16-le", "utf-16-le") for text in [*SIMPLIFIED[1:], *GERMAN, "plain ASCII"]),
    *((text, "utf-16-be", "utf-16-be") for text in [*TRADITIONAL[1:], *FRENCH, "plain ASCII"]),
    ("Привет, как дела? Это русский текст.", "cp1251", "cp1251"),
    ("plain ASCII", "ascii", "ascii"),
]


def decoded(content: bytes, size: int) -> tuple[str, Decoding]:
    decoding = Decoding()
    blocks = [content[at : at + size] for at in range(0, len(content), size)]
    return b"".join(utf8_blocks(blocks, decoding)).decode(), decoding


@pytest.mark.parametrize(("text", "codec", "name"), SAMPLES)
def test_short_texts_are_told_apart(text, codec, name):
    assert detect(text.encode(codec)) == name


@pytest.mark.parametrize(("text", "codec", "name"), SAMPLES)
@pytest.mark.parametrize("prefix", ["", "An ASCII beginning of a page or so.\n" * 4000])
@pytest.mark.parametrize("size", [1 << 16, 1 << 20])
def test_a_long_text_is_read_back_after_an_ascii_beginning(text, codec, name, prefix, size):
    if codec.startswith("utf-16") and prefix:
        text = f"{prefix}{text}"
        prefix = ""
    content = (prefix + (text + "\n") * 50).encode(codec)
    found, decoding = decoded(content, size)
    assert found == prefix + (text + "\n") * 50
    assert (decoding.name, decoding.replaced) == (name, 0)


@given(st.text(max_size=300), st.integers(1, 40))
def test_utf8_is_read_back_whatever_the_blocks(text, size):
    content = text.encode()
    if b"\0" in content or text.startswith("\ufeff"):
        return
    decoding = Decoding()
    blocks = [content[at : at + size] for at in range(0, len(content), size)]
    for block in utf8_blocks(blocks, decoding):
        block.decode("utf-8")  # no block ends inside a character
    assert decoded(content, size)[0] == text
    assert decoding.replaced == 0


@given(
    st.lists(st.sampled_from(SIMPLIFIED + TRADITIONAL[1:]), min_size=1),
    st.sampled_from(["utf-16", "gb18030", "utf-8-sig"]),
)
def test_other_encodings_are_read_back(parts, codec):
    text = "。".join(parts)
    assert decoded(text.encode(codec), 1 << 20)[0] == text


def test_damaged_bytes_are_replaced_and_counted():
    text = "墨分五色，笔走龙蛇。" * 20
    content = text.encode()
    found, decoding = decoded(content[:31] + b"\xff\xfe" + content[31:], 1 << 20)
    assert decoding.name == "utf-8"
    assert found.count("\ufffd") >= 2
    assert decoding.replaced == 2 + 3  # the two strange bytes and those of the character that they cut
    assert found.endswith(text[11:])


def test_damage_far_into_a_text_does_not_change_its_encoding():
    text = "墨分五色，" * 100_000
    found, decoding = decoded(text.encode() + b"\xc4\xe3" + text.encode(), 1 << 16)
    assert (decoding.name, decoding.replaced) == ("utf-8", 2)
    assert found.count("墨") == 200_000


def test_a_declared_encoding_is_believed_only_when_it_fits():
    content = "Привет, мир".encode("koi8_r")
    decoding = Decoding()
    assert b"".join(utf8_blocks([content], decoding, declared="koi8_r")).decode() == "Привет, мир"
    decoding = Decoding()
    assert b"".join(utf8_blocks(["墨".encode()], decoding, declared="ascii")).decode() == "墨"
    decoding = Decoding()
    assert b"".join(utf8_blocks(["墨".encode()], decoding, declared="no-such-encoding")).decode() == "墨"


MIXED = [(f"review {number},good\n", "utf-8") for number in range(40)] + [
    ("今天天气很好，我们去公园走走。,good\n", "gb18030"),
    ("这部电影很不错，值得一看。,good\n", "utf-8"),
    ("这个故事没有意思。,bad\n", "gb18030"),
    ("演员的表演非常好。,good\n", "utf-8"),
]


@pytest.mark.parametrize("size", [7, 1 << 20])
@pytest.mark.parametrize(
    ("lines", "name", "others"),
    [
        (MIXED, "gb18030", [42, 44]),
        ([("数字与文字，都在这里。\n", "utf-8"), *MIXED[:3], ("Größe und Straße\n", "latin-1")], "latin-1", [1]),
        ([("你好，世界，今天很好。\n", "utf-8")] * 90 + MIXED, "utf-8", [131, 133]),
        ([("今天天气很好。\n", "gb18030")] * 9 + [("déjà vu, 你好\n", "utf-8")] * 9, "gb18030", [10, 11, 12, 13, 14]),
    ],
)
def test_a_line_in_another_encoding_than_its_file_is_read_as_what_it_is(lines, name, others, size):
    found, decoding = decoded(b"".join(text.encode(codec) for text, codec in lines), size)
    assert found == "".join(text for text, _ in lines)
    assert (decoding.name, decoding.others_at, decoding.replaced) == (name, others, 0)
    assert decoding.others == (9 if len(others) == 5 else len(others))


def test_damaged_lines_are_named_by_number():
    line = "墨分五色，笔走龙蛇。\n".encode()
    found, decoding = decoded(line * 4 + line[:4] + line[6:] + line * 4, 1 << 20)
    assert (decoding.name, decoding.replaced, decoding.replaced_at, decoding.others) == ("utf-8", 1, [5], 0)
    assert found.split("\n")[4] == "墨\ufffd五色，笔走龙蛇。"


def test_a_line_too_long_to_wait_for_is_decoded_in_pieces():
    text = "今天天气很好，我们去公园走走。" * 50_000
    content = (text + "\n").encode("gb18030") + "你好，世界\n".encode()
    found, decoding = decoded(content, 65_537)
    assert found == text + "\n你好，世界\n"
    assert (decoding.name, decoding.replaced, decoding.others_at) == ("gb18030", 0, [2])
