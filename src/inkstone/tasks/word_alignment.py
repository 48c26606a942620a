"""`inkstone align`: links between the words of two files that are translations of each other, line by line."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from inkstone.errors import RecipeError, TextError, nearest
from inkstone.files import write_text
from inkstone.models.alignment import WordTranslation, bitext, fit
from inkstone.models.links import SYMMETRISED, Links, pharaoh, read_pharaoh, score, symmetrise
from inkstone.progress import LiveLine
from inkstone.text.reading import read
from inkstone.text.words import words

EXAMPLES = 10  # frequent words whose translations the outcome shows


def align(
    source: str | Path,
    target: str | Path,
    out: str | Path,
    *,
    model: int = 2,
    iterations: int = 5,
    symmetrisation: str = "grow-diag-final-and",
    segment: bool = False,
    gold: str | Path | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Learn IBM Model 1 or 2 in both directions from two files, line by line translations, and write their links.

    The links of each line stand in `out` in Pharaoh format, `SOURCE-TARGET` with words counted from 0. Words are what
    blanks separate, told apart without regard to case; with `segment`, they are found by `text.words.words`, and the lines
    so segmented are written beside `out` as `OUT.source` and `OUT.target`. `gold`, a file in the same format (`0?1` for
    possible links), adds precision, recall and alignment error rate; it plays no part in the learning.

    Raises TextError when the files differ in their number of lines.
    """
    if symmetrisation not in SYMMETRISED:
        raise RecipeError(f"no symmetrisation {symmetrisation!r}; {nearest(symmetrisation, SYMMETRISED)}")
    begin = time.monotonic()
    line = LiveLine(quiet)
    left, right = lines(source), lines(target)
    if len(left) != len(right):
        raise TextError(
            f"{source} has {len(left):,} lines and {target} {len(right):,}; line by line, one must translate the other"
        )
    gold_links = None if gold is None else read_pharaoh(lines(gold), str(gold))
    if gold_links and len(gold_links[0]) != len(left):
        raise TextError(f"{gold} has {len(gold_links[0]):,} lines, the text {len(left):,}")
    cut = words if segment else str.split
    pairs = [(cut(one), cut(other)) for one, other in zip(left, right, strict=True)]
    forward, backward = both_directions(pairs, model, iterations, line)
    links = symmetrise(forward.links, backward.links, symmetrisation)
    line.clear()
    out = Path(out)
    write_text(out, "".join(pharaoh(found) + "\n" for found in links))
    if segment:
        for side, name in enumerate(("source", "target")):
            segmented = "".join(" ".join(pair[side]) + "\n" for pair in pairs)
            write_text(out.with_name(f"{out.name}.{name}"), segmented)
    facts: dict[str, Any] = {
        "out": str(out),
        "pairs": len(pairs),
        "source_words": sum(len(pair[0]) for pair in pairs),
        "target_words": sum(len(pair[1]) for pair in pairs),
        "model": model,
        "iterations": iterations,
        "symmetrisation": symmetrisation,
        "links": sum(map(len, links)),
        "forward_log_likelihood": [round(value, 3) for value in forward.model.log_likelihood],
        "backward_log_likelihood": [round(value, 3) for value in backward.model.log_likelihood],
        "examples": _examples(forward.model, pairs),
    }
    if gold_links:
        scores = score(links, *gold_links)
        facts |= {
            "precision": round(scores.precision, 4),
            "recall": round(scores.recall, 4),
            "alignment_error_rate": round(scores.error_rate, 4),
        }
    facts["seconds"] = round(time.monotonic() - begin, 3)
    return facts


@dataclass(frozen=True)
class Direction:
    """A learned model and its links, always as (source, target) of the text as given."""

    model: WordTranslation
    links: list[Links]


def both_directions(
    pairs: Sequence[tuple[Sequence[str], Sequence[str]]], model: int, iterations: int, line: LiveLine
) -> tuple[Direction, Direction]:
    """The model of target given source and the model of source given target, each with its links; case is folded."""
    text = bitext(([w.lower() for w in one], [w.lower() for w in other]) for one, other in pairs)
    directions = []
    for name, this in (("source to target", text), ("target to source", text.turned())):
        learned = fit(this, model, iterations, lambda words, name=name: line.show(f"{name} · {words}"))
        links = [_links(found[:, ::-1] if this is not text else found) for found in learned.links(this)]
        directions.append(Direction(learned, links))
    return directions[0], directions[1]


def _links(found: np.ndarray) -> Links:
    return set(map(tuple, found.tolist()))


def lines(path: str | Path) -> list[str]:
    """The lines of a text file, packed or not, in any encoding that is read."""
    text: str = "".join(text for frame in read([path]) for text in frame["text"].to_list())
    found = str(text).split("\n")
    return found[:-1] if found[-1] == "" else found


def _examples(model: WordTranslation, pairs: Sequence[tuple[Sequence[str], Sequence[str]]]) -> dict[str, list[Any]]:
    """Frequent words of at least four letters, or two Chinese characters, with their likeliest translations."""
    counts: dict[str, int] = {}
    for one, _ in pairs:
        for word in one:
            word = word.lower()
            if word.isalpha() and len(word) >= (4 if word.isascii() else 2):
                counts[word] = counts.get(word, 0) + 1
    frequent = sorted(counts, key=lambda word: (-counts[word], word))[:EXAMPLES]
    return {word: [[to, round(chance, 3)] for to, chance in model.translations(word, 3)] for word in frequent}
