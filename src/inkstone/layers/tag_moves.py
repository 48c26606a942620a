"""Which tag may follow which: what a chain of tags obeys, whether its scores come from a CRF or from each word by itself.

    BIO      I-X only after B-X or I-X
    BIOES    after B-X and I-X only I-X and E-X, which stand nowhere else; the last tag is none of B-X and I-X
    B M E S  characters of words, without labels: the same, with M for I

Which of them it is, the tags tell. Without a CRF the moves that may be all score 0: the best chain is then the best of those
that hold (Viterbi under constraints).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from inkstone.layers.crf import FORBIDDEN, Transitions, log_partition, path_score, viterbi

LETTERS = {"M": "I", "L": "E", "U": "S"}  # other names of the same


class Moves(NamedTuple):
    """What may be: which tags come first, which follow which (row: before, column: after), which come last."""

    first: Bool[Tensor, " k"]
    follow: Bool[Tensor, "k k"]
    last: Bool[Tensor, " k"]


def tag_moves(tags: Sequence[str]) -> Moves | None:
    """What the scheme of these tags allows; None where they are of no scheme, as parts of speech.

    >>> moves = tag_moves(["B", "M", "E", "S"])
    >>> moves.first.tolist(), moves.last.tolist()
    ([True, False, False, True], [False, False, True, True])
    >>> moves.follow[1].tolist()  # after M
    [False, True, True, False]
    >>> tag_moves(["NOUN", "VERB"]) is None
    True
    """
    parts = [_parts(tag) for tag in tags]
    if not parts or any(part is None for part in parts) or all(tag == "O" for tag in tags):
        return None
    read = [part for part in parts if part is not None]
    closed = any(letter in "ES" for letter, _ in read)  # whether a span is ended by a tag of its own
    goes_on = [letter in ("IE" if closed else "I") for letter, _ in read]
    is_open = [closed and letter in "BI" for letter, _ in read]

    def allowed(before: int, after: int) -> bool:
        (letter, label), (_, other) = read[before], read[after]
        if goes_on[after]:
            return letter in "BI" and label == other
        return not is_open[before]

    follow = [[allowed(before, after) for after in range(len(read))] for before in range(len(read))]
    return Moves(
        torch.tensor([not inside for inside in goes_on]),
        torch.tensor(follow),
        torch.tensor([not inside for inside in is_open]),
    )


def _parts(tag: str) -> tuple[str, str] | None:
    """Letter and label; None for what is no tag of a scheme."""
    letter, dash, label = tag.partition("-")
    if len(letter) != 1 or letter not in "OBIESMLU" or bool(dash) != bool(label) or (letter == "O" and dash):
        return None
    return LETTERS.get(letter, letter), label


def free_chain(moves: Moves) -> Transitions:
    """A chain in which all that is allowed scores alike."""
    first, follow, last = (torch.zeros(allowed.shape).masked_fill(~allowed, FORBIDDEN) for allowed in moves)
    return Transitions(first, follow, last)


def best_chain(
    emissions: Float[Tensor, "b t k"], chain: Transitions | None, lengths: Int[Tensor, " b"]
) -> tuple[Int[Tensor, "b t"], Float[Tensor, " b"]]:
    """The likeliest tags of every row, and the logarithm of how likely they are as a whole; 0 after the end of a row.

    Without a chain, each word has the tag that it scores best, by itself.
    """
    if chain is not None:
        tags, _ = viterbi(emissions, chain, lengths)
        return tags, path_score(emissions, chain, lengths, tags) - log_partition(emissions, chain, lengths)
    best, tags = emissions.log_softmax(-1).max(-1)
    inside = torch.arange(tags.shape[1], device=tags.device) < lengths[:, None]
    return torch.where(inside, tags, 0), torch.where(inside, best, 0).sum(1)


def best_bio(scores: Float[Tensor, "b n k"], labels: Sequence[str], lengths: Int[Tensor, " b"]) -> Int[Tensor, "b n"]:
    """The tags of the highest sum in every row among those that hold in BIO; 0 after its end.

    Viterbi in k steps a word in place of k²: I-X follows B-X or I-X, and whatever else follows the best of all tags.
    """
    number = {tag: at for at, tag in enumerate(labels)}
    own = torch.arange(len(labels), device=scores.device)
    begin = torch.tensor([number[f"B{tag[1:]}"] if tag[0] == "I" else at for at, tag in enumerate(labels)]).to(own)
    inside = begin != own
    best, before = scores[:, 0].masked_fill(inside, FORBIDDEN), []
    for at in range(1, scores.shape[1]):
        top, any_tag = best.max(dim=1, keepdim=True)
        from_begin = best[:, begin]
        goes_on = torch.maximum(from_begin, best)
        choice = torch.where(inside, torch.where(from_begin >= best, begin, own), any_tag)
        before.append(choice)
        moved = torch.where(inside, goes_on, top) + scores[:, at]
        best = torch.where((at < lengths)[:, None], moved, best)
    tag = best.argmax(dim=1)
    tags = torch.zeros(scores.shape[:2], dtype=torch.int64, device=scores.device)
    for at in range(scores.shape[1] - 1, -1, -1):
        tags[:, at] = torch.where(at < lengths, tag, 0)
        if at:
            tag = torch.where(at < lengths, before[at - 1].gather(1, tag[:, None])[:, 0], tag)
    return tags
