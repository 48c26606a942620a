"""Examples of classification: a text, or a pair of texts, with its labels."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Labelled:
    """A text, or a pair, with its labels; none where they are asked for."""

    place: str
    first: str
    second: str | None = None
    labels: tuple[str, ...] = ()
    group: str | None = None  # what it belongs to, where the file says so

    @property
    def text(self) -> str:
        """Both texts."""
        return self.first if self.second is None else f"{self.first}\n{self.second}"
