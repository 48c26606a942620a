import numpy as np
import pytest
from gensim.models import KeyedVectors
from hypothesis import given, strategies as st

from inkstone.errors import TextError
from inkstone.vectors.formats import read_vectors, write_vectors
from inkstone.vectors.word_vectors import WordVectors

WORDS = st.lists(
    st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=5), min_size=1, max_size=6, unique=True
)
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize("name", ["v.bin", "v.txt"])
@given(words=WORDS, width=st.integers(1, 4), data=st.data())
def test_what_is_written_is_read_bit_for_bit(tmp_path_factory, name, words, width, data):
    row = st.lists(NUMBERS, min_size=width, max_size=width)
    values = np.array(data.draw(st.lists(row, min_size=len(words), max_size=len(words))), np.float32)
    path = tmp_path_factory.getbasetemp() / name
    write_vectors(WordVectors(words, values), path)
    found = read_vectors(path)
    assert found.words == words
    np.testing.assert_array_equal(found.vectors, values)


@pytest.mark.parametrize("name", ["v.bin", "v.txt"])
def test_gensim_reads_ours_and_we_read_its(tmp_path, name):
    values = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    words = ["ink", "砚", "naïve", "don't"]
    write_vectors(WordVectors(words, values), tmp_path / name)
    theirs = KeyedVectors.load_word2vec_format(str(tmp_path / name), binary=name.endswith("bin"))
    assert theirs.index_to_key == words
    np.testing.assert_array_equal(theirs.vectors, values)
    theirs.save_word2vec_format(str(tmp_path / f"theirs-{name}"), binary=name.endswith("bin"))
    back = read_vectors(tmp_path / f"theirs-{name}")
    assert back.words == words
    np.testing.assert_allclose(back.vectors, values, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("v.txt", b"", "first line"),
        ("v.txt", b"one two\n", "first line"),
        ("v.txt", b"2 2\na 1 2\n", "promises 2 words, and 1 lines"),
        ("v.txt", b"1 2\na 1\n", "v.txt:2: 1 numbers"),
        ("v.txt", b"1 2\na 1 x\n", "v.txt:2: a number"),
        ("v.bin", b"2 2\na 12345678", "cut short"),
        ("v.bin", b"1 2\naaaaaaaaaaaaaaaaaa", "word 1 of 1"),
        ("v.bin", b"9999999999 9999999\n", "cut short"),
    ],
)
def test_damage_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TextError, match=message):
        read_vectors(tmp_path / name)


def test_a_word_that_the_form_cannot_hold_is_refused(tmp_path):
    with pytest.raises(TextError, match="'two words'"):
        write_vectors(WordVectors(["two words"], np.zeros((1, 2), np.float32)), tmp_path / "v.txt")
    assert list(tmp_path.iterdir()) == []
