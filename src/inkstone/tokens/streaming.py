"""Text from tokens one by one: no character is given out before all of its bytes are there."""

import codecs
from collections.abc import Callable, Sequence
from typing import Protocol


class TextStream(Protocol):
    """Takes ids one by one and gives text as soon as it is certain."""

    def push(self, number: int) -> str:
        """The text that has become whole with this id; often empty inside Chinese or emoji."""
        ...

    def finish(self) -> str:
        """What was still waiting; an unfinished character becomes U+FFFD."""
        ...


class ByteStream:
    """For tokenizers that spell each token in bytes: an incremental UTF-8 decoder over them."""

    def __init__(self, spelling: Sequence[bytes], skipped: frozenset[int] = frozenset()):
        self.spelling = spelling
        self.skipped = skipped
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, number: int) -> str:
        """The text that has become whole with this id."""
        return "" if number in self.skipped else self.decoder.decode(self.spelling[number])

    def finish(self) -> str:
        """What was still waiting; an unfinished character becomes U+FFFD."""
        return self.decoder.decode(b"", final=True)


class WindowStream:
    """For any other tokenizer: decodes a short window twice, without and with the new ids.

    The difference is what is new. It is held back while it ends in U+FFFD, which a later byte may still mend, but
    never for more than four ids: no UTF-8 character has more bytes, so then the bytes were no character at all.
    """

    def __init__(self, decode: Callable[[list[int]], str], skipped: frozenset[int] = frozenset()):
        self.decode = decode
        self.skipped = skipped
        self.given: list[int] = []  # the last ids whose text is out: what follows depends on them
        self.waiting: list[int] = []

    def push(self, number: int) -> str:
        """The text that has become whole with this id."""
        if number in self.skipped:
            return ""
        self.waiting.append(number)
        new = self._new_text()
        if new.endswith("�") and len(self.waiting) <= 4:
            return ""
        return self._give(new)

    def finish(self) -> str:
        """What was still waiting."""
        return self._give(self._new_text()) if self.waiting else ""

    def _new_text(self) -> str:
        before = self.decode(self.given) if self.given else ""
        return self.decode(self.given + self.waiting)[len(before) :]

    def _give(self, text: str) -> str:
        self.given = (self.given + self.waiting)[-8:]
        self.waiting = []
        return text
