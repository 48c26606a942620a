"""Fields of records counted, against figures worked out by hand."""

import numpy as np
import pytest

from inkstone.evaluation.field_scores import field_counts, fields_of, normalised, same, scores_by_path
from inkstone.evaluation.label_scores import Score, f1

GOLD = [
    {"who": "Ada Lovelace", "n": 3, "tools": ["pen", "ink", "ink"]},
    {"events": [{"kind": "sale", "at": "Rome"}, {"kind": "gift", "at": None}]},
    {},
]
TOLD = [
    {"who": "ADA  lovelace", "n": 4, "tools": ["ink", "paper"]},
    {"events": [{"kind": "gift", "at": "Rome"}, {"kind": "sale"}]},
    {"who": ""},
]


def test_records_are_taken_apart_into_paths_and_values():
    assert fields_of(GOLD[0]) == {
        (("who",), "ada lovelace"): 1,
        (("n",), 3): 1,
        (("tools", "*"), "pen"): 1,
        (("tools", "*"), "ink"): 2,
    }
    assert fields_of({"a": None, "b": [], "c": {}}) == {}
    assert fields_of(["x"]) == {(("*",), "x"): 1}


def test_counts_are_of_what_both_have_is_told_and_is_right():
    assert field_counts(GOLD, TOLD).tolist() == [[2, 4, 5], [3, 3, 3], [0, 1, 0]]
    assert f1(field_counts(GOLD, TOLD).sum(0)) == pytest.approx(2 * 5 / (8 + 8))
    assert np.isnan(f1(field_counts([{}], [{}])[0]))


def test_each_path_has_its_own_scores():
    scores = scores_by_path(GOLD, TOLD)
    assert scores == {
        "events/*/at": Score(1, 1, 1),
        "events/*/kind": Score(2, 2, 2),
        "n": Score(0, 1, 1),
        "tools/*": Score(1, 2, 3),
        "who": Score(1, 2, 1),
    }
    assert sum(score.correct for score in scores.values()) == field_counts(GOLD, TOLD)[:, 0].sum()


def test_records_are_the_same_where_values_are():
    assert same({"a": "Ｉnk ", "b": None}, {"a": "ink", "c": []})
    assert not same({"a": [1, 2]}, {"a": [2, 1]})
    assert not same(GOLD[1], TOLD[1])  # all fields are right, but not together
    assert not same({"a": True}, {"a": 1}) and normalised(1.0) == 1
