import lzma

import numpy as np
import pytest
from gensim.models import KeyedVectors
from hypothesis import given, strategies as st
from scipy.stats import spearmanr

from inkstone.errors import TextError
from inkstone.text.datasets import MIRROR
from inkstone.vectors.judgements import (
    ANALOGY_TESTS,
    SIMILARITY_TESTS,
    analogy_score,
    public_scores,
    public_test,
    read_pairs,
    read_questions,
    similarity_score,
    spearman,
)
from inkstone.vectors.word_vectors import WordVectors


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=30))
def test_spearman_is_that_of_scipy(pairs):
    left, right = (np.array(side, float) for side in zip(*pairs, strict=True))
    if np.ptp(left) == 0 or np.ptp(right) == 0:
        assert spearman(left, right) is None
    else:
        assert spearman(left, right) == pytest.approx(spearmanr(left, right)[0])


def made_up(tmp_path):
    """Pairs of words on a grid, where analogies hold but for noise."""
    generator = np.random.default_rng(0)
    words = [f"{a}{b}" for a in "abcdef" for b in "uvwxyz"]
    first, second = generator.normal(size=(2, 6, 10))
    vectors = np.array([first[i // 6] + second[i % 6] for i in range(36)]) + generator.normal(size=(36, 10)) * 0.7
    lines = [": grid"]
    for a, c in zip("abcde", "bcdef", strict=True):
        for b, d in zip("uvwxy", "vwxyz", strict=True):
            lines.append(f"{a}{b} {a}{d} {c}{b} {c}{d}")
    lines += [": unknown", "au av nowhere nobody"]
    path = tmp_path / "questions.txt"
    path.write_text("\n".join(lines) + "\n")
    return WordVectors(words, vectors.astype(np.float32)), path


def test_analogies_are_scored_as_by_gensim(tmp_path):
    vectors, path = made_up(tmp_path)
    keyed = KeyedVectors(10)
    keyed.add_vectors(vectors.words, vectors.vectors)
    theirs, sections = keyed.evaluate_word_analogies(str(path), case_insensitive=False)
    ours = analogy_score(vectors, read_questions(path))
    assert 0 < ours.right < ours.covered == 25
    assert ours.accuracy == pytest.approx(theirs)
    assert (ours.covered, ours.questions) == (25, 26)
    assert ours.sections["unknown"] == (0, 0, 1)
    assert ours.sections["grid"][0] == len(sections[0]["correct"])


def test_similarity_states_what_it_covers():
    vectors = WordVectors(["a", "b", "c"], np.array([[1, 0], [1, 0.1], [-1, 1]], np.float32))
    pairs = [("a", "b", 9.0), ("A", "c", 1.0), ("b", "c", 2.0), ("a", "zzz", 5.0)]
    score = similarity_score(vectors, pairs)
    assert (score.covered, score.pairs) == (3, 4) and score.spearman == pytest.approx(1)
    assert similarity_score(vectors, pairs[2:]).spearman is None


def test_public_tests_are_found_in_the_mirror_and_uncovered_ones_left_out(tmp_path, monkeypatch):
    monkeypatch.setenv(MIRROR, str(tmp_path))
    assert public_scores(WordVectors(["a", "b"], np.eye(2, dtype=np.float32))) == {}
    (tmp_path / "wordsim-en").mkdir()
    packed = lzma.compress(b"a b 3\nb c 2\na c 1\n")
    (tmp_path / "wordsim-en" / "EN-WS-353-ALL.txt.xz").write_bytes(packed)
    found = public_scores(WordVectors(["a", "b", "c"], np.random.default_rng(0).random((3, 2), np.float32)))
    assert found["WordSim-353"]["covered"] == 3
    assert public_scores(WordVectors(["x", "y"], np.eye(2, dtype=np.float32))) == {}


@pytest.mark.parametrize(
    ("read", "line"), [(read_pairs, "ink stone"), (read_pairs, "a b c"), (read_questions, "a b c")]
)
def test_a_line_that_is_none_is_named(tmp_path, read, line):
    (tmp_path / "t.txt").write_text(f"{line}\n")
    with pytest.raises(TextError, match=r"t.txt:1"):
        read(tmp_path / "t.txt")


@pytest.mark.data
def test_the_public_tests_are_as_large_as_published(data_mirror):
    sizes = {name: len(read_pairs(public_test(file))) for name, file in SIMILARITY_TESTS.items()}
    assert sizes == {"WordSim-353": 353, "SimLex-999": 999}
    questions = {
        name: sum(map(len, read_questions(public_test(file)).values())) for name, file in ANALOGY_TESTS.items()
    }
    assert questions == {"Google analogies": 19_544, "CA8 morphological": 10_177, "CA8 semantic": 7_636}
