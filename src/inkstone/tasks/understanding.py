"""What was understood of a file of examples: columns, labels, languages, lengths, and every row that is doubtful.

A row that can be read in one way only is mended and counted; one that cannot is left out and counted. Both are named by
file and line, so that nothing is dropped in silence.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from inkstone.errors import TextError
from inkstone.text.characters import count_kinds
from inkstone.text.language import identify
from inkstone.text.reading_report import ReadingReport, encoding_notes, first_of

EXAMPLES_OF_A_FAULT = 5
LARGEST_SHARE_REFUSED = 0.5
LANGUAGE_SAMPLE = 2000  # texts whose language is looked at
LABELS_SHOWN = 8
LANGUAGES_SHOWN = 3
SMALLEST_SHARE_SHOWN = 0.05  # of a language; what is rarer is mostly a short text that was taken for another language


@dataclass
class Understanding:
    """Grows while a part of the data is read."""

    part: str  # "train", "dev" or "test"
    sources: list[str]
    columns: dict[str, str] = field(default_factory=dict)  # what it is for → its name in the file
    examples: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    characters: list[int] = field(default_factory=list)  # of each text
    mended: dict[str, list[str]] = field(default_factory=dict)  # what is doubtful, and how it is read → places
    refused: dict[str, list[str]] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    reading: ReadingReport = field(default_factory=ReadingReport)

    def mend(self, place: str, reason: str) -> None:
        """Count a row that was put right, or that is kept though it is doubtful."""
        self.mended.setdefault(reason, []).append(place)

    def refuse(self, place: str, reason: str) -> None:
        """Count a row that is left out."""
        self.refused.setdefault(reason, []).append(place)

    def look_at(self, texts: Sequence[str]) -> None:
        """Count lengths and languages."""
        self.characters = [len(text) for text in texts]
        sample = list(texts[:: max(1, len(texts) // LANGUAGE_SAMPLE)])[:LANGUAGE_SAMPLE]
        self.languages = Counter(languages_of(sample))

    def notice_cut(self, places: Sequence[str], context: int) -> str | None:
        """Take note of the examples at these places, which are longer than a context of so many tokens; what is said of them."""
        if not places:
            return None
        many = f"{len(places):,} examples are" if len(places) > 1 else "1 example is"
        notice = f"{many} longer than the context of {context:,} tokens and cut ({first_of(places, len(places))})"
        self.notices.append(notice)
        return notice

    def close(self, examples: int) -> None:
        """Take note of what came of it. Raises TextError where nothing did, or where most rows had to be left out."""
        self.examples = examples
        refused = sum(map(len, self.refused.values())) + self.reading.malformed
        if not examples or refused > LARGEST_SHARE_REFUSED * (examples + refused):
            raise TextError(
                f"{', '.join(self.sources)}: {examples:,} examples, and {refused:,} rows that cannot be used"
                + (f": {'; '.join(self.faults())}" if refused else "")
            )

    def faults(self) -> list[str]:
        """Each reason for which rows were left out or put right, with the first places."""
        told = []
        for verb, found in (("left out", self.refused), ("doubtful", self.mended)):
            for reason, places in found.items():
                rows = "row" if len(places) == 1 else "rows"
                told.append(f"{len(places):,} {rows} {verb}: {reason} ({first_of(places, len(places))})")
        if self.reading.malformed:
            told.append(f"{self.reading.malformed:,} malformed: {self.reading.reasons()}")
        return told + self._encodings()

    def _encodings(self) -> list[str]:
        """Lines in another encoding than their file, and bytes that no encoding knows, with the first places."""
        return encoding_notes(**self.reading.encoding_faults())

    def lines(self) -> list[str]:
        """What a person is told."""
        columns = ", ".join(f"{name!r} is the {role}" for role, name in self.columns.items())
        told = [f"{self.part}  {self.examples:,} examples" + (f"; {columns}" if columns else "")]
        if self.labels:
            total = sum(self.labels.values())
            shown = ", ".join(f"{label} {count / total:.0%}" for label, count in self.labels.most_common(LABELS_SHOWN))
            more = f", and {len(self.labels) - LABELS_SHOWN} more" if len(self.labels) > LABELS_SHOWN else ""
            told.append(f"{self.part}  {len(self.labels)} labels: {shown}{more}")
        if self.characters:
            middle, long, longest = np.quantile(self.characters, [0.5, 0.95, 1.0]).round().astype(int)
            first, *others = [
                (name, count / self.languages.total()) for name, count in self.languages.most_common(LANGUAGES_SHOWN)
            ]
            shown = [first, *((name, share) for name, share in others if share >= SMALLEST_SHARE_SHOWN)]
            spoken = ", ".join(f"{name} {share:.0%}" for name, share in shown)
            told.append(
                f"{self.part}  median length {middle:,} characters, 95 % below {long:,}, longest {longest:,}; {spoken}"
            )
        return told + [f"{self.part}  {fault}" for fault in [*self.faults(), *self.notices]]

    def to_dict(self) -> dict[str, Any]:
        """As facts of the run; of each fault the number and the first places."""
        return {
            "sources": self.sources,
            "columns": self.columns,
            "examples": self.examples,
            "labels": dict(self.labels.most_common()),
            "languages": dict(self.languages.most_common()),
            "characters": np.quantile(self.characters, [0, 0.5, 0.95, 1]).tolist() if self.characters else [],
            "mended": {reason: [len(places), *places[:EXAMPLES_OF_A_FAULT]] for reason, places in self.mended.items()},
            "refused": {
                reason: [len(places), *places[:EXAMPLES_OF_A_FAULT]] for reason, places in self.refused.items()
            },
            "malformed": self.reading.malformed,
            "encodings": self._encodings(),
            "notices": self.notices,
        }


def languages_of(texts: Iterable[str]) -> list[str]:
    """The ISO 639-1 code of each text, "und" where no letter stands."""
    frame = pl.DataFrame({"text": list(texts)}, schema={"text": pl.String}).with_columns(
        language=pl.lit(None, pl.String), dropped=pl.lit(None, pl.String)
    )
    return identify(frame, count_kinds(frame["text"]))["language"].to_list() if len(frame) else []
