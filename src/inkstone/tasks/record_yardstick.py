"""Records without training by gradient: that of the most similar text, or the values of the training part that stand in the text.

    p(v belongs to a path | v stands in the text)  ≈  texts with v whose record has it there / texts with v

A field takes the value with the highest share, where that is at least a half, else the most frequent value, where that is; a list
takes all such values.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import regex

from inkstone.evaluation.field_scores import EACH, normalised
from inkstone.text.bm25 import BM25, best
from inkstone.text.record_schema import schema_of

WORD = regex.compile(r"\p{Han}|[\p{L}\p{M}\p{N}--\p{Han}]+|[^\s\p{L}\p{M}\p{N}]", regex.V1)
LONGEST_VALUE = 12  # words
LEAST_SHARE = 0.5

Path = tuple[str, ...]
Words = tuple[str, ...]


class MostSimilar:
    """The record of the training text that BM25 finds most similar."""

    name = "the record of the most similar text"

    def __init__(self, texts: Sequence[str], records: Sequence[Any]):
        self.index, self.records = BM25.of(texts), records

    def record(self, text: str) -> Any:
        """That record; the first one where no word is known."""
        found = best(self.index.scores(text), 1)
        return self.records[found[0] if found else 0]


class KnownValues:
    """Values of training records that stand in the text."""

    name = "known values found in the text"

    def __init__(self, texts: Sequence[str], records: Sequence[Any]):
        self.schema = schema_of(records)
        self.values: dict[Path, Counter[str]] = defaultdict(Counter)  # in normal form, at each path
        self.original: dict[Words, dict[Path, Any]] = defaultdict(dict)
        self.here: Counter[tuple[Words, Path]] = Counter()
        leaves = [_leaves(record) for record in records]
        for own in leaves:
            for path, value in own:
                self.values[path][repr(value)] += 1
                self.original[words_of(str(normalised(value)))].setdefault(path, value)
        self.known = {path: {repr(v): v for own in leaves for p, v in own if p == path} for path in self.values}
        self.times: Counter[Words] = Counter()
        self.records = len(records)
        for text, own in zip(texts, leaves, strict=True):
            found = set(self._standing_in(text))
            self.times.update(found)
            mine = {(words_of(str(normalised(value))), path) for path, value in own}
            self.here.update((words, path) for words, path in mine if words in found)

    def record(self, text: str) -> Any:
        """The record that these values make."""
        found = list(dict.fromkeys(self._standing_in(text)))
        return self._built(self.schema, (), found)

    def _standing_in(self, text: str) -> list[Words]:
        words = words_of(str(normalised(text)))
        stretches = (
            words[at : at + size]
            for at in range(len(words))
            for size in range(min(LONGEST_VALUE, len(words) - at), 0, -1)
        )
        return [stretch for stretch in stretches if stretch in self.original]

    def _likely(self, path: Path, found: Sequence[Words]) -> list[tuple[float, Words]]:
        shares = [(self.here[words, path] / self.times[words], words) for words in found if self.times[words]]
        return [(share, words) for share, words in shares if share >= LEAST_SHARE]

    def _built(self, schema: Any, path: Path, found: Sequence[Words]) -> Any:
        """None where nothing is to be told."""
        if schema.get("type") == "object":
            parts = {name: self._built(part, (*path, name), found) for name, part in schema["properties"].items()}
            return {name: part for name, part in parts.items() if part is not None}
        if schema.get("type") == "array":
            own = (*path, EACH)
            return [self.original[words][own] for _, words in self._likely(own, found) if own in self.original[words]]
        likely = [(share, words) for share, words in self._likely(path, found) if path in self.original[words]]
        if likely:
            return self.original[max(likely, key=lambda each: each[0])[1]][path]
        counts = self.values.get(path)
        if not counts or counts.most_common(1)[0][1] < LEAST_SHARE * self.records:
            return None
        return self.known[path][counts.most_common(1)[0][0]]


def words_of(text: str) -> Words:
    """Words, Han characters and signs, one by one."""
    return tuple(WORD.findall(text))


def _leaves(record: Any, path: Path = ()) -> list[tuple[Path, Any]]:
    if isinstance(record, dict):
        return [leaf for name, part in record.items() for leaf in _leaves(part, (*path, name))]
    if isinstance(record, list):
        return [leaf for item in record for leaf in _leaves(item, (*path, EACH))]
    return [] if record is None else [(path, record)]
