import pytest
from hypothesis import given, strategies as st

from inkstone.errors import TextError
from inkstone.text.html import html_text
from inkstone.text.reading import ReadingReport, read

PAGE = """<!doctype html><html><head><title>On  ink &amp; stone</title><style>p {color: red}</style></head><body>
<nav><ul><li><a href=/>Home</a></ul></nav><header><h1>On ink</h1></header>
<div>A <b>short</b> line<br>and another</div><p>A paragraph
over two lines.</p><ul><li>one</li><li>two</li></ul><table><tr><td>a<td>b</tr><tr><td>c<td>d</tr></table>
<pre>def f():
    return 1</pre><script>alert("x")</script><p hidden>unseen</p><footer>Copyright</footer></body></html>"""


def texts(*sources, **options) -> list[str]:
    return [text for batch in read(sources, **options) for text in batch["text"]]


def test_a_page_as_a_reader_sees_it():
    assert html_text(PAGE) == (
        "On ink & stone\n\nOn ink\n\nA short line\nand another\n\nA paragraph over two lines.\n\none\ntwo\n\n"
        "a b\nc d\n\ndef f():\n    return 1"
    )


@given(st.lists(st.text("abc 墨水é&", min_size=1).map(str.split).map(" ".join).filter(bool), min_size=1))
def test_paragraphs_are_read_back(written):
    page = "".join(f"<p>{text.replace('&', '&amp;')}</p>\n" for text in written)
    assert html_text(page).split("\n\n") == written


@given(st.text("<>/ap!-\"'= \n&;", max_size=200))
def test_broken_markup_is_no_error(markup):
    html_text(markup)


def test_the_declared_encoding_is_believed(tmp_path):
    path = tmp_path / "a.html"
    path.write_bytes('<meta charset="windows-1251"><p>Мир</p>'.encode("cp1251"))
    assert texts(path) == ["Мир"]
    path.write_bytes('<meta http-equiv="Content-Type" content="text/html; charset=gb2312"><p>墨</p>'.encode("gbk"))
    report = ReadingReport()
    assert texts(path, report=report) == ["墨"]
    assert report.encodings == {"gb18030": 1}


def test_a_wrongly_declared_encoding_is_not_believed(tmp_path):
    path = tmp_path / "a.html"
    path.write_bytes('<meta charset="utf-8"><p>墨要慢慢地磨</p>'.encode("gbk"))
    assert texts(path) == ["墨要慢慢地磨"]


def test_a_page_without_text(tmp_path):
    path = tmp_path / "a.html"
    path.write_text("<html><script>1</script></html>")
    with pytest.raises(TextError, match="without text"):
        texts(path)
