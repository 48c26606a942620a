"""Answers as CoNLL-U: those of taggers alone, and nothing of an answer is lost without a word."""

import pytest

from inkstone.errors import RunError
from inkstone.tasks.tag_conllu import conllu_of


@pytest.mark.parametrize(
    "answer",
    [
        {"input": "ink", "label": "good", "probabilities": {"good": 1.0}},
        {
            "input": "Anna sees",
            "tokens": ["Anna", "sees"],
            "predicates": [{"text": "sees", "tokens": [1, 2], "roles": []}],
        },
    ],
)
def test_answers_that_have_no_tags_of_words_are_refused(answer):
    with pytest.raises(RunError, match="hold no tags of words, so that they cannot be written as CoNLL-U"):
        conllu_of([answer])


def test_words_without_tags_are_those_of_segmented_text():
    assert "1\t砚台\t_" in conllu_of([{"input": "砚台", "words": ["砚台"], "offsets": [[0, 2]]}])
