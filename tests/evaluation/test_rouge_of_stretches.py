"""ROUGE of all stretches of a text, against the scores of each by itself."""

import numpy as np
import pytest

from inkstone.evaluation.rouge import rouge_score
from inkstone.evaluation.rouge_of_stretches import KINDS, stretch_scores
from inkstone.text.stretches import Stretches


@pytest.mark.parametrize(
    ("text", "references"),
    [
        (
            "The ink and the stone are one, and the ink dries. The well-known stone waits.",
            ["the stone and the ink", "ink"],
        ),
        ("砚台和墨，墨和砚台。用BERT模型磨墨。", ["墨和砚台的模型", "墨"]),
        ("Ink.", ["..."]),
    ],
)
def test_they_are_those_of_the_stretch_as_a_text(text, references):
    found = Stretches.of(text, 9)
    scores = stretch_scores(found.units(), found.first, found.last, references)
    assert len(scores) == len(found) > 0
    for number in range(len(found)):
        alone = rouge_score(found.words(number), references)
        np.testing.assert_allclose(scores[number], [alone[kind].f1 for kind in KINDS], atol=1e-12)
