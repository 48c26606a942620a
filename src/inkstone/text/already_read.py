"""Documents that a model has read before, told among those that it is given now.

A document is one of them where it is the same, character for character. Of a run that kept the end of each long document aside for
scoring, documents are known by their beginnings: what goes on after the beginning and the end that the run has is new text.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache

import polars as pl

REASON = "read before"
BEGINNING = 32  # characters by which documents are looked up
LEAST_HEAD = 1_000  # bytes; shorter documents are not cut (`split.LONG_DOCUMENT`)
KEPT = 1_000  # documents whose text is at hand, of those that begin alike
LEAST_REST = 200  # characters after a known document that are worth a document of their own


class AlreadyRead:
    """The documents of a run by their number: how many bytes each has, and what it says.

    `beginning` gives the first `BEGINNING` characters or more of each, where long ones may have been cut in two, the beginning and
    the end numbered apart. The counts `documents` and `bytes` are of what was found.
    """

    def __init__(self, sizes: Sequence[int], text: Callable[[int], str], beginning: Callable[[int], str] | None = None):
        self.text = lru_cache(maxsize=KEPT)(text)
        self.documents = self.bytes = 0
        self._digests: dict[int, set[bytes]] = {}  # of all documents of a size, once one of that size was asked about
        self._by_size: defaultdict[int, list[int]] = defaultdict(list)
        self._by_beginning: defaultdict[str, list[int]] = defaultdict(list)
        for number, size in enumerate(sizes):
            self._by_size[int(size)].append(number)
            if beginning is not None:
                self._by_beginning[beginning(number)[:BEGINNING]].append(number)

    def mark(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The frame (`document.SCHEMA`) in which those that were read before are dropped, with the reason."""
        texts, reasons = frame["text"].to_list(), frame["dropped"].to_list()
        for row, text in enumerate(texts):
            if reasons[row] is not None or text is None:
                continue
            rest = self.unread(text)
            if rest == text:
                continue
            self.documents += 1
            self.bytes += len(text.encode("utf-8", "replace")) - len(rest.encode("utf-8", "replace"))
            if rest:
                texts[row] = rest
            else:
                reasons[row] = REASON
        return frame.with_columns(pl.Series("text", texts, pl.String), pl.Series("dropped", reasons, pl.String))

    def unread(self, text: str) -> str:
        """What of a document is new: all of it, what follows what was read, or nothing."""
        size = len(text.encode("utf-8", "replace"))
        if _digest(text) in self._digests_of(size):
            return ""
        head = self._longest_at_the_beginning(text)
        if head is None or len(head.encode("utf-8", "replace")) < LEAST_HEAD:
            return text
        rest = text[len(head) :].lstrip("\n")
        tail = self._longest_at_the_beginning(rest)
        if tail is None:  # maybe its end was kept aside, but does not stand here as it did
            return "" if len(head) * 2 >= len(text) else text
        rest = rest[len(tail) :].lstrip("\n")
        return rest if len(rest) >= LEAST_REST else ""

    def _digests_of(self, size: int) -> set[bytes]:
        if size not in self._digests:
            self._digests[size] = {_digest(self.text(number)) for number in self._by_size.get(size, ())}
        return self._digests[size]

    def _longest_at_the_beginning(self, text: str) -> str | None:
        known = (self.text(number) for number in self._by_beginning.get(text[:BEGINNING], ()))
        return max((each for each in known if text.startswith(each)), key=len, default=None)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
