import gzip

import pytest

from inkstone.errors import TextError
from inkstone.text.reading import ReadingReport, read

PAGE = "<html><title>Ink</title><p>磨墨要慢。</p></html>"


def texts(*sources, **options) -> list[str]:
    return [text for batch in read(sources, **options) for text in batch["text"]]


def record(kind: str, content: bytes) -> bytes:
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:1>\r\nWARC-Date: 2024-01-01T00:00:00Z\r\n"
        f"Content-Type: application/{'http; msgtype=response' if kind == 'response' else 'x'}\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content + b"\r\n\r\n"


def response(body: bytes, kind: str = "text/html", status: str = "200 OK", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{more}Content-Length: {len(body)}\r\n\r\n"
    return record("response", head.encode() + body)


def test_pages_and_plain_answers_are_documents(tmp_path):
    gzipped = gzip.compress(b"<p>packed page</p>")
    chunked = b"6\r\n<p>abc\r\n7\r\ndef</p>\r\n0\r\n\r\n"
    path = tmp_path / "a.warc"
    path.write_bytes(
        record("warcinfo", b"software: x\r\n")
        + response(PAGE.encode(), "text/html; charset=utf-8")
        + response(PAGE.encode("gbk"), "text/html; charset=gbk")
        + response(PAGE.encode("gbk"), "text/html")
        + response(b"plain answer", "text/plain")
        + response(b"not found", status="404 Not Found")
        + response(b"\x89PNG\0", "image/png")
        + response(b"<script>1</script>")
        + response(gzipped, more="Content-Encoding: gzip\r\n")
        + response(chunked, more="Transfer-Encoding: chunked\r\n")
        + record("request", b"GET / HTTP/1.1\r\n\r\n")
    )
    report = ReadingReport()
    assert texts(path, report=report) == ["Ink\n\n磨墨要慢。"] * 3 + ["plain answer", "packed page", "abcdef"]
    assert report.encodings["gb18030"] + report.encodings["gbk"] == 2
    assert report.formats == {"warc": 1}


@pytest.mark.parametrize("name", ["a.warc.wet.gz", "a.wet", "a"])
def test_texts_of_wet_files_are_taken_as_they_are(tmp_path, name):
    written = ["Erste Seite: <p>\n\nZeile", "第二页"]
    members = [record("conversion", text.encode()) for text in written]
    path = tmp_path / name
    path.write_bytes(b"".join(gzip.compress(member) if name.endswith("gz") else member for member in members))
    assert texts(path) == written


def test_a_truncated_archive_is_an_error(tmp_path):
    content = gzip.compress(response(PAGE.encode() * 2000))
    path = tmp_path / "a.warc.gz"
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(TextError, match=r"a\.warc\.gz"):
        texts(path)


def test_damage_is_told_by_its_record(tmp_path):
    path = tmp_path / "a.warc"
    good = response(PAGE.encode())
    for content, reason in (
        (good + good[:-40], "ends inside record 2"),
        (good + b"junk" + good, "where number 2 should begin"),
        (good.replace(b"Content-Length: ", b"Length: ", 1), "record 1 does not tell its length"),
    ):
        path.write_bytes(content)
        with pytest.raises(TextError, match=reason):
            texts(path)


def test_a_page_that_cannot_be_unpacked_is_left_out(tmp_path):
    path = tmp_path / "a.warc"
    path.write_bytes(
        response(b"\x1f\x8bbroken", more="Content-Encoding: gzip\r\n")
        + response(b"??", more="Content-Encoding: br\r\n")
        + response(b"<p>fine", more="Transfer-Encoding: chunked\r\n")
    )
    report = ReadingReport()
    assert texts(path, report=report) == ["fine"]
    assert [source for source, _ in report.skipped] == [f"{path}:1", f"{path}:2"]
