"""Repair of text: mojibake, Unicode form, invisible characters, line ends, blank lines.

Rows that need nothing, nearly all of them, cost one regular expression; only a line that shows the marks of a wrong
decoding goes through ftfy.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import ftfy
import ftfy.badness
import polars as pl

UnicodeForm = Literal["NFC", "NFKC", "none"]

# Junk that carries no text: C0 controls but tab, line end and form feed; delete; zero-width space, word joiner,
# soft hyphen, byte order mark, directional marks and embeddings, noncharacters. The zero-width joiner and non-joiner
# stay: Persian, Hindi and emoji are spelled with them.
INVISIBLE = "[\x00-\x08\x0e-\x1f\x7f\u0080-\u0084\u0086-\u009f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\ufeff\ufff9-\ufffb\ufffe\uffff]"
LINE_ENDS = "\r\n|[\r\x0b\x0c\u0085\u2028\u2029]"
TRAILING = r"[ \t\u00a0\u3000]+\n|[ \t\u00a0\u3000]+\z"
BLANK_RUN = r"\n{4,}"  # more than two blank lines
EDGES = r"\A(?:[ \t]*\n)+|\n+\z"

# Characters that NFC may change: combining marks and vowel jamo, which may join what stands before them, and the
# singletons and composition exclusions, which are always replaced.
COMPOSING = (
    r"[\p{M}\u0340\u0341\u0374\u037e\u0387\u0958-\u095f\u09dc-\u09df\u0a33-\u0a5e\u0b5c\u0b5d\u0f43-\u0f69\u1161-\u1175"
    r"\u11a8-\u11c2\u1f71-\u1fff\u2000\u2001\u2126\u212a\u212b\u2329\u232a\u2adc\uf900-\ufaff\ufb1d-\ufb4e"
    r"\x{1d15e}-\x{1d164}\x{1d1bb}-\x{1d1c0}\x{2f800}-\x{2fa1f}]"
)

# What UTF-8 looks like when it was read as Windows-1252, -1251, -1250, Mac Roman or code page 437: a character of
# the lead bytes' range and one of the continuation bytes' range side by side. ftfy decides whether it is so.
SUSPICIOUS = (
    "[\u00c2-\u00f4][\u0080-\u00bfŒœŠšŸŽžƒˆ˜–—‘’‚“”„†‡•…‰‹›€™]"
    "|[âв][€Ђ]|[РСГ][\u0080-\u00bf‘’‚“”„†‡•…‰‹›€™ЂЃѓЉЊЌЋЏђљњќћџЎўЈҐЁЄЇІіґёєјЅѕї]"
    "|[ĂÄĹĽ][\u0080-\u00bf™ˇ˘Ł¤Ą§¨ŞŤŹŻ°±˛ł´µ¶·¸ąşťź˝ľż]|[├┬╬╨╤Γ][^\\sΑ-ω]|[√‚][\u00a0-\u00ff†°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø]"
)
_SUSPICIOUS = re.compile(SUSPICIOUS)


@dataclass
class Repairs:
    """How many documents each kind of repair changed."""

    mojibake: int = 0
    unicode_form: int = 0
    invisible_or_blank: int = 0

    def add(self, other: "Repairs") -> None:
        """Add the counts of another batch."""
        self.mojibake += other.mojibake
        self.unicode_form += other.unicode_form
        self.invisible_or_blank += other.invisible_or_blank


def repair(frame: pl.DataFrame, form: UnicodeForm = "NFC") -> tuple[pl.DataFrame, Repairs]:
    """Repair the texts that no step has dropped; the rows stay the same, in number and order.

    Full-width Chinese punctuation is left as it is, unless `form` is "NFKC", which folds it into ASCII.
    Leading blanks of a line (verse, code) are never touched.
    """
    before = frame["text"]
    live = frame["dropped"].is_null()
    unmixed = _where(before, live & before.str.contains(SUSPICIOUS), lambda text: text.map_elements(_unmix, pl.String))
    # Invisible characters may stand between what NFC joins, so they go first.
    visible = _where(unmixed, live & unmixed.str.contains(INVISIBLE), lambda text: text.str.replace_all(INVISIBLE, ""))
    normal = visible
    if form != "none":
        within = COMPOSING if form == "NFC" else "[^\x00-\x7f]"
        normal = _where(visible, live & visible.str.contains(within), lambda text: text.str.normalize(form))
    tidy = _where(normal, live & _untidy(normal), _tidy)
    counts = Repairs(
        mojibake=int((before != unmixed).sum()),
        unicode_form=int((visible != normal).sum()),
        invisible_or_blank=int(((unmixed != visible) | (normal != tidy)).sum()),
    )
    return frame.with_columns(tidy.alias("text")), counts


def _where(texts: pl.Series, mask: pl.Series, change: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """`texts` with `change` applied to the rows of the mask only."""
    rows = mask.fill_null(False).arg_true()
    if len(rows) == 0:
        return texts
    return texts.clone().scatter(rows, change(texts.gather(rows)))


def _untidy(texts: pl.Series) -> pl.Series:
    # Apart, each of these is searched several times faster than as one alternation.
    return (
        texts.str.contains(LINE_ENDS)
        | texts.str.contains(TRAILING)
        | texts.str.contains(BLANK_RUN)
        | texts.str.contains(r"\A[ \t]*\n")
        | texts.str.ends_with("\n")
    )


def _tidy(texts: pl.Series) -> pl.Series:
    return (
        texts.str.replace_all(LINE_ENDS, "\n")
        .str.replace_all(TRAILING, "\n")
        .str.replace_all(BLANK_RUN, "\n\n\n")
        .str.replace_all(EDGES, "")
    )


def _unmix(text: str) -> str:
    """Undo a wrong decoding, line by line, so that one bad line does not decide over the others."""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if _SUSPICIOUS.search(line) and ftfy.badness.is_bad(line):
            lines[number] = ftfy.fix_encoding(line)
    return "\n".join(lines)
