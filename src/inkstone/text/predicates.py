"""Sentences with their predicates, and of each predicate the spans that play a role: who did what to whom, when and where."""

from dataclasses import dataclass, field
from typing import NamedTuple

VERB = "V"  # the label of the predicate itself among the spans of its roles

# What a role mostly answers, whatever the predicate. Beyond ARG2 the numbers mean what the predicate's own frame says.
CORE_QUESTIONS = {
    f"{name}{n}": told for name in ("ARG", "A") for n, told in enumerate(("who", "what", "to whom or what"))
}
MODIFIER_QUESTIONS = {
    "TMP": "when", "LOC": "where", "MNR": "how", "CAU": "why", "PRP": "what for", "DIR": "which way", "EXT": "how much",
    "GOL": "for whom or whereto", "COM": "with whom", "NEG": "not", "MOD": "may, must, will", "ADV": "circumstances",
    "DIS": "in connection", "PRD": "as what", "REC": "each other",
}  # fmt: skip


class Role(NamedTuple):
    """From `start` up to, not including, `stop`, with the name of the role, such as ARG0."""

    start: int
    stop: int
    label: str


def question_of(role: str) -> str:
    """What a role of PropBank answers; "" where that cannot be said without the predicate's frame, and of other roles.

    >>> [question_of(role) for role in ("ARG0", "A1", "ARGM-TMP", "AM-LOC", "R-ARG0", "ARG4", "TOPIC1")]
    ['who', 'what', 'when', 'where', 'who', '', '']
    """
    kind, _, rest = role.removeprefix("R-").removeprefix("C-").partition("-")
    return MODIFIER_QUESTIONS.get(rest, "") if kind in ("ARGM", "AM") else CORE_QUESTIONS.get(kind, "")


@dataclass(frozen=True)
class Predicate:
    """Its words and its roles. Places count words or, in a text that is not cut yet, characters."""

    start: int
    stop: int
    roles: tuple[Role, ...] = ()
    sense: str | None = None  # such as come.03


@dataclass
class RoleSentence:
    """Words with predicates over them; or a text, with predicates and roles in characters."""

    place: str  # "file:line" of its first word
    words: list[str] = field(default_factory=list)
    predicates: list[Predicate] = field(default_factory=list)
    text: str | None = None
