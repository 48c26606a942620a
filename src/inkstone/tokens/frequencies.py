"""How often each character occurs, and which of them deserve a token of their own."""

import numpy as np


def character_counts(texts: list[str]) -> dict[str, int]:
    """Occurrences of each character, the most frequent first, equal ones in the order of Unicode.

    >>> character_counts(["ink", "kin", "k"])
    {'k': 3, 'i': 2, 'n': 2}
    """
    counts = np.zeros(0x110000, dtype=np.int64)
    for start in range(0, len(texts), 256):
        codes = np.frombuffer("".join(texts[start : start + 256]).encode("utf-32-le"), dtype="<u4")
        seen = np.bincount(codes)
        counts[: len(seen)] += seen
    codes = np.flatnonzero(counts)
    codes = codes[np.argsort(-counts[codes], kind="stable")]
    return {chr(code): int(counts[code]) for code in codes}


def covering_characters(counts: dict[str, int], coverage: float, most: int) -> list[str]:
    """The frequent characters outside ASCII that, with ASCII, make up `coverage` of the text; at most `most`.

    >>> covering_characters({"a": 90, "砚": 9, "墨": 1}, 0.95, 10)
    ['砚']
    """
    total = sum(counts.values())
    covered = sum(count for character, count in counts.items() if character < "\x80")
    chosen = []
    for character, count in counts.items():
        if covered >= coverage * total or len(chosen) == most:
            break
        if character >= "\x80":
            chosen.append(character)
            covered += count
    return chosen
