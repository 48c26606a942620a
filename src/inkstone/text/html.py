"""HTML to the text that a reader sees: title, headings, paragraphs, list items, preformatted lines.

Scripts, styles, navigation, forms and footers are left out. Every block begins on a line of its own, with an empty line
before headings and paragraphs.
"""

import re
from collections.abc import Iterator

import polars as pl
from selectolax.lexbor import LexborHTMLParser

from inkstone.errors import TextError
from inkstone.text.member import RECORD_LIMIT, Member

UNSEEN = (
    *("script", "style", "noscript", "template", "svg", "math", "iframe", "object", "canvas", "audio", "video", "head"),
    *("nav", "footer", "aside", "form", "button", "select", "textarea", "dialog", "menu"),
    *("[hidden]", "[aria-hidden=true]", "[role=navigation]", "[role=banner]", "[role=contentinfo]", "[role=search]"),
)
PARAGRAPHS = "p, h1, h2, h3, h4, h5, h6, blockquote, pre, table, ul, ol, dl, article, section, figure, hr"
LINES = "div, li, tr, dt, dd, address, figcaption, caption, header, main, details, summary, center, option"
PARAGRAPH, LINE, INDENT = "\ue000", "\ue001", "\ue002"  # stand for breaks and kept spaces until white space is folded
CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w-]{1,40})", re.IGNORECASE)
WHITE = re.compile(r"\s+")
BREAKS = re.compile(rf"\s*([{PARAGRAPH}{LINE}](?:[\s{PARAGRAPH}{LINE}])*)")


def texts(member: Member) -> Iterator[pl.Series]:
    """The page as one document. Raises TextError for a page without text or larger than `RECORD_LIMIT`."""
    parts: list[bytes] = []
    size = 0
    for block in member.utf8(declared_charset(member.head())):
        parts.append(block)
        size += len(block)
        if size > RECORD_LIMIT:
            raise TextError(f"an HTML page larger than {RECORD_LIMIT >> 20} MiB")
    text = html_text(b"".join(parts).decode())
    if not text:
        raise TextError("an HTML page without text")
    yield pl.Series([text])


def declared_charset(head: bytes) -> str | None:
    """The encoding that a page claims for itself.

    >>> declared_charset(b'<head><meta charset="GB2312">')
    'gb18030'
    """
    found = CHARSET.search(head)
    name = found.group(1).decode("ascii").lower() if found else None
    return "gb18030" if name in ("gb2312", "gbk") else "cp1252" if name == "iso-8859-1" else name


def html_text(html: str) -> str:
    r"""The readable text of a page; empty when there is none.

    >>> html_text("<title>Ink</title><nav>Home</nav><p>Pour\nthe  ink.<p>Grind <b>slowly</b>.<ul><li>one<li>two</ul>")
    'Ink\n\nPour the ink.\n\nGrind slowly.\n\none\ntwo'
    """
    for mark in (PARAGRAPH, LINE, INDENT):
        html = html.replace(mark, "")
    tree = LexborHTMLParser(html)
    title = tree.css_first("title")
    heading = WHITE.sub(" ", title.text()).strip() if title else ""
    body = tree.body
    if body is None:
        return heading
    for node in body.css(", ".join(UNSEEN)):
        node.decompose()
    for node in body.css("pre"):
        node.replace_with(PARAGRAPH + node.text().replace("\n", LINE).replace(" ", INDENT) + PARAGRAPH)
    for node in body.css("br"):
        node.replace_with(LINE)
    for selector, mark in ((PARAGRAPHS, PARAGRAPH), (LINES, LINE)):
        for node in body.css(selector):
            node.insert_before(mark)
            node.insert_after(mark)
    for node in body.css("td, th"):
        node.insert_after("\t")
    text = BREAKS.sub(_break, WHITE.sub(" ", body.text())).replace(INDENT, " ").strip()
    return f"{heading}\n\n{text}" if heading and not text.startswith(heading) and text else text or heading


def _break(found: re.Match[str]) -> str:
    """A run of breaks as one: an empty line when any of them ends a paragraph."""
    return "\n\n" if PARAGRAPH in found.group(1) else "\n"
