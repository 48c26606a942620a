"""Two directions made one, against NLTK and by hand; the error rate by its formula; Pharaoh format there and back."""

import pytest
from hypothesis import given, strategies as st

from inkstone.errors import RecipeError, TextError
from inkstone.models.links import grow_diag_final_and, pharaoh, read_pharaoh, score, symmetrise

LINKS = st.sets(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=8)


def test_growing_by_hand():
    forward, backward = {(0, 0), (1, 1), (3, 3)}, {(0, 0), (1, 2), (4, 0)}
    # (1, 1) touches (0, 0); (1, 2) then touches (1, 1) and gives column 2 its first link; (3, 3) touches nothing but both
    # its words are free; (4, 0) touches nothing and column 0 is taken.
    assert grow_diag_final_and(forward, backward) == {(0, 0), (1, 1), (1, 2), (3, 3)}


@given(LINKS, LINKS)
def test_growing_keeps_between_intersection_and_union(forward, backward):
    links = grow_diag_final_and(forward, backward)
    assert forward & backward <= links <= forward | backward
    rows, columns = {i for i, _ in links}, {j for _, j in links}
    assert not [(i, j) for i, j in forward | backward if i not in rows and j not in columns]


def test_every_way_is_what_its_name_says():
    forward, backward = [{(0, 0), (1, 1)}], [{(0, 0), (2, 2)}]
    assert symmetrise(forward, backward, "intersection") == [{(0, 0)}]
    assert symmetrise(forward, backward, "union") == [{(0, 0), (1, 1), (2, 2)}]
    assert symmetrise(forward, backward, "backward") == backward
    with pytest.raises(RecipeError, match="grow-diag-final-and"):
        symmetrise(forward, backward, "grow-diag")


def test_error_rate_by_its_formula():
    scores = score([{(0, 0), (1, 1), (2, 2)}], [{(0, 0), (3, 3)}], [{(1, 1)}])
    assert (scores.precision, scores.recall) == (2 / 3, 1 / 2)
    assert scores.error_rate == 1 - (1 + 2) / (3 + 2)
    assert score([{(0, 0)}], [{(0, 0)}]).error_rate == 0


@given(st.lists(LINKS))
def test_pharaoh_there_and_back(sentences):
    assert read_pharaoh([pharaoh(links) for links in sentences]) == (sentences, sentences)


def test_possible_links_are_not_sure_ones():
    assert read_pharaoh(["0-0 1?2", ""]) == ([{(0, 0)}, set()], [{(0, 0), (1, 2)}, set()])


@pytest.mark.parametrize("line", ["0:1", "a-1", "1-", "1--2", "1-2-3", "²-1"])
def test_what_is_no_link_is_named_with_its_line(line):
    with pytest.raises(TextError, match=r"gold:2: .* is no link"):
        read_pharaoh(["0-0", line], "gold")
