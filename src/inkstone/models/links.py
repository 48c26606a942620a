"""Sets of links between the words of two sentences: both directions made one, error rate, Pharaoh format.

A link is a pair (i, j): word i of the source and word j of the target, both counted from 0.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from inkstone.errors import RecipeError, TextError, nearest

Links = set[tuple[int, int]]
_AROUND = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


def grow_diag_final_and(forward: Links, backward: Links) -> Links:
    """Both directions made one (Koehn, Och and Marcu 2003; Koehn et al. 2005).

    It begins with the links that both have; grows, again and again, by links of either that touch one (diagonally too)
    and give a word its first link; and ends with links of either whose words have none, neither the one nor the other.
    """
    union = forward | backward
    links = forward & backward
    rows, columns = {i for i, _ in links}, {j for _, j in links}

    def add(link: tuple[int, int]) -> None:
        links.add(link)
        rows.add(link[0])
        columns.add(link[1])

    growing = True
    while growing:
        growing = False
        for i, j in sorted(links):
            for down, right in _AROUND:
                link = i + down, j + right
                if link in union and link not in links and (link[0] not in rows or link[1] not in columns):
                    add(link)
                    growing = True
    for direction in (forward, backward):
        for link in sorted(direction):
            if link[0] not in rows and link[1] not in columns:
                add(link)
    return links


SYMMETRISED: dict[str, Callable[[Links, Links], Links]] = {
    "grow-diag-final-and": grow_diag_final_and,
    "intersection": lambda forward, backward: forward & backward,
    "union": lambda forward, backward: forward | backward,
    "forward": lambda forward, backward: forward,
    "backward": lambda forward, backward: backward,
}


def symmetrise(forward: Sequence[Links], backward: Sequence[Links], how: str = "grow-diag-final-and") -> list[Links]:
    """The links of each sentence pair from both directions, all as (source, target)."""
    if how not in SYMMETRISED:
        raise RecipeError(f"no way {how!r} to make two directions one; {nearest(how, SYMMETRISED)}")
    return [SYMMETRISED[how](one, other) for one, other in zip(forward, backward, strict=True)]


@dataclass(frozen=True)
class LinkScores:
    """How links compare with those of people."""

    precision: float  # share of the links that are possible
    recall: float  # share of the sure links that were found
    error_rate: float  # of alignment: 1 − (|A ∩ S| + |A ∩ P|) / (|A| + |S|)
    links: int
    gold: int


def score(links: Iterable[Links], sure: Iterable[Links], possible: Iterable[Links] | None = None) -> LinkScores:
    """Precision, recall and alignment error rate over all sentences (Och and Ney 2003). Sure links are possible ones too."""
    sure = list(sure)
    possible = sure if possible is None else [s | p for s, p in zip(sure, possible, strict=True)]
    found = found_sure = found_possible = gold = 0
    for ours, certain, allowed in zip(links, sure, possible, strict=True):
        found += len(ours)
        gold += len(certain)
        found_sure += len(ours & certain)
        found_possible += len(ours & allowed)
    return LinkScores(
        precision=found_possible / max(found, 1),
        recall=found_sure / max(gold, 1),
        error_rate=1 - (found_sure + found_possible) / max(found + gold, 1),
        links=found,
        gold=gold,
    )


def pharaoh(links: Links) -> str:
    """The links of one sentence pair in Pharaoh format.

    >>> pharaoh({(1, 2), (0, 0)})
    '0-0 1-2'
    """
    return " ".join(f"{i}-{j}" for i, j in sorted(links))


def read_pharaoh(lines: Iterable[str], source: str = "memory") -> tuple[list[Links], list[Links]]:
    """The sure links (`0-1`) and all possible ones (`0-1` and `0?1`) of each line.

    Raises TextError that names the line where something else stands.
    """
    sure: list[Links] = []
    possible: list[Links] = []
    for number, line in enumerate(lines, start=1):
        certain: Links = set()
        allowed: Links = set()
        for item in line.split():
            i, mark, j = item.partition("?" if "?" in item else "-")
            if not (mark and i.isdecimal() and j.isdecimal()):
                raise TextError(f"{source}:{number}: {item!r} is no link; links are written 0-1, possible ones 0?1")
            allowed.add((int(i), int(j)))
            if mark == "-":
                certain.add((int(i), int(j)))
        sure.append(certain)
        possible.append(allowed)
    return sure, possible
