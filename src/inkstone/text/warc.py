"""Web archives: the pages of a WARC file, and the texts of a WET file as they are (ISO 28500:2017, RFC 9112)."""

import zlib
from collections.abc import Iterator
from io import BufferedReader

import polars as pl

from inkstone.errors import TextError
from inkstone.text.encoding import Decoding, utf8_blocks
from inkstone.text.html import declared_charset, html_text
from inkstone.text.member import BLOCK, RECORD_LIMIT, Member

SERIES_BYTES = 4 << 20
LONGEST_LINE = 1 << 16
READ = ("response", "conversion")  # the kinds of records that hold text
PAGES = ("text/html", "application/xhtml+xml", "text/plain")

Headers = dict[str, str]  # names in lower case


def texts(member: Member) -> Iterator[pl.Series]:
    """One document a record: `conversion` records (WET) as they are, HTML and plain `response` records as text.

    Requests, metadata, other media types, answers other than 200 and pages without text are no documents. Raises
    TextError where the archive is damaged; encodings are counted by page.
    """
    found: list[str] = []
    size = 0
    for number, (headers, content) in enumerate(records(member.stream), 1):
        if content is None:
            if headers.get("warc-type") in READ:
                member.fault(number, f"a record larger than {RECORD_LIMIT >> 20} MiB (the number counts records)")
            continue
        text = _text(headers, content, member, number)
        if text:
            found.append(text)
            size += len(text)
        if size > SERIES_BYTES:
            yield pl.Series(found, dtype=pl.String)
            found, size = [], 0
    yield pl.Series(found, dtype=pl.String)


def records(stream: BufferedReader) -> Iterator[tuple[Headers, bytes | None]]:
    """(headers, content) of each record; the content of other kinds and of too large records is None, and not kept.

    Raises TextError where a record does not begin as one, has no length, or is cut short.
    """
    number = 0
    while line := stream.readline(LONGEST_LINE):
        if not line.strip():
            continue
        number += 1
        if not line.startswith(b"WARC/"):
            raise TextError(f"damaged web archive: no record where number {number} should begin")
        headers = _headers(iter(lambda: stream.readline(LONGEST_LINE), b""))
        length = headers.get("content-length", "")
        if not length.isdecimal():
            raise TextError(f"damaged web archive: record {number} does not tell its length")
        left = int(length)
        content = None
        if headers.get("warc-type") in READ and left <= RECORD_LIMIT:
            content = stream.read(left)
            left -= len(content)
        else:
            while left and (block := stream.read(min(left, BLOCK))):
                left -= len(block)
        if left:
            raise TextError(f"truncated: the web archive ends inside record {number}")
        yield headers, content


def _headers(lines: Iterator[bytes]) -> Headers:
    """Header fields up to the empty line."""
    headers: Headers = {}
    for line in lines:
        if not line.strip():
            break
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return headers


def _text(headers: Headers, content: bytes, member: Member, number: int) -> str:
    kind, charset = "text/plain", None
    if headers["warc-type"] == "response":
        head, _, content = content.partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        answer = _headers(iter(lines))
        kind, _, parameters = answer.get("content-type", "").lower().partition(";")
        kind = kind.strip()
        if status.split(b" ")[1:2] != [b"200"] or kind not in PAGES:
            return ""
        try:
            content = _body(answer, content)
        except (ValueError, zlib.error) as error:
            member.fault(number, f"{error} (the number counts records)")
            return ""
        charset = declared_charset(b"<meta " + parameters.encode() + b">") or declared_charset(content[:4096])
    decoding = Decoding()
    text = b"".join(utf8_blocks([content], decoding, charset)).decode()
    if decoding.name:
        member.report.encodings[decoding.name] += 1
    member.decoding.replaced += decoding.replaced
    member.decoding.others += decoding.others
    return text if kind == "text/plain" else html_text(text)


def _body(answer: Headers, content: bytes) -> bytes:
    """The body of an HTTP answer without its transfer and content encodings; many archives hold it without already."""
    if answer.get("transfer-encoding", "").lower() == "chunked":
        content = _unchunked(content)
    encoding = answer.get("content-encoding", "identity").lower()
    if encoding in ("gzip", "x-gzip", "deflate") and content.startswith((b"\x1f\x8b", b"\x78")):
        content = zlib.decompressobj(wbits=32 + zlib.MAX_WBITS).decompress(content, RECORD_LIMIT)
    elif encoding == "br":
        raise ValueError("a page in the content encoding 'br'")
    return content


def _unchunked(content: bytes) -> bytes:
    """The chunks of a body put together, or the body itself when it is not in chunks."""
    parts: list[bytes] = []
    at = 0
    while True:
        end = content.find(b"\r\n", at, at + 1024)
        try:
            size = int(content[at:end].partition(b";")[0], 16) if end > at else -1
        except ValueError:
            size = -1
        if size < 0:
            return b"".join(parts) if parts else content
        if size == 0:
            return b"".join(parts)
        parts.append(content[end + 2 : end + 2 + size])
        at = end + 2 + size + 2
