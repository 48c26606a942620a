"""Practice in keeping placeholders: the same ones on both sides, at places that fit, of a share of the pairs."""

import numpy as np
import pytest

from inkstone.tasks.parallel_pairs import Translated
from inkstone.tasks.practice import practised
from inkstone.text.placeholders import placeholders, shared


def pairs(number):
    texts = [
        ("Tom walks to Boston.", "Tom geht nach Boston."),
        ("The ink dries.", "Die Tusche trocknet."),
        ("He left!", "他走了！"),
    ]
    return [
        Translated(f"f:{n}", texts[n % 3][0], (texts[n % 3][1],), None, "en", "zh" if n % 3 == 2 else "de")
        for n in range(number)
    ]


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_a_share_of_the_pairs_is_practised_on(share):
    found = practised(pairs(60), share, np.random.default_rng(0))
    assert len(found) == 60 * share
    for pair in found:
        assert placeholders(pair.source) and shared(pair.source, pair.targets[0]) == placeholders(pair.source)


def test_names_become_placeholders_and_others_stand_at_an_end():
    found = practised(pairs(300), 1.0, np.random.default_rng(1))
    names = [pair for pair in found if "walks" in pair.source]
    assert all("Tom" not in p.source + p.targets[0] and "Boston" not in p.source + p.targets[0] for p in names)
    chinese = {pair.targets[0][0] == "{" for pair in found if pair.to == "zh"}
    assert chinese == {True, False}  # at the beginning, and before the mark at the end
    assert all(pair.targets[0].endswith("！") and " " not in pair.targets[0] for pair in found if pair.to == "zh")
    assert len({tuple(placeholders(pair.source)) for pair in found}) > 5


def test_pairs_that_have_placeholders_are_left_alone_and_the_seed_decides():
    given = [Translated("f:1", "Hi {x}", ("Hallo {x}",), None, "en", "de"), *pairs(30)]
    one, two = (practised(given, 1.0, np.random.default_rng(5)) for _ in range(2))
    assert one == two != practised(given, 1.0, np.random.default_rng(6))
    assert all(pair.place != "f:1" or "{x}" not in pair.source for pair in one) and len(one) == 30
