"""TMX: units by language, formatting left out, and what an attacker or an accident puts into a file."""

import pytest

from inkstone.errors import TextError
from inkstone.text.parallel import read_parallel
from inkstone.text.reading_report import ReadingReport

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n<tmx version="1.4"><header/><body>\n'


def unit(**texts):
    return "<tu>" + "".join(f'<tuv xml:lang="{k}"><seg>{v}</seg></tuv>' for k, v in texts.items()) + "</tu>\n"


def read(path, text, report=None, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return list(read_parallel([str(path)], report))


def test_units_by_language(tmp_path):
    rows = read(
        tmp_path / "a.tmx",
        HEAD + unit(en="Ink &amp; stone", de="Tinte") + unit(en="A", de="B", zh="丙") + "</body></tmx>",
    )
    assert rows[0].sides == (("en", "Ink & stone"), ("de", "Tinte")) and rows[0].place.endswith("a.tmx:4")
    assert rows[1].sides == (("en", "A"), ("de", "B"), ("zh", "丙"))


def test_it_is_told_by_its_first_bytes_and_in_another_encoding(tmp_path):
    text = HEAD.replace("UTF-8", "UTF-16") + unit(en="Ink", zh="墨") + "</body></tmx>"
    assert read(tmp_path / "memory.xml", text.replace("UTF-16", "UTF-8"))[0].sides[1] == ("zh", "墨")
    assert read(tmp_path / "b.tmx", text, encoding="utf-16")[0].sides == (("en", "Ink"), ("zh", "墨"))


def test_regions_older_attributes_and_formatting(tmp_path):
    text = (
        '<tu><tuv lang="EN-US"><seg>Press <bpt i="1">{\\b </bpt><hi>Enter</hi><ept i="1">}</ept> <ph>{0}</ph></seg></tuv>'
        '<tuv xml:lang="zh-Hans"><seg>按 Enter {0}</seg></tuv></tu>'
    )
    (row,) = read(tmp_path / "a.tmx", HEAD + text + "</body></tmx>")
    assert row.sides == (("en", "Press Enter {0}"), ("zh", "按 Enter {0}"))


def test_a_unit_in_one_language_is_counted(tmp_path):
    report = ReadingReport()
    rows = read(tmp_path / "a.tmx", HEAD + unit(en="Alone") + unit(en="Ink", de="Tinte") + "</body></tmx>", report)
    assert len(rows) == 1 and report.malformed == 1 and "a pair needs two" in report.reasons()


def test_entities_are_refused_before_they_grow(tmp_path):
    bomb = '<?xml version="1.0"?><!DOCTYPE tmx [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><tmx><body>' + unit(
        en="&b;", de="x"
    )
    with pytest.raises(TextError, match="declares the entity 'a'"):
        read(tmp_path / "a.tmx", bomb + "</body></tmx>")


def test_a_file_elsewhere_is_not_fetched(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    text = f'<?xml version="1.0"?><!DOCTYPE tmx [<!ENTITY x SYSTEM "{secret}">]><tmx><body>' + unit(en="&x;", de="x")
    with pytest.raises(TextError, match="declares the entity 'x'"):
        read(tmp_path / "a.tmx", text + "</body></tmx>")


def test_broken_xml_is_named_with_its_line(tmp_path):
    with pytest.raises(TextError, match=r"a\.tmx: malformed XML at line 5"):
        read(tmp_path / "a.tmx", HEAD + unit(en="Ink", de="Tinte") + "<tu></body>")
