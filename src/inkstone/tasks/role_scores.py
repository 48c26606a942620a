"""How well roles are told: strict F1 of their spans with the predicates given, of each role, and F1 of finding predicates."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from inkstone.evaluation.intervals import ratio
from inkstone.evaluation.label_scores import by_label, micro_f1
from inkstone.evaluation.spans import span_counts, span_scores
from inkstone.tasks.base import Answer, Measure
from inkstone.tasks.role_sentences import RoleExample
from inkstone.tasks.tag_scores import listed
from inkstone.text.predicates import VERB

ROLE_F1 = "role F1"
Spans = list[tuple[int, int, str]]


def role_measures(examples: Sequence[RoleExample], answers: Sequence[Answer]) -> dict[str, Measure]:
    """The figures: role F1, the share of predicates with all roles right and no other, and F1 of finding predicates."""
    gold, given = _roles(examples, answers)
    counts, whole = np.zeros((len(examples), 1, 3)), np.zeros((len(examples), 2))
    for row, (ours, theirs) in enumerate(zip(gold, given, strict=True)):
        for a, b in zip(map(set, ours), map(set, theirs), strict=True):
            counts[row, 0] += len(a & b), len(b), len(a)  # CORRECT, PREDICTED, GOLD
            whole[row] += a == b, 1
    places = [[(each.start, each.stop, VERB) for each in example.predicates or ()] for example in examples]
    found = [[(start, stop, VERB) for start, stop in answer["found"]] for answer in answers]
    return {
        ROLE_F1: Measure(counts, micro_f1),
        "whole predicates": Measure(whole, ratio),
        "predicate F1": Measure(span_counts(places, found, [VERB]), micro_f1),
    }


def role_details(examples: Sequence[RoleExample], answers: Sequence[Answer]) -> dict[str, Any]:
    """The scores of each role."""
    gold, given = _roles(examples, answers)
    ours, theirs = ([spans for own in side for spans in own] for side in (gold, given))
    return {"labels": by_label(span_scores(ours, theirs).per_label)}


def role_mistakes(examples: Sequence[RoleExample], answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Of each sentence the roles that gold and answer have alone, and how much is right."""
    rows = []
    for example, answer, gold, given in zip(examples, answers, *_roles(examples, answers), strict=True):
        told: list[list[str]] = [[], []]
        right = total = 0
        for predicate, ours, theirs in zip(answer["predicates"], gold, given, strict=True):
            both = set(ours) & set(theirs)
            right, total = right + 2 * len(both), total + len(ours) + len(theirs)
            for side, spans in zip(told, (ours, theirs), strict=True):
                side += [_told(example, predicate["text"], span) for span in spans if span not in both]
        chances = [predicate["probability"] for predicate in answer["predicates"]]
        rows.append(
            {
                "place": example.place,
                "text": example.text,
                "gold": listed(told[0]),
                "predicted": listed(told[1]),
                "right": not any(told),
                "score": right / total if total else 1.0,
                "confidence": float(np.prod(chances)),
            }
        )
    return rows


def _roles(examples: Sequence[RoleExample], answers: Sequence[Answer]) -> tuple[list[list[Spans]], list[list[Spans]]]:
    """Gold and answer: for each sentence, for each predicate, the spans of its roles."""
    gold = [[[tuple(role) for role in each.roles] for each in example.predicates or ()] for example in examples]
    given = [
        [[(*role["tokens"], role["label"]) for role in each["roles"]] for each in answer["predicates"]]
        for answer in answers
    ]
    return gold, given  # type: ignore[return-value]


def _told(example: RoleExample, predicate: str, span: tuple[int, int, str]) -> str:
    start, stop, label = span
    begin, last = example.sentence.starts[start], stop - 1
    return f"{predicate}: {example.text[begin : example.sentence.starts[last] + len(example.words[last])]}/{label}"
