"""Web archives: the pages of a WARC file, and the texts of a WET file as they are."""

from collections.abc import Iterator

import polars as pl
from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from inkstone.errors import TextError
from inkstone.text.encoding import Decoding, utf8_blocks
from inkstone.text.html import declared_charset, html_text
from inkstone.text.member import RECORD_LIMIT, Member

SERIES_BYTES = 4 << 20
PAGES = ("text/html", "application/xhtml+xml", "text/plain")


def texts(member: Member) -> Iterator[pl.Series]:
    """One document a record: `conversion` records (WET) as they are, HTML and plain `response` records as text.

    Requests, metadata, other media types, answers other than 200 and pages without text are no documents. Raises
    TextError where the archive is damaged.
    """
    kinds = WarcRecordType.response | WarcRecordType.conversion
    found: list[str] = []
    size = 0
    records = ArchiveIterator(member.stream, record_types=kinds, parse_http=True, max_content_length=RECORD_LIMIT)  # pyright: ignore[reportArgumentType]
    try:
        for record in records:
            text = _text(record, member)
            if text:
                found.append(text)
                size += len(text)
            if size > SERIES_BYTES:
                yield pl.Series(found, dtype=pl.String)
                found, size = [], 0
    except (OSError, ValueError) as error:
        raise TextError(f"damaged web archive: {error}") from error
    finally:
        member.decoding.name = ""  # encodings are counted by page
    yield pl.Series(found, dtype=pl.String)


def _text(record: WarcRecord, member: Member) -> str:
    declared = None
    plain = record.record_type == WarcRecordType.conversion
    if not plain:
        headers = record.http_headers
        kind = (record.http_content_type or "").lower()
        if headers is None or headers.status_code != 200 or kind not in PAGES:
            return ""
        plain = kind == "text/plain"
        declared = record.http_charset
    content = record.reader.read(RECORD_LIMIT)
    decoding = Decoding()
    text = b"".join(utf8_blocks([content], decoding, declared or declared_charset(content[:4096]))).decode()
    if decoding.name:
        member.report.encodings[decoding.name] += 1
    member.decoding.replaced += decoding.replaced
    return text if plain else html_text(text)
