"""A text on its way to a translation and back: sentence by sentence, with its line breaks and placeholders.

Lines stay lines. In a line each sentence is translated by itself, as the pairs that were learned from mostly are sentences; a
blank stands between two translations where the language has blanks. In a sentence a placeholder (`text/placeholders.py`) is
read as a token, <ph1>, <ph2>, ..., and put back where the model writes that token. What holds no word is left as it is.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from inkstone.text.language_codes import WITHOUT_BLANKS
from inkstone.text.placeholders import MOST, Masked, has_words, masked, placeholders
from inkstone.text.words import sentences
from inkstone.tokens.tokenizer import Tokenizer

_MASK = re.compile(r"<ph(\d+)>")
MASKS = tuple(f"<ph{number}>" for number in range(1, MOST + 1))


def target_token(language: str) -> str:
    """The token before a source that says into which language."""
    return f"<2{language}>"


@dataclass(frozen=True)
class Piece:
    """A stretch of a text: one that is translated, or that stays as it is."""

    parts: Masked
    kept: tuple[str, ...] = ()  # the placeholders, by their numbers in `parts`
    asked: bool = True

    @property
    def text(self) -> str:
        """As it stands in the source."""
        return "".join(part if isinstance(part, str) else self.kept[part] for part in self.parts)


def piece_of(text: str, masks: bool) -> Piece:
    """A sentence with its placeholders, or without regard to them."""
    kept = tuple(dict.fromkeys(placeholders(text)))[:MOST] if masks else ()
    parts = masked(text, kept)
    return Piece(parts, kept, has_words(parts))


def pieces_of(text: str, language: str | None, masks: bool, together: int = 0) -> list[list[Piece]]:
    """The pieces of each line of a text: its sentences, and the blanks before and after them, which are not asked about.

    Sentences are put `together` as long as they have no more characters than this.
    """
    return [_pieces_of_line(line, language, masks, together) for line in text.split("\n")]


def _pieces_of_line(line: str, language: str | None, masks: bool, together: int) -> list[Piece]:
    inner = line.strip()
    if not inner:
        return [Piece([line], asked=False)] if line else []
    blank = "" if language in WITHOUT_BLANKS else " "
    found: list[str] = []
    for sentence in sentences(inner, language) or [inner]:
        if found and len(found[-1]) + len(blank) + len(sentence) <= together:
            found[-1] += blank + sentence
        else:
            found.append(sentence)
    before, after = line[: line.index(inner)], line[line.index(inner) + len(inner) :]
    outer = [[Piece([blank], asked=False)] if blank else [] for blank in (before, after)]
    return [*outer[0], *(piece_of(each, masks) for each in found), *outer[1]]


def put_together(lines: Sequence[Sequence[Piece]], written: Sequence[str], to: str | None) -> str:
    """The text with `written` in place of the pieces that were asked about, in their order."""
    answers = iter(written)
    between = "" if to in WITHOUT_BLANKS else " "
    told = []
    for line in lines:
        text = ""
        for piece in line:
            own = next(answers) if piece.asked else piece.text
            blank = not own.strip() or not text.strip()
            text += own if blank else between + own
        told.append(text)
    return "\n".join(told)


def ids_of(pieces: Sequence[Piece], tokenizer: Tokenizer) -> list[Int[np.ndarray, " t"]]:
    """The tokens of pieces, placeholders as tokens of their own."""
    masks = mask_ids(tokenizer)
    encoded = iter(tokenizer.encode_batch([part for piece in pieces for part in piece.parts if isinstance(part, str)]))
    found = []
    for piece in pieces:
        parts = [next(encoded) if isinstance(part, str) else np.array([masks[part]]) for part in piece.parts]
        found.append(np.concatenate([*parts, np.array([], dtype=np.int64)]).astype(np.int64))
    return found


def mask_ids(tokenizer: Tokenizer) -> list[int]:
    """The ids of `MASKS`; none where the tokenizer does not have them."""
    found = [tokenizer.backend.token_to_id(mask) for mask in MASKS]
    return [number for number in found if number is not None]


def text_of(ids: Sequence[int], tokenizer: Tokenizer) -> str:
    """What was written, the tokens of placeholders by their names."""
    masks = dict(zip(mask_ids(tokenizer), MASKS, strict=False))
    text, run = "", []
    for number in ids:
        if number in masks:
            text, run = text + tokenizer.decode(run) + masks[number], []
        else:
            run.append(number)
    return (text + tokenizer.decode(run)).strip()


def restored(written: str, kept: Sequence[str]) -> tuple[str, list[str]]:
    """What was written with the placeholders in place of their tokens, and those that are missing.

    A token that stands for nothing is taken out.
    """
    numbers = [int(match[1]) - 1 for match in _MASK.finditer(written)]
    text = _MASK.sub(lambda match: kept[int(match[1]) - 1] if int(match[1]) <= len(kept) else "", written)
    return text, [each for number, each in enumerate(kept) if number not in numbers]


def lost(source: Sequence[int], written: Sequence[int], masks: Sequence[int]) -> int:
    """How many tokens of placeholders the source has and what was written has not, or the other way around."""
    first, second = (Counter(number for number in ids if number in masks) for ids in (source, written))
    return ((first - second) + (second - first)).total()
