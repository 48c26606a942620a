"""Which encoding a text is in, and the text as UTF-8, a block at a time.

UTF-8 is tried first and strictly. What is not UTF-8 is decoded as each of the usual legacy encodings, and the one
whose outcome looks most like Chinese or like a European language wins: frequent characters count for it, bytes that
it does not know and rare characters count against it. This holds for texts of a few characters, where statistical
detectors guess.

A file put together from several may hold lines in several encodings. A line that is UTF-8 in a file that is not, and a
line that is clearly in a legacy encoding in a file of UTF-8, are read as what they are, counted, and known by number.
"""

import codecs
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import chain

import polars as pl
from charset_normalizer import from_bytes

SAMPLE = 32 << 10  # bytes, from the first that is not ASCII, on which the encoding is decided
SCORED = 4 << 10  # bytes of it that the legacy encodings are tried on
LONGEST_LINE = 1 << 20  # bytes; a longer one is not held back to be looked at as a whole
LINES_NAMED = 5  # of a file, for each thing that is wrong with lines
SHORTEST_WIDE = 16  # bytes; a shorter text is taken for UTF-16 only with a byte order mark or a zero byte

BYTE_ORDER_MARKS = (  # UTF-32 before UTF-16: its little-endian mark begins like the other's
    (b"\xef\xbb\xbf", "utf-8-bom"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
CODECS = {"utf-8-bom": "utf-8", "ascii": "utf-8", "latin-1": "cp1252", "big5": "cp950"}  # name in the report: codec
LEGACY = ("gb18030", "big5", "cp1252")
OTHERS = ["cp1251", "koi8_r", "shift_jis", "euc_jp", "euc_kr", "cp1250", "cp1253", "cp1254", "cp1255", "cp1256"]
LINEWISE = frozenset(["cp950", *LEGACY, *OTHERS])  # codecs in which the byte 10 is the end of a line, always
DOUBLE_BYTE = frozenset(["gb18030", "cp950", "shift_jis", "euc_jp", "euc_kr"])
SURER = 2  # in plausibility: two bytes of these codecs are one character of UTF-8 now and then

# The most frequent characters of modern Chinese, those that differ in traditional writing after them.
FREQUENT = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去"
    "法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点"
    "正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西月话合回特代内信表化老给世位次度门任常先海通教儿原"
    "东声提立及比员解水名真论处走义各入几口认条平系气题活更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德资命"
    "山金指许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王完设式色路记南品住告类求据程北边死张该交规万取望"
    "觉术领共确传师观清今切院让识候带导争运风花春夜月云雨江河吗呢吧啊请谢爱吃喝字语读写汉曰乃矣焉哉乎何谁"
    "這個們來為國說時會對學現當沒動還進樣開從實軍無與長機業關點將兩間問應戰頭體見產門東聲員論處義幾認條氣題別變總電數報結務場計資統"
    "區隊決馬書則聽達強難權設記類據邊該規萬術領確傳師觀讓識帶導爭運後裡裏過發於麼經種兒給話風雲嗎請謝愛寫漢語讀誰張覺許爾"
)
PUNCTUATION = frozenset("，。、；：？！“”‘’（）《》「」『』【】—…　·～")
NOT_ASCII = re.compile(rb"[\x80-\xff]")
BEGINS_AS_UTF8 = re.compile(  # a line whose first characters outside ASCII are UTF-8; few others begin so
    rb"[\x00-\x7f]*(?:[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3})+(?:[\x00-\x7f]|\Z)"
)
FOREIGN = re.compile(r"[^\x00-\x7f]+")
# A hanzi squeezed between Latin letters is the mark of an accented letter read as half a double byte.
SQUEEZED = re.compile(r"[A-Za-z][\u4e00-\u9fff](?=[\x00-\x7f])|[\x00-@[-`{-\x7f][\u4e00-\u9fff](?=[A-Za-z])")
PRINTABLE = re.compile(r"[ -~\t\r\n]")
TYPOGRAPHIC = frozenset("“”‘’„‚«»–—…€°§·")


@dataclass
class Decoding:
    """How a file was decoded: the encoding's name once known, bytes that it does not know, lines in another encoding."""

    name: str = ""
    replaced: int = 0
    replaced_at: list[int] = field(default_factory=list)  # numbers of the first lines that hold such bytes
    others: int = 0  # lines in another encoding, read as what they are
    others_at: list[int] = field(default_factory=list)  # numbers of the first of them
    lines: int = 0  # whole lines that have gone by

    def replace(self, line: int, number: int) -> None:
        """Count bytes of a line that its encoding does not know."""
        self.replaced += number
        if len(self.replaced_at) < LINES_NAMED:
            self.replaced_at.append(line)

    def differ(self, line: int) -> None:
        """Count a line in another encoding than its file."""
        self.others += 1
        if len(self.others_at) < LINES_NAMED:
            self.others_at.append(line)


def detect(sample: bytes, whole: bool = True) -> str:
    """The name of the encoding that `sample` is in; `whole` says that the text ends where the sample ends.

    >>> [detect("你好，世界".encode(codec)) for codec in ("utf-8", "gb18030", "utf-16")]
    ['utf-8', 'gb18030', 'utf-16-le']
    >>> detect("繁體中文".encode("big5")), detect("déjà vu".encode("latin-1"))
    ('big5', 'latin-1')
    """
    for mark, name in BYTE_ORDER_MARKS:
        if sample.startswith(mark):
            return name
    nul = sample.count(0)
    if sample.isascii() and not nul:
        return "ascii"
    if not nul and _is_utf8(sample, whole):
        return "utf-8"
    begin = sample[:SCORED]
    if len(begin) % 2 == 0 and (nul or len(begin) >= SHORTEST_WIDE):
        wide = {name: _wide_plausibility(_decoded(begin, name)) for name in ("utf-16-le", "utf-16-be")}
        best = max(wide, key=lambda name: wide[name])
        if wide[best] > 0.8:  # Chinese UTF-16 without mark, line end or space has not even a zero byte
            return best
    if nul:
        return "utf-8"
    sample = (_lines_not_utf8(sample) or sample)[:SCORED]
    scores = {name: plausibility(_decoded(sample, name)) for name in LEGACY}
    best = max(LEGACY, key=lambda name: scores[name])
    if scores[best] <= 0:
        guess = from_bytes(sample, cp_isolation=OTHERS).best()
        if guess is not None and plausible_foreign(str(guess)):
            return guess.encoding
    if best == "cp1252" and not any(0x80 <= byte < 0xA0 for byte in sample):
        return "latin-1"
    return best


def plausibility(text: str) -> float:
    """How much a decoded text looks like Chinese or like a European language; above 0 means that it does."""
    score = -3.0 * len(SQUEEZED.findall(text))
    for run in FOREIGN.findall(text):
        alone = len(run) <= 2
        score += sum(_character_plausibility(char, alone) for char in run)
    return score


@cache
def _character_plausibility(char: str, alone: bool) -> float:
    """The plausibility of a character outside ASCII; European ones stand alone, Chinese ones in company."""
    if char in FREQUENT:
        return 3
    if char in PUNCTUATION:
        return 2
    if "\u4e00" <= char <= "\u9fff":
        return 0.25
    if char in TYPOGRAPHIC:
        return 1 if alone else -1
    if char.isalpha() and char < "\u0250":
        return 1.5 if alone else -1.5
    if char == "\ufffd" or unicodedata.category(char) in ("Co", "Cn", "Cc", "Cs"):
        return -6
    return -1


def plausible_foreign(text: str) -> bool:
    """Whether a text outside ASCII is mostly letters: Cyrillic, Greek, kana, hangul, ..."""
    foreign = [char for char in text if char >= "\x80"]
    return sum(char.isalpha() for char in foreign) > 0.8 * len(foreign)


def _decoded(sample: bytes, name: str) -> str:
    return codecs.getincrementaldecoder(CODECS.get(name, name))("replace").decode(sample)


def _wide_plausibility(text: str) -> float:
    """The mean plausibility of a character, when printable ASCII speaks for a text as well: right for UTF-16."""
    return (plausibility(text) + 2 * len(PRINTABLE.findall(text))) / max(len(text), 1)


def _is_utf8(sample: bytes, whole: bool) -> bool:
    """Whether nearly all that is not ASCII is UTF-8: a few damaged bytes do not make a text another encoding's."""
    try:
        codecs.utf_8_decode(sample, "strict", whole)
        return True
    except UnicodeDecodeError:
        good = sum(char >= "\x80" for char in sample.decode("utf-8", "ignore"))
        return good > 10 * _undecodable(sample)


def _undecodable(block: bytes) -> int:
    """The number of bytes that are not UTF-8."""
    return len(block) - len(block.decode("utf-8", "ignore").encode())


def utf8_blocks(blocks: Iterable[bytes], decoding: Decoding, declared: str | None = None) -> Iterator[bytes]:
    """The same text as valid UTF-8, cut between characters, without byte order mark; notes go into `decoding`.

    The encoding is decided at the first byte outside ASCII, since until there all but UTF-16 agree, and then holds to
    the end, but for single lines in another one. `declared` (an HTML page's own word) is believed when it knows the
    bytes at hand, and then for every line.
    """
    blocks = iter(blocks)
    first = True
    for block in blocks:
        if block.isascii() and not (first and b"\0" in block):
            decoding.name = decoding.name or "ascii"
            decoding.lines += block.count(b"\n")
            first = False
            yield block
            continue
        foreign = NOT_ASCII.search(block)
        start = foreign.start() if foreign else 0
        if first and (start < SAMPLE // 2 or b"\0" in block[:SAMPLE]):
            start = 0
        parts = [block]
        size = len(block) - start
        while size < SAMPLE and (more := next(blocks, b"")):
            parts.append(more)
            size += len(more)
        block = b"".join(parts)
        sample, whole = block[start : start + SAMPLE], size <= SAMPLE
        believed = bool(declared) and _knows(sample, declared)
        decoding.name = declared if declared and believed else detect(sample, whole)
        yield from _transcoded(chain([block], blocks), decoding, believed)
        return


def _knows(sample: bytes, codec: str) -> bool:
    try:
        codecs.getincrementaldecoder(CODECS.get(codec, codec))("strict").decode(sample)
        return True
    except (LookupError, UnicodeError):
        return False


def _lines_not_utf8(sample: bytes) -> bytes:
    """The lines that are not UTF-8, since those that are would speak against every other encoding."""
    return b"\n".join(line for line in sample.split(b"\n") if _strictly_utf8(line) is None)


def _transcoded(blocks: Iterator[bytes], decoding: Decoding, believed: bool) -> Iterator[bytes]:
    codec = CODECS.get(decoding.name, decoding.name)
    if codec == "utf-8" or (codec in LINEWISE and not believed):
        first = True
        for block in _by_lines(blocks, decoding, codec):
            if first and block:
                block, first = block.removeprefix(codecs.BOM_UTF8), False
            if block:
                yield block
        return
    decoder = codecs.getincrementaldecoder(codec)("replace")
    first = True
    for block in chain(blocks, [b""]):
        text = decoder.decode(block, final=not block)
        if first and text:
            text, first = text.removeprefix("\ufeff"), False
        decoding.replaced += text.count("\ufffd")
        if text:
            yield text.encode("utf-8", "replace")


def _by_lines(blocks: Iterator[bytes], decoding: Decoding, codec: str) -> Iterator[bytes]:
    """UTF-8 of what is in `codec` but for some lines; blocks that are UTF-8 throughout are passed on as they are."""
    own = codecs.getincrementaldecoder(codec)("replace")
    rest = b""
    inside = False  # whether the last block ended within a line that is too long to wait for its end
    for block in chain(blocks, [b""]):
        final = not block
        block = rest + block if rest else block
        if codec == "utf-8" and not inside:
            length = len(block) if final else whole_characters(block)
            if _is_strict_utf8(block[:length]):
                rest = block[length:]
                decoding.lines += block.count(b"\n", 0, length)
                yield block[:length]
                continue
        length = len(block) if final or len(block) > LONGEST_LINE else block.rfind(b"\n") + 1
        block, rest = block[:length], block[length:]
        pieces = block.split(b"\n")
        if not inside and (final or not pieces[-1]) and (plain := _plain(block, pieces, codec)) is not None:
            decoding.lines += len(pieces) - 1
            yield plain
            continue
        texts: list[str] = []
        for at, piece in enumerate(pieces):
            ends = final or at < len(pieces) - 1
            if inside or not ends:
                texts.append(own.decode(piece, ends))
                if strange := texts[-1].count("\ufffd"):
                    decoding.replace(decoding.lines + 1, strange)
                inside = not ends and (inside or bool(piece))
            else:
                texts.append(_line(piece, codec, decoding))
            decoding.lines += at < len(pieces) - 1
        yield "\n".join(texts).encode("utf-8", "replace")


def _plain(block: bytes, lines: list[bytes], codec: str) -> bytes | None:
    """Whole lines together, if they are in a legacy encoding and none has to be looked at by itself."""
    if codec == "utf-8":
        return None
    text = block.decode(codec, "replace")
    if "\ufffd" in text:
        return None
    if any(BEGINS_AS_UTF8.match(line) and _strictly_utf8(line) is not None for line in lines):
        return None
    return text.encode("utf-8", "replace")


def _line(line: bytes, codec: str, decoding: Decoding) -> str:
    """A whole line, in `codec` or in the encoding that it is in instead."""
    if line.isascii():
        return line.decode()
    other = _legacy_instead(line) if codec == "utf-8" else _utf8_instead(line, codec)
    if other is not None:
        decoding.differ(decoding.lines + 1)
        return other
    text = line.decode(codec, "replace")
    if strange := _undecodable(line) if codec == "utf-8" else text.count("\ufffd"):
        decoding.replace(decoding.lines + 1, strange)
    return text


def _legacy_instead(line: bytes) -> str | None:
    """A line of a file of UTF-8, if it is clearly in a legacy encoding, and not UTF-8 that was damaged."""
    if _is_utf8(line, whole=True):
        return None
    best, text = plausibility(line[:SCORED].decode("utf-8", "replace")), None
    for name in LEGACY:
        try:
            tried = line.decode(CODECS.get(name, name))
        except UnicodeDecodeError:
            continue
        if (score := plausibility(tried[:SCORED])) > max(best, 0):
            best, text = score, tried
    return text


def _utf8_instead(line: bytes, codec: str) -> str | None:
    """A line of a file in a legacy encoding, if it is UTF-8: a short one may be both, and is what it looks more like."""
    text = _strictly_utf8(line)
    if text is None:
        return None
    margin = SURER if codec in DOUBLE_BYTE else 0
    better = plausibility(text[:SCORED]) - plausibility(line[:SCORED].decode(codec, "replace")) > margin
    return text if better else None


def _strictly_utf8(line: bytes) -> str | None:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return None


def whole_characters(block: bytes) -> int:
    """The length of UTF-8 text without the character that its end may cut.

    >>> whole_characters("ink 墨".encode()[:-1]), whole_characters("ink 墨".encode())
    (4, 7)
    """
    for back in range(1, min(4, len(block) + 1)):
        byte = block[-back]
        if byte >= 0xC0:
            size = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(block) - back if size > back else len(block)
        if byte < 0x80:
            break
    return len(block)


def _is_strict_utf8(block: bytes) -> bool:
    """Whether a block is UTF-8; polars tells it many times faster than decoding does."""
    try:
        pl.Series([block], dtype=pl.Binary).cast(pl.String)
        return True
    except pl.exceptions.PolarsError:
        return False
