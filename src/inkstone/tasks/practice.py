"""Practice in keeping placeholders: pairs in which one stands at the same place of both sides.

Parallel text of the kind that is at hand has few of them, and a token that was never seen is never written. So of a share of the
pairs a copy is learned from in which a word that both sides have, a name mostly, is a placeholder; where there is none, one stands
at the beginning or at the end. What stands in the placeholder does not matter: the model sees a token (`translation_text.py`).
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import regex

from inkstone.tasks.parallel_pairs import Translated
from inkstone.text.language_codes import WITHOUT_BLANKS
from inkstone.text.placeholders import MOST, placeholders

_NAME = regex.compile(r"(?<![\p{L}\p{N}_])[\p{L}\p{N}]{3,}(?![\p{L}\p{N}_])")
_END = regex.compile(r"[\p{P}\s]*$")


def practised(pairs: Sequence[Translated], share: float, generator: np.random.Generator) -> list[Translated]:
    """Copies of a random `share` of the pairs with a placeholder, or several, in both sides."""
    fitting = [pair for pair in pairs if not placeholders(pair.source) and not placeholders(pair.targets[0])]
    number = min(len(fitting), round(share * len(pairs)))
    chosen = generator.choice(len(fitting), size=number, replace=False) if number else []
    return [_with_placeholders(fitting[row], generator) for row in np.sort(chosen)]


def _with_placeholders(pair: Translated, generator: np.random.Generator) -> Translated:
    source, target = pair.source, pair.targets[0]
    names = [name for name in dict.fromkeys(_NAME.findall(source)) if source.count(name) == target.count(name) == 1]
    marks = iter(f"{{{letter}}}" for letter in generator.permutation(list("abcdefgh")))  # MOST different ones
    for name in names[: MOST - 1]:
        mark = next(marks)
        source, target = source.replace(name, mark), target.replace(name, mark)
    if not names or generator.random() < 0.5:
        at_end, mark = bool(generator.integers(2)), next(marks)
        source = _put(source, mark, at_end, pair.language)
        target = _put(target, mark, at_end, pair.to)
    return replace(pair, source=source, targets=(target,))


def _put(text: str, mark: str, at_end: bool, language: str | None) -> str:
    """A mark before the text, or after its last word."""
    blank = "" if language in WITHOUT_BLANKS else " "
    if not at_end:
        return f"{mark}{blank}{text}"
    end = _END.search(text)
    at = end.start() if end else len(text)
    return f"{text[:at]}{blank}{mark}{text[at:]}"
