"""Answers of a tagger as CoNLL-U: the tags in the column that they were learned from, spans as NER=B-LABEL in MISC."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from inkstone.errors import RunError
from inkstone.text.conllu import Sentence, Word

TAGGED = ("upos", "xpos", "feats", "lemma", "deprel")


def conllu_of(answers: Sequence[dict[str, Any]], column: str | int | None = None) -> str:
    """The file's text; `column` is the task's `tag_column`, of which UPOS is the default.

    Words that stand in a text, with no blank after them, carry SpaceAfter=No. Raises RunError for answers of other tasks.
    """
    return "".join(_sentence(answer, column, number).text() for number, answer in enumerate(answers, 1))


def _sentence(answer: dict[str, Any], column: str | int | None, number: int) -> Sentence:
    forms = answer.get("tokens", answer.get("words"))
    if forms is None or "predicates" in answer:  # roles have no column there
        raise RunError(
            "these answers hold no tags of words, so that they cannot be written as CoNLL-U; name a file that ends in .jsonl"
        )
    chosen = column if column in TAGGED else "upos"
    glued = [False] * len(forms)
    if offsets := answer.get("offsets"):
        glued = [before[1] == after[0] for before, after in pairwise(offsets)] + [False]
    words = []
    for at, form in enumerate(forms):
        tag = answer["tags"][at] if "tags" in answer else None
        misc = [f"NER={tag}"] if tag is not None and "spans" in answer else []
        misc += ["SpaceAfter=No"] if glued[at] else []
        own = {chosen: tag} if tag is not None and "spans" not in answer else {}
        words.append(Word(form, **{"misc": "|".join(misc) or "_", **own}))
    comments = [f"sent_id = {number}"]
    given = answer.get("input")
    text = given.get("text") if isinstance(given, dict) else given
    if isinstance(text, str):
        comments.append("text = " + " ".join(text.split()))
    return Sentence(words, comments)
