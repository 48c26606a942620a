"""A sentence as tagged data give it, before anything is said of tag schemes, and where doubts about it are written down."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from inkstone.text.reading_report import ReadingReport


class Notes(Protocol):
    """Where is written down what was understood and what is doubtful."""

    reading: ReadingReport
    columns: dict[str, str]
    notices: list[str]

    def mend(self, place: str, reason: str) -> None:
        """Count what was put right."""
        ...

    def refuse(self, place: str, reason: str) -> None:
        """Count what is left out."""
        ...


@dataclass
class TaggedSentence:
    """Words and their tags; or a text and its spans (begin, stop, label), in characters. Neither has tags where none are asked for."""

    place: str  # "file:line" of its first word
    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    text: str | None = None
    spans: list[tuple[int, int, str]] | None = None
    places: list[str] = field(default_factory=list)  # of the words, where each has a line

    def place_of(self, word: int) -> str:
        """The line of a word, or that of its sentence."""
        return self.places[word] if self.places else self.place


def again(name: Any, ids: set[str]) -> bool:
    """Whether an id was seen before."""
    if name in (None, ""):
        return False
    if str(name) in ids:
        return True
    ids.add(str(name))
    return False
