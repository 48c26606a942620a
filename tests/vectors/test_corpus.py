import numpy as np
import pytest
from hypothesis import given, strategies as st

from inkstone.errors import TextError
from inkstone.vectors.corpus import corpus_of, read_corpus

DOCUMENTS = st.lists(st.lists(st.sampled_from("abcdefg"), max_size=9), max_size=9)


@given(DOCUMENTS, st.integers(1, 3), st.integers(1, 4))
def test_pieces_hold_the_frequent_words_of_each_document_in_order(documents, min_count, longest):
    whole = [word for document in documents for word in document]
    frequent = {word for word in whole if whole.count(word) >= min_count}
    if len(frequent) < 2:
        with pytest.raises(TextError, match="--min-count"):
            corpus_of(documents, min_count=min_count)
        return
    corpus = corpus_of(documents, min_count=min_count, longest=longest)
    expected = []
    for document in documents:
        left = [word for word in document if word in frequent]
        expected += [left[at : at + longest] for at in range(0, len(left), longest)]
    pieces = [corpus.ids[a:b] for a, b in zip(corpus.starts[:-1], corpus.starts[1:], strict=True)]
    assert [[corpus.words[i] for i in piece] for piece in pieces] == expected
    assert corpus.counts.tolist() == [whole.count(word) for word in corpus.words]
    assert np.all(np.diff(corpus.counts) <= 0)


def test_text_is_segmented_and_lowered(tmp_path):
    (tmp_path / "a.txt").write_text("The Ink, the STONE! " * 3 + "我来到北京清华大学。" * 3, encoding="utf-8")
    corpus = read_corpus([tmp_path / "a.txt"], min_count=3)
    assert {"the", "ink", "stone", "北京", "清华大学"} <= set(corpus.words)
    assert corpus.words[0] == "the" and corpus.counts[0] == 6
