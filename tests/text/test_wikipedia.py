import bz2
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, strategies as st

from inkstone.errors import TextError
from inkstone.text.reading import read
from inkstone.text.wikitext import plain

HEAD = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" xml:lang="zh"><siteinfo><text>no</text></siteinfo>'


def texts(*sources, **options) -> list[str]:
    return [text for batch in read(sources, **options) for text in batch["text"]]


def page(title: str, text: str, namespace: int = 0, more: str = "") -> str:
    return (
        f"<page><title>{escape(title)}</title><ns>{namespace}</ns><id>1</id>{more}"
        f'<revision><id>2</id><text bytes="9" xml:space="preserve">{escape(text)}</text></revision></page>'
    )


def test_articles_of_a_dump(tmp_path):
    path = tmp_path / "zhwiki-pages-articles.xml.bz2"
    content = (
        HEAD
        + page("墨", "'''墨'''是[[文房四宝|四宝]]之一。{{Infobox|a={{b}}}}")
        + page("Talk:墨", "talk", 1)
        + page("黑墨", "#REDIRECT [[墨]]")
        + page("墨汁", "x", more='<redirect title="墨" />')
        + page("A & B", "Fish & chips <ref>book</ref> are < good.")
        + page("empty", "{{stub}}")
        + "</mediawiki>"
    )
    path.write_bytes(bz2.compress(content.encode()))
    assert texts(path) == ["墨\n\n墨是四宝之一。\n", "A & B\n\nFish & chips  are < good.\n"]


def test_a_long_dump_streams_in_order(tmp_path):
    path = tmp_path / "dump.xml"
    path.write_text(HEAD + "".join(page(f"T{n}", f"text {n} " * 300) for n in range(3000)) + "</mediawiki>")
    found = texts(path, batch_bytes=1 << 20)
    assert [text.split("\n")[0] for text in found] == [f"T{n}" for n in range(3000)]
    assert all(text.count(f"text {n} ") == 299 for n, text in enumerate(found))


def test_a_truncated_dump_is_an_error_with_its_line(tmp_path):
    path = tmp_path / "dump.xml"
    path.write_text(HEAD + "\n" + page("T", "text") + "\n<page>")
    with pytest.raises(TextError, match=r"dump\.xml: malformed XML at line 3"):
        texts(path)


def test_entities_that_multiply_are_refused(tmp_path):
    path = tmp_path / "laughs.xml"
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    path.write_text(f'<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a0 "ha">{entities}]><r>&a9;</r>')
    with pytest.raises(TextError, match="malformed XML"):
        texts(path)


def test_the_text_of_other_xml(tmp_path):
    path = tmp_path / "tei.xml"
    path.write_text("<?xml version='1.0'?>\n<tei>\n <head>Title</head>\n <p>One <hi>two</hi> three.</p>\n</tei>\n")
    (found,) = texts(path)
    assert found.split() == ["Title", "One", "two", "three."]
    assert found.startswith("Title\n")


def test_where_the_blocks_of_a_file_are_cut_does_not_show_in_xml(tmp_path):
    words = [f"word{number} and" + ("\n " if number % 7 == 0 else " ") for number in range(100_000)]
    text = "".join(words).strip()
    path = tmp_path / "long.xml"
    path.write_text(f"<r>\n <p>{text}</p><p>{text}</p>\n</r>")
    assert "".join(texts(path)) == f"{text}\n{text}\n"


@pytest.mark.parametrize(
    ("wikitext", "expected"),
    [
        ("== Use ==\ntext", "Use\n\ntext"),
        ("a{{x|{{y|{{z}}}}}}b", "ab"),
        ("a\n{| class=x\n|-\n| {| nested |}\n|}\nb", "a\n\nb"),
        ("[[File:a.jpg|thumb|A [[stone]] and ink]]text", "text"),
        ("[[分类:文具]]text[[Category:Ink|x]]", "text"),
        ("[[ink]]s and [[ink stone|stones]]", "inks and stones"),
        ("[https://example.org the site] and [https://example.org]", "the site and"),
        ("a<!-- hidden\n -->b<ref name=x/>c<ref>z</ref>d<br />e", "abcd\ne"),
        ("* one\n** two\n# three", "one\ntwo\nthree"),
        ("-{zh-hans:计算机; zh-hant:電腦;}- -{简体}-", "计算机 简体"),
        ("&nbsp;&alpha;__NOTOC__", "α"),
        ("墨（{{lang|en|ink}}）与（{{x}}，）水", "墨（ink）与水"),
        ("''a'' and '''b'''", "a and b"),
    ],
)
def test_wikitext(wikitext, expected):
    assert plain(wikitext) == expected


@given(st.text("[]{}|'=<>/!-*#:; \nabFile", max_size=120))
def test_broken_wikitext_is_no_error(wikitext):
    plain(wikitext)
